"""Request bodies: at most 64 KiB, within 10 seconds, in strict JSON."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo_backend.http import strict_json
from todo_backend.http.errors import TodoError

MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT = 10.0  # seconds for the body to arrive


class BodyTooLarge(TodoError):
    status = 413
    detail = f"The body is larger than {MAX_BODY_BYTES // 1024} KiB"


class BodyTooSlow(TodoError):
    status = 408
    detail = f"The body did not arrive within {BODY_TIMEOUT:.0f} seconds"

    def __init__(self) -> None:
        super().__init__(headers={"Connection": "close"})  # the rest of the body would be read as the next request


class BodyLimitMiddleware:
    """Read the body before the route runs, and reject one that is too large or too slow without reading the rest.

    So the limits hold for routes that do not read the body too, and a rejected request has changed nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A request with neither of the two has no body (RFC 9112, section 6.3).
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return

        if int(headers.get("content-length", 0)) > MAX_BODY_BYTES:
            raise BodyTooLarge

        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await _read(receive)
        except TimeoutError:
            raise BodyTooSlow from None
        if body is None:
            return
        scope.setdefault("state", {})["body"] = body  # for EndpointMiddleware

        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


async def _read(receive: Receive) -> bytes | None:
    """Return the body, or None if the client has left.

    Raises:
        BodyTooLarge: it is.
    """
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
        more = message.get("more_body", False)
    return body


class StrictJSONRequest(Request):
    """A request whose `json()` is strict, and whose every JSON error is a 422.

    FastAPI answers 400 to a body for which json raises anything but JSONDecodeError: malformed UTF-8, nesting
    that is too deep, integers of too many digits.
    """

    async def json(self) -> Any:
        try:
            return strict_json.loads(await self.body())
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "", 0) from error


class StrictJSONRoute(APIRoute):
    """A route whose handler gets a StrictJSONRequest (FastAPI, "Custom Request and APIRoute class")."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_strictly(request: Request) -> Response:
            return await handle(StrictJSONRequest(request.scope, request.receive))

        return handle_strictly
