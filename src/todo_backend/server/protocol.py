"""uvicorn's HTTP/1.1 protocol, with limits for untrusted clients: docs/security.md, "Hostile requests".

These are the limits for which uvicorn has no setting; server/run.py sets the others. The code rests on private
attributes of uvicorn: tests/test_protocol.py lists them.
"""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

MAX_HEADER_BYTES = 64 * 1024  # the request line and the headers together
CHUNK_BYTES = 16 * 1024  # parsed at a time; the size of the headers is checked after each chunk

MAX_PIPELINED = 100  # requests of one connection that are queued behind the running one

HEADER_TIMEOUT = 10.0  # seconds for the headers to arrive, from the connection or from their first byte on
WRITE_TIMEOUT = 60.0  # seconds for the client to read the response
UNREAD_BODY_TIMEOUT = 5.0  # seconds for the rest of a body, once its response is sent
LINGER_TIMEOUT = 2.0  # seconds for the client to read an error response before its connection is closed

NOT_HTTP = "Not an HTTP request that can be answered"


class BoundedProtocol(HttpToolsProtocol):
    """Limits the size of the headers and the number of pipelined requests; adds a header and a write timeout.

    BodyLimitMiddleware bounds the body until the response is sent; from then on UNREAD_BODY_TIMEOUT does.

    It also answers malformed HTTP with JSON, keeps trailer fields out of the headers (RFC 9110, section 6.5.1) and
    ignores an Upgrade (section 7.8), where uvicorn would lose the body.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_header = True
        self._in_body = False
        self._pending_bytes = 0  # of incomplete headers or an incomplete trailer
        self._rejected = False
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None  # the executing one; self.cycle is the newest

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # What requests write to. It is made once per connection, not for each request, to save processor time.
        self._request_transport: Any = SimpleNamespace(
            write=transport.write, is_closing=transport.is_closing, close=self.close_gracefully
        )
        self._start_header_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipeline.clear()
        if self._running:
            self._running.disconnected = True
        super().connection_lost(exc)
        _cancel(self._header_timer)
        _cancel(self._write_timer)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK_BYTES):
            if not self._rejected:
                self._feed(data[start : start + CHUNK_BYTES])
        if self._in_header and not self._header_timer:
            self._start_header_timer()
        elif self._header_timer and not self._in_header:
            self._header_timer.cancel()
            self._header_timer = None

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._reject(400, NOT_HTTP)
        else:
            self._pending_bytes += len(data)
            if self._pending_bytes > MAX_HEADER_BYTES:
                self._reject(431, f"The header fields are larger than {MAX_HEADER_BYTES // 1024} KiB")

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Parse the request again without its Upgrade header."""
        method = self.parser.get_method()
        if method == b"CONNECT":  # meaningless without the upgrade
            self._reject(400, NOT_HTTP)
            return
        line = b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())
        fields = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"".join([line, *fields, b"\r\n", rest]))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._in_header = not self._rejected
        self._pending_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_header:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_header = False
        self._in_body = True
        if len(self.pipeline) >= MAX_PIPELINED:
            self._rejected = True  # with all that follow: a client repeats unanswered requests (RFC 9112, 9.3.2)
            self.pipeline[0][0].keep_alive = False
        elif not self._rejected and not self.parser.should_upgrade():
            super().on_headers_complete()
            self.cycle.transport = self._request_transport

    def on_body(self, body: bytes) -> None:
        if not self._rejected:
            super().on_body(body)
        self._pending_bytes = 0

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        self._in_body = False
        if not self._rejected and not self.parser.should_upgrade():
            super().on_message_complete()
        if self.timeout_keep_alive_task:  # the response was sent before the body ended
            self._await_request(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task and self._in_body:
            self._await_request(UNREAD_BODY_TIMEOUT)

    def _await_request(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def timeout_keep_alive_handler(self) -> None:
        self.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            _cancel(self._write_timer)

    def _start_header_timer(self) -> None:
        self._header_timer = self.loop.call_later(HEADER_TIMEOUT, self._on_header_timeout)

    def _on_header_timeout(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            self._start_header_timer()  # an earlier request is still running
        elif self._in_header and self._pending_bytes:
            self._reject(408, "The request did not arrive in time")
        else:
            self.close()

    def _reject(self, status: int, detail: str) -> None:
        """Send an error response without the application, and close the connection."""
        self._rejected = True
        self._in_header = False  # so that no header timer starts
        cycle = self.cycle
        is_running = cycle and not cycle.response_complete
        if self.pipeline or (is_running and (cycle.response_started or not cycle.more_body)):
            return  # the client would take it for the response to an earlier request
        if is_running:
            cycle.disconnected = True
            cycle.message_event.set()
        content = json.dumps({"detail": detail}).encode()
        fields = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + fields % len(content) + content)
        self.close_gracefully()

    def close_gracefully(self) -> None:
        """Close after LINGER_TIMEOUT: closing with unread bytes resets the connection, and the response is lost."""
        self._rejected = True
        self.pipeline.clear()
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_TIMEOUT, self.close)

    def close(self) -> None:
        """Close once the client has read the response, after WRITE_TIMEOUT at the latest."""
        if not self.transport.is_closing():
            self.transport.close()
            _cancel(self._write_timer)
            self._write_timer = self.loop.call_later(WRITE_TIMEOUT, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()
