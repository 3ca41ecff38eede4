"""Authentication middleware for `/api`: it verifies the token before the body is read."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo_backend.auth.tokens import InvalidToken
from todo_backend.auth.verifier import Verifier
from todo_backend.http.errors import TodoError
from todo_backend.http.paths import route_path

PREFIX = "/api"


def is_protected(scope: Scope) -> bool:
    """Tell whether a request needs a token: all under the prefix do, unknown paths and methods included."""
    if scope["type"] != "http":
        return False
    path = route_path(scope)
    return path == PREFIX or path.startswith(PREFIX + "/")


class Unauthorized(TodoError):
    """401 with its challenge (RFC 6750, section 3).

    Args:
        detail: an ASCII sentence without quotation marks.
        error: RFC 6750's code for bad credentials; None where there were none.
    """

    status = 401

    def __init__(self, detail: str, error: str | None = None) -> None:
        challenge = f'Bearer error="{error}", error_description="{detail}"' if error else "Bearer"
        super().__init__(detail, {"WWW-Authenticate": challenge})


class NoStoreMiddleware:
    """Keep the answers under the prefix out of every cache: they are one user's own (RFC 9111, section 5.2.2.5)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_protected(scope):
            await self.app(scope, receive, send)
            return

        async def send_no_store(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        await self.app(scope, receive, send_no_store)


class AuthMiddleware:
    """Put the token's user into `request.state.user`, or reject the request with a 401."""

    def __init__(self, app: ASGIApp, *, verifier: Verifier) -> None:
        self.app = app
        self.verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_protected(scope):
            began = time.monotonic()
            scope["state"]["user"] = {"id": await self.authenticate(scope["headers"])}
            scope["state"]["waited"] = time.monotonic() - began  # see database/executor.py
        await self.app(scope, receive, send)

    async def authenticate(self, headers: list[tuple[bytes, bytes]]) -> str:
        """Return the id of the user whose token the headers carry.

        Raises:
            Unauthorized: there is no token, or it is not valid.
            KeySetUnavailable: the token cannot be verified at the moment.
        """
        credentials = [value for name, value in headers if name == b"authorization"]
        if not credentials:
            raise Unauthorized("The Authorization header is missing")
        if len(credentials) > 1:
            raise Unauthorized("There is more than one Authorization header", "invalid_token")
        scheme, _, token = credentials[0].decode("latin-1").strip(" \t").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("The Authorization header does not have the form Bearer <token>")
        try:
            return await self.verifier.verify(token.strip(" \t"))
        except InvalidToken as error:
            raise Unauthorized(str(error), "invalid_token") from None
