"""Paths that frontends write in another way: docs/spec.md, "API Endpoints"."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

# Many frontends of this API have the user's id in the path.
_USER_ID_IN_PATH = re.compile(r"/api/[^/]+/tasks(/.*)?", re.DOTALL)
_NO_USER_ID_IN_PATH = "Tasks are at /api/tasks, without a user id in the path: the user comes from the token"

_API_TWICE = re.compile(r"/api/api(/.*)?", re.DOTALL)
_ONE_API = "The path has /api twice: tasks are at /api/tasks, and the user comes from the token"


def route_path(scope: Scope) -> str:
    """Return a request's path as Starlette's router sees it: without `root_path`."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if f"{path}/".startswith(root + "/") else path


def not_found_detail(scope: Scope) -> str:
    """Return the `detail` of the 404 for an unknown path."""
    path = route_path(scope)
    if _API_TWICE.fullmatch(path):
        return _ONE_API
    return _NO_USER_ID_IN_PATH if _USER_ID_IN_PATH.fullmatch(path) else "Not Found"


class TrailingSlashMiddleware:
    """Answer a path that ends in a slash as the path without it.

    Starlette can only redirect, and some clients leave the Authorization header out when they follow a redirect.

    Args:
        prefix: the path under which that holds, without a trailing slash.
    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["path"].endswith("/")
            and route_path(scope).startswith(self.prefix + "/")
        ):
            scope = {**scope, "path": scope["path"].removesuffix("/")}
        await self.app(scope, receive, send)
