"""The dependency that gives a route its user."""

from typing import Annotated

from fastapi import Depends, Request


async def get_current_user(request: Request) -> dict[str, str]:
    """Return the user whom the token names, as a dict with `id`.

    Fails on a route that AuthMiddleware does not protect, so that no route is left open by mistake.
    """
    user: dict[str, str] = request.state.user
    return user


CurrentUser = Annotated[dict[str, str], Depends(get_current_user)]
