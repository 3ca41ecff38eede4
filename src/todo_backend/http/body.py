"""A request's body: at most 64 KiB, within 10 seconds, and JSON to the letter of RFC 8259."""

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
TIME_LIMIT = 10.0  # seconds for the body to arrive


class BodyTooLarge(TodoError):
    status = 413
    detail = f"The body is larger than {MAX_BODY_BYTES // 1024} KiB"


class BodyTooSlow(TodoError):
    status = 408
    detail = f"The body did not arrive within {TIME_LIMIT:.0f} seconds"

    def __init__(self) -> None:
        super().__init__(headers={"Connection": "close"})  # the rest of the body is in the way of a next request


class BodyLimitMiddleware:
    """Read the body before the route runs, and refuse one that is too large or too slow without reading the rest.

    So a body that a route does not read is bounded too, and nothing has happened when it is refused.
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
            async with asyncio.timeout(TIME_LIMIT):
                body = await _read(receive)
        except TimeoutError:
            raise BodyTooSlow from None
        if body is None:
            return

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
    """Refuses what is not JSON to the letter, and makes every refusal a 422.

    FastAPI answers 400 to a body that json refuses with anything but JSONDecodeError: malformed UTF-8, nesting
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
