"""Who is asking: the dependency that routes take, and the scheme that OpenAPI shows."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

bearer = HTTPBearer(
    scheme_name="BearerAuth",
    bearerFormat="JWT",
    description="The JWT of the Better Auth session; `todo-backend token` prints one to try things with.",
    auto_error=False,  # AuthMiddleware has refused already
)


async def get_current_user(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> dict[str, str]:
    """Return the user whom the token names, as a dict with `id`.

    Where AuthMiddleware has not run there is no user, and this fails: no route is open by mistake.
    """
    user: dict[str, str] = request.state.user
    return user


CurrentUser = Annotated[dict[str, str], Depends(get_current_user)]
