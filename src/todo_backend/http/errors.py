"""Every error becomes `{"detail": "<a sentence>"}`: docs/spec.md, "Error Handling & Validation".

TodoError
    ├── Unauthorized         401  auth/middleware.py
    ├── TaskNotOwned         403  tasks/ownership.py
    ├── TaskNotFound         404  tasks/ownership.py
    ├── BodyTooSlow          408  http/body.py
    ├── BodyTooLarge         413  http/body.py
    ├── StatementRejected    500  database/executor.py
    ├── ServiceStopping      503  http/errors.py
    ├── DatabaseUnavailable  503  database/executor.py
    └── KeySetUnavailable    503  auth/keyset.py

To add one: a subclass beside the code that raises it, with `status` and `detail`; a line above; a row in
docs/spec.md; its status in the `error_responses(...)` of the routes (tasks/routes.py), and `make openapi`. A test
fails for each that is missing.
"""

import asyncio
import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from todo_backend.http.paths import not_found_detail
from todo_backend.http.validation import ValidationErrorHandler

log = logging.getLogger(__name__)


class TodoError(Exception):
    """An error with a response of its own.

    Args:
        detail: the `detail` of the response; the class's own by default.
        headers: headers of the response.
    """

    status = 500
    detail = "Internal server error"

    def __init__(self, detail: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.detail = detail or self.detail
        self.headers = headers
        super().__init__(self.detail)

    def response(self) -> JSONResponse:
        return JSONResponse({"detail": self.detail}, self.status, self.headers)


class ServiceStopping(TodoError):
    status = 503
    detail = "The service is stopping"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class ErrorMiddleware:
    """Turn what a route, or a middleware inside this one, raises into an error response.

    Starlette's own handler for Exception runs outside every middleware, so its response has no CORS headers and the
    browser hides it from the frontend.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched_send)
        except (Exception, asyncio.CancelledError) as error:
            if started:
                raise  # part of the response has been sent: only closing the connection tells the client
            if isinstance(error, asyncio.CancelledError):  # by the server, at the end of its graceful shutdown
                error = ServiceStopping()
            if not isinstance(error, TodoError):
                log.exception("%s %s failed", scope["method"], scope["path"])
                error = TodoError()
            log.debug("%d: %s", error.status, error.detail)
            await error.response()(scope, receive, send)


async def handle_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    detail, headers = error.detail, dict(error.headers or {})
    routed = "route" in request.scope
    if error.status_code == 404 and not routed:
        detail = not_found_detail(request.scope)
    if error.status_code == 405 and routed:
        # FastAPI names the methods of the first route on the path, RFC 9110 (section 15.5.6) wants all of them.
        path = request.scope["route"].path
        routes = [route for route in iter_route_contexts(request.app.routes) if route.path == path]
        headers["Allow"] = ", ".join(sorted(method for route in routes for method in route.methods or ()))
    return JSONResponse({"detail": detail}, error.status_code, headers)


def add_error_handlers(app: FastAPI, on_invalid_request: ValidationErrorHandler) -> None:
    """Replace FastAPI's two handlers: its `detail` is a list for a 422, and its `Allow` is incomplete for a 405."""
    app.exception_handler(RequestValidationError)(on_invalid_request)
    app.exception_handler(HTTPException)(handle_http_exception)
