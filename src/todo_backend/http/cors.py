"""CORS: what a listed origin may do. The form of an origin is in settings/cors_origins.py."""

import logging
import re

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Send

log = logging.getLogger(__name__)

_FIELD_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)  # RFC 9110, section 5.1

VARY = (b"vary", b"Origin")


class ListedOriginsMiddleware(CORSMiddleware):
    """Starlette's CORS, but an origin that is not listed gets no CORS header at all.

    Starlette tells every origin that credentials are allowed, and which methods. A listed origin may send any
    header: Sentry and OpenTelemetry add theirs to every request of a page.
    """

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("*",),
            allow_credentials=True,
            expose_headers=("Retry-After", "WWW-Authenticate"),
        )
        # What Starlette would put together anew for each response.
        always = [(name.lower().encode(), value.encode()) for name, value in self.simple_headers.items()]
        self._headers = {
            origin: [*always, (b"access-control-allow-origin", origin.encode()), VARY] for origin in origins
        }

    def preflight_response(self, request_headers: Headers) -> Response:
        if not self.is_allowed_origin(origin := request_headers["origin"]):
            log.debug("The origin %.100a is not in CORS_ORIGINS", origin)
            return JSONResponse({"detail": "Origin not allowed"}, 400, {"Vary": "Origin"})
        response = super().preflight_response(request_headers)
        if "Access-Control-Allow-Headers" in response.headers:  # Starlette repeats the names unchecked
            names = request_headers["access-control-request-headers"].split(",")
            allowed = [name for name in map(str.strip, names) if _FIELD_NAME.fullmatch(name)]
            response.headers["Access-Control-Allow-Headers"] = ", ".join(allowed)
        return response

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        if message["type"] == "http.response.start":
            message["headers"].extend(self._headers.get(request_headers.get("origin", ""), [VARY]))
        await send(message)
