"""Who is asking: the dependency that routes take, and the scheme that OpenAPI shows."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from todo_backend.auth.middleware import PREFIX

SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The JWT of the Better Auth session; `todo-backend token` prints one to try things with.",
}


async def get_current_user(request: Request) -> dict[str, str]:
    """Return the user whom the token names, as a dict with `id`.

    Where AuthMiddleware has not run there is no user, and this fails: no route is open by mistake.
    """
    user: dict[str, str] = request.state.user
    return user


CurrentUser = Annotated[dict[str, str], Depends(get_current_user)]


class BearerDocsAPI(FastAPI):
    """FastAPI whose OpenAPI document says that AuthMiddleware requires a bearer token.

    FastAPI's own way, a dependency on HTTPBearer, would read the header once more in each request.
    """

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["securitySchemes"] = {"BearerAuth": SCHEME}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [{"BearerAuth": []}] if path.startswith(PREFIX) else []
        return document
