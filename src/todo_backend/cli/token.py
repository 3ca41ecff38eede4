"""The token that `todo-backend token` and `dev` print."""

from todo_backend.auth import tokens
from todo_backend.settings import HINTS, InvalidSettings, TokenSettings

DEV_USER = "dev-user"


def sign(settings: TokenSettings, user: str, *, lifetime: int) -> str:
    """Return an HS256 token.

    Args:
        lifetime: in seconds.

    Raises:
        InvalidSettings: there is no secret.
    """
    if settings.secret is None:
        raise InvalidSettings(f"BETTER_AUTH_SECRET is not set: {HINTS['BETTER_AUTH_SECRET']}")
    return tokens.sign(user, secret=settings.secret, lifetime=lifetime)
