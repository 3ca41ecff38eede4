"""What browsers may read: docs/spec.md, "Startup & CORS Configuration"."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Send


class ListedOriginsMiddleware(CORSMiddleware):
    """Starlette's CORS, but an origin that is not listed gets no CORS header field at all.

    Starlette itself tells any origin that credentials are allowed, and which methods are.
    """

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("Authorization", "Content-Type"),
            allow_credentials=True,
            expose_headers=("Retry-After", "WWW-Authenticate"),
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        if self.is_allowed_origin(request_headers["origin"]):
            return super().preflight_response(request_headers)
        return JSONResponse({"detail": "Origin not allowed"}, 400, {"Vary": "Origin"})

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        if self.is_allowed_origin(request_headers.get("origin", "")):
            await super().send(message, send, request_headers)
            return
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).add_vary_header("Origin")
        await send(message)
