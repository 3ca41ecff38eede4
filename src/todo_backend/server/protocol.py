"""HTTP/1.1 as uvicorn speaks it, with limits for what a stranger sends: docs/security.md."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 64 * 1024  # of the request line and the header fields
PIECE = 16 * 1024  # bytes that are parsed between two looks at the limit

MAX_PIPELINED = 100  # requests of one connection that wait for the answers to those before them

HEAD_LIMIT = 10.0  # seconds for a head, from the connection or from the head's first byte on
TAKE_LIMIT = 60.0  # seconds for the client to take its answer
# Seconds until an idle connection is closed. Node's http agent, and so axios, gives one up after 5: a server that
# closes it at the same moment resets the request that is sent just then.
KEEP_ALIVE_TIMEOUT = 75
UNREAD_BODY_TIMEOUT = 5.0  # seconds for the rest of a body, after its answer
LINGER = 2.0  # seconds for the client to read why its connection is closed
SHUTDOWN_LIMIT = 8  # seconds that requests under way have to finish in, after a signal to stop

NOT_HTTP = "Not an HTTP request that can be answered"


class BoundedProtocol(HttpToolsProtocol):
    """Bounds what uvicorn does not: the size of a head, the time for it to come, and for an answer to be taken.

    The requests in line are bounded too. The time for a body is the application's to bound until it has answered;
    a client that goes on sending the body after that has UNREAD_BODY_TIMEOUT.

    Besides, what is no HTTP request is answered in JSON; the fields of a trailer are not taken for the header's
    (RFC 9110, section 6.5.1); and an Upgrade is ignored (section 7.8), where uvicorn would lose the body.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = True
        self._in_body = False
        self._pending = 0  # bytes of what is not complete yet, a head or a trailer
        self._refused = False
        self._arriving: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None  # the one that is executed; self.cycle is the newest

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipeline.clear()
        if self._running:
            self._running.disconnected = True
        super().connection_lost(exc)
        _cancel(self._arriving)
        _cancel(self._leaving)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            if not self._refused:
                self._feed(data[start : start + PIECE])
        if self._in_head and not self._arriving:
            self._await_head()
        elif self._arriving and not self._in_head:
            self._arriving.cancel()
            self._arriving = None

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, NOT_HTTP)
        else:
            self._pending += len(data)
            if self._pending > MAX_HEAD_BYTES:
                self._refuse(431, f"The header fields are larger than {MAX_HEAD_BYTES // 1024} KiB")

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read the request again, as one that does not ask for it."""
        method = self.parser.get_method()
        if method == b"CONNECT":  # it has no meaning without the upgrade
            self._refuse(400, NOT_HTTP)
            return
        line = b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())
        fields = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"".join([line, *fields, b"\r\n", rest]))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._in_head = not self._refused
        self._pending = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refused = True  # so is what follows: clients send again what was not answered (RFC 9112, 9.3.2)
            self.pipeline[0][0].keep_alive = False
        elif not self._refused and not self.parser.should_upgrade():
            super().on_headers_complete()
            transport = self.transport
            self.cycle.transport = SimpleNamespace(  # type: ignore[assignment]
                write=transport.write, is_closing=transport.is_closing, close=self.linger
            )

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)
        self._pending = 0

    def on_message_complete(self) -> None:
        self._pending = 0
        self._in_body = False
        if not self._refused and not self.parser.should_upgrade():
            super().on_message_complete()
        if self.timeout_keep_alive_task:  # the answer came before the end of the body
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

    def shutdown(self) -> None:
        super().shutdown()
        # Who does not take the answer until then does not keep the stop waiting.
        self.loop.call_later(SHUTDOWN_LIMIT + 0.5, self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._leaving = self.loop.call_later(TAKE_LIMIT, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            _cancel(self._leaving)

    def _await_head(self) -> None:
        self._arriving = self.loop.call_later(HEAD_LIMIT, self._end_of_patience)

    def _end_of_patience(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            self._await_head()  # the answer to an earlier request is under way
        elif self._in_head and self._pending:
            self._refuse(408, "The request did not arrive in time")
        else:
            self.close()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer what the application does not get to see, or not whole, and close."""
        self._refused = True
        self._in_head = False  # nothing is awaited any more
        cycle = self.cycle
        under_way = cycle and not cycle.response_complete
        if self.pipeline or (under_way and (cycle.response_started or not cycle.more_body)):
            return  # the answer would be taken for that of a request before this one
        if under_way:
            cycle.disconnected = True
            cycle.message_event.set()
        content = json.dumps({"detail": detail}).encode()
        fields = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + fields % len(content) + content)
        self.linger()

    def linger(self) -> None:
        """Close soon: at once, with bytes of the client's unread, it would be a reset, and the answer lost."""
        self._refused = True
        self.pipeline.clear()
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.close)

    def close(self) -> None:
        """Close as soon as the client has taken what was written, or no longer has the time."""
        if not self.transport.is_closing():
            self.transport.close()
            _cancel(self._leaving)
            self._leaving = self.loop.call_later(TAKE_LIMIT, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()
