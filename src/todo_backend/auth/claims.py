"""Rules for the claims of a token: times with their leeway, and the user id (RFC 7519)."""

from typing import Any

from todo_backend.auth.tokens import SESSION_COOKIE, InvalidToken, is_user_id

LEEWAY = 30  # seconds that the clocks of two machines may differ

# The largest time. Python's integers have no limit, and 1e999 is infinity; JavaScript's dates end far below this.
_MAX_NUMERIC_DATE = 2**53


def check_claims(claims: dict[str, Any], *, now: float) -> None:
    """Check times and subject. PyJWT would accept a missing `exp`, an empty `sub`, numbers in strings and infinity.

    Args:
        now: seconds since the epoch.

    Raises:
        InvalidToken: the token is not accepted.
    """
    _check_times(claims, now)
    _check_subject(claims)


def _check_times(claims: dict[str, Any], now: float) -> None:
    expires_at = _numeric_date(claims, "exp")
    not_before = _numeric_date(claims, "nbf")
    issued_at = _numeric_date(claims, "iat")
    if expires_at is None:
        raise InvalidToken("The token has no exp claim", "claims")
    if now >= expires_at + LEEWAY:
        raise InvalidToken("The token has expired", "expired")
    if not_before is not None and now < not_before - LEEWAY:
        raise InvalidToken("The token is not valid yet", "valid later")
    if issued_at is not None and now < issued_at - LEEWAY:
        raise InvalidToken("The token was issued in the future", "issued later")


def _check_subject(claims: dict[str, Any]) -> None:
    user_id = claims.get("sub")
    if user_id is None and "session" in claims:
        raise InvalidToken(SESSION_COOKIE, "client")
    if user_id is None:
        raise InvalidToken("The token has no sub claim", "claims")
    if not is_user_id(user_id):
        raise InvalidToken("The token's sub claim is not a user id", "claims")


def _numeric_date(claims: dict[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in (int, float) or not -_MAX_NUMERIC_DATE < value < _MAX_NUMERIC_DATE:
        raise InvalidToken(f"The token's {name} claim is not a time", "claims")
    return float(value)
