"""Requests that no client library would send: each has its answer, and none holds the service up.

docs/security.md has the same requests, grouped by response.
"""

import asyncio
import contextlib
import gzip
import http.client
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from io import BufferedReader
from typing import Any

import httpx2
import psutil
import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.service import ORIGIN, Service, bearer, wait_until
from tests.test_docs import ROOT
from todo_backend.server import protocol

NOT_HTTP = "Not an HTTP request that can be answered"
NO_TOKEN = "The Authorization header is missing"
NOT_JSON = "The request body is not valid JSON."
TOO_LARGE = "The body is larger than 64 KiB"
HEAD_TOO_LARGE = "The header fields are larger than 64 KiB"
NOT_AN_ID = "The task id must be a whole number."

TOKEN = "Authorization: {token}\r\n"
POST = f"POST /api/tasks HTTP/1.1\r\n{TOKEN}Content-Type: application/json\r\n"
TASK = '{"title": "x"}'
IN_CHUNKS = "Transfer-Encoding: chunked\r\n\r\n"
CHUNK = f"{len(TASK):x}\r\n{TASK}\r\n"


def get(path: str, fields: str = TOKEN, version: str = "HTTP/1.1") -> str:
    return f"GET {path} {version}\r\n{fields}\r\n"


def post(body: str, fields: str = "") -> str:
    return f"{POST}{fields}Content-Length: {len(body)}\r\n\r\n{body}"


def binary(data: bytes) -> str:
    return data.decode("latin-1")


@dataclass
class Case:
    """What is sent, in Latin-1 and with a valid token for {token}, and what comes back.

    Attributes:
        detail: None for a success.
    """

    sent: str
    status: int
    detail: str | None = None


CASES = {
    # Bodies
    "a body declared larger than 64 KiB": Case(f"{POST}Content-Length: 65537\r\n\r\n", 413, TOO_LARGE),
    "a body declared as 10^18 bytes": Case(f"{POST}Content-Length: {10**18}\r\n\r\n", 413, TOO_LARGE),
    "a chunked body larger than 64 KiB": Case(
        f"{POST}{IN_CHUNKS}" + f"4000\r\n{' ' * 16384}\r\n" * 4 + "1\r\n \r\n", 413, TOO_LARGE
    ),
    "a chunk of 2^64 bytes": Case(f"{POST}{IN_CHUNKS}fffffffffffffffff\r\n", 400, NOT_HTTP),
    "a chunk of minus one byte": Case(f"{POST}{IN_CHUNKS}-1\r\n", 400, NOT_HTTP),
    "a chunk with an endless extension": Case(f"{POST}{IN_CHUNKS}1;{'x' * 90_000}", 431, HEAD_TOO_LARGE),
    "an endless trailer": Case(f"{POST}{IN_CHUNKS}0\r\nX: {'x' * 90_000}", 431, HEAD_TOO_LARGE),
    "a token in the trailer": Case(f"{POST.replace(TOKEN, '')}{IN_CHUNKS}{CHUNK}0\r\n{TOKEN}\r\n", 401, NO_TOKEN),
    "another content type in the trailer": Case(
        f"{POST}{IN_CHUNKS}{CHUNK}0\r\nContent-Type: text/plain\r\n\r\n", 201
    ),
    "negative Content-Length": Case(f"{POST}Content-Length: -1\r\n\r\n", 400, NOT_HTTP),
    "Content-Length of 30 digits": Case(f"{POST}Content-Length: {'9' * 30}\r\n\r\n", 400, NOT_HTTP),
    "Content-Length in words": Case(f"{POST}Content-Length: ten\r\n\r\n", 400, NOT_HTTP),
    "Content-Length twice": Case(post(TASK, "Content-Length: 2\r\n"), 400, NOT_HTTP),
    "Content-Length and chunks": Case(f"{POST}Content-Length: 4\r\n{IN_CHUNKS}0\r\n\r\n", 400, NOT_HTTP),
    "an unknown transfer coding": Case(f"{POST}Transfer-Encoding: gzip\r\n\r\n", 400, NOT_HTTP),
    "a body with GET": Case(get("/api/tasks", f"{TOKEN}Content-Length: 5\r\n") + "{nope", 200),
    "a duplicate member": Case(post('{"title": "", "title": "x"}'), 201),
    "JSON in gzip": Case(
        post(binary(gzip.compress(TASK.encode(), mtime=0)), "Content-Encoding: gzip\r\n"), 422, NOT_JSON
    ),
    "a gzip bomb of 60 MB": Case(
        post(binary(gzip.compress(bytes(60_000_000), mtime=0)), "Content-Encoding: gzip\r\n"), 422, NOT_JSON
    ),
    "a form": Case(
        post("title=x").replace("application/json", "application/x-www-form-urlencoded"),
        422,
        "The request body must have the Content-Type application/json.",
    ),
    "a content type that is not ASCII": Case(
        post(TASK).replace("application/json", "\xff\xfe;\x80"),
        422,
        "The request body must have the Content-Type application/json.",
    ),
    "Expect: 100-continue without a token": Case(
        post("", "Expect: 100-continue\r\n").replace(TOKEN, ""), 401, NO_TOKEN
    ),
    "Upgrade to h2c, with a body": Case(
        post(TASK, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        201,
    ),
    "Upgrade to a WebSocket": Case(get("/api/tasks", f"{TOKEN}Connection: Upgrade\r\nUpgrade: websocket\r\n"), 200),
    # Heads
    "4000 headers": Case(get("/api/tasks", TOKEN + "X: y\r\n" * 4000), 200),
    "40,000 headers": Case(get("/api/tasks", TOKEN + "X: y\r\n" * 40_000), 431, HEAD_TOO_LARGE),
    "an endless header": Case(f"GET /api/tasks HTTP/1.1\r\nX: {'x' * 90_000}", 431, HEAD_TOO_LARGE),
    "an endless path": Case(f"GET /{'x' * 90_000}", 431, HEAD_TOO_LARGE),
    "Authorization twice": Case(
        get("/api/tasks", TOKEN + TOKEN), 401, "There is more than one Authorization header"
    ),
    "Authorization in two lines": Case(get("/api/tasks", "Authorization: Bearer\r\n x\r\n"), 400, NOT_HTTP),
    "a space before a colon": Case(get("/api/tasks", TOKEN.replace(":", " :")), 400, NOT_HTTP),
    "NUL in a header": Case(get("/api/tasks", f"{TOKEN}X: \x00\r\n"), 400, NOT_HTTP),
    "a lone line feed": Case(get("/api/tasks").replace("\r\n", "\n"), 400, NOT_HTTP),
    "no Host": Case(get("/api/tasks"), 200),
    "two foreign Hosts": Case(get("/api/tasks", f"{TOKEN}Host: a\r\nHost: b\r\n"), 200),
    "X-Original-URL and X-Forwarded-User without a token": Case(
        get("/api/tasks", "X-Original-URL: /health\r\nX-Forwarded-User: admin\r\n"), 401, NO_TOKEN
    ),
    "HTTP/1.0": Case(get("/api/tasks", version="HTTP/1.0"), 200),
    "HTTP/9.9": Case(get("/api/tasks", version="HTTP/9.9"), 400, NOT_HTTP),
    "the preface of HTTP/2": Case("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, NOT_HTTP),
    "TLS": Case("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, NOT_HTTP),
    "a made-up method": Case(get("/api/tasks").replace("GET", "STEAL"), 400, NOT_HTTP),
    "CONNECT": Case("CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n", 400, NOT_HTTP),
    "CONNECT with a path": Case(get("/api/tasks").replace("GET", "CONNECT"), 400, NOT_HTTP),
    "TRACE": Case(get("/api/tasks").replace("GET", "TRACE"), 405, "Method Not Allowed"),
    "OPTIONS": Case(get("/api/tasks").replace("GET", "OPTIONS"), 405, "Method Not Allowed"),
    "OPTIONS *": Case("OPTIONS * HTTP/1.1\r\n\r\n", 404, "Not Found"),
    "the absolute form": Case(get("http://other.example/api/tasks"), 200),
    # Paths
    "%2e%2e out of /api": Case(get("/api/%2e%2e/health"), 404, "Not Found"),
    "%2e%2e out of /api, without a token": Case(get("/api/%2e%2e/health", ""), 401, NO_TOKEN),
    ".. out of /api, without a token": Case(get("/api/../health", ""), 401, NO_TOKEN),
    "%2e%2e into /api": Case(get("/%2e%2e/api/tasks", ""), 404, "Not Found"),
    "%61 for a, without a token": Case(get("/%61pi/tasks", ""), 401, NO_TOKEN),
    "%2f for a slash": Case(get("/api/tasks%2f0"), 404, "Task not found"),
    "%252f for %2f": Case(get("/api/tasks/%252f0"), 422, NOT_AN_ID),
    "a double slash before": Case(get("//api/tasks", ""), 404, "Not Found"),
    "a double slash within": Case(get("/api//tasks"), 404, "Not Found"),
    "a trailing slash": Case(get("/api/tasks/"), 200),
    "two trailing slashes": Case(get("/api/tasks//"), 404, "Not Found"),
    "capitals": Case(get("/API/tasks"), 404, "Not Found"),
    "a backslash": Case(get("/api\\tasks"), 404, "Not Found"),
    "a parameter after a semicolon": Case(get("/api/tasks;user_id=1"), 404, "Not Found"),
    "%00": Case(get("/api/tasks/%00"), 422, NOT_AN_ID),
    "%00 after an id": Case(get("/api/tasks/1%00"), 422, NOT_AN_ID),
    "%0a after an id": Case(get("/api/tasks/1%0a"), 422, NOT_AN_ID),
    "%0a after a path, which Starlette's patterns ignore": Case(get("/api/tasks%0a"), 200),
    "a digit of another script": Case(get("/api/tasks/%EF%BC%91"), 422, NOT_AN_ID),
    "malformed UTF-8": Case(get("/api/tasks/%ff%fe"), 422, NOT_AN_ID),
    "an encoded surrogate": Case(get("/api/tasks/%ed%a0%80"), 422, NOT_AN_ID),
    "SQL": Case(get("/api/tasks/1%20OR%201=1"), 422, NOT_AN_ID),
    "a raw byte over 127": Case(get("/api/tasks/\xff"), 400, NOT_HTTP),
    "a query of 5000 parameters": Case(get(f"/api/tasks?{'a&' * 5000}"), 200),
    "status twice": Case(
        get("/api/tasks?status=all&status=x"), 422, "The status must be all, pending or completed."
    ),
    "status[] and other forms": Case(get("/api/tasks?status[]=x&Status=x&status%00=x"), 200),
}


@dataclass
class Connection:
    """A connection on which answers are read one by one."""

    socket: socket.socket
    file: BufferedReader

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode("latin-1"))

    def answer(self, *, body: bool = True) -> tuple[int, Message, Any]:
        """Return status, header fields and what the JSON of the body says."""
        line = self.file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        fields = http.client.parse_headers(self.file)
        content = self.file.read(int(fields["Content-Length"])) if body else b""
        return int(line.split()[1]), fields, json.loads(content) if body else None

    def is_closed(self) -> bool:
        """Wait until the server has said all, and tell whether that was nothing more."""
        try:
            return self.file.read() == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def connect(service: Service) -> Iterator[Callable[[], Connection]]:
    connections = []

    def connect() -> Connection:
        url = httpx2.URL(service.base_url)
        connection = socket.create_connection((url.host, url.port or 0), timeout=30)
        connections.append(connection)
        return Connection(connection, connection.makefile("rb"))

    yield connect
    for connection in connections:
        connection.close()


@pytest.fixture
def token(user: str) -> str:
    return bearer(user)["Authorization"]


@pytest.mark.proves("SEC-4")
@pytest.mark.parametrize("name", CASES)
def test_a_hostile_request_has_its_answer(connect: Callable[[], Connection], token: str, name: str) -> None:
    case, connection = CASES[name], connect()
    connection.send(case.sent.replace("{token}", token))
    status, fields, body = connection.answer()
    assert status == case.status, body
    assert fields["Content-Type"] == "application/json"
    if case.detail is None:
        assert "detail" not in body
    else:
        assert body["detail"] == case.detail
        assert body.keys() == ({"detail", "errors"} if status == 422 else {"detail"})


@pytest.mark.proves("SEC-4")
def test_the_table_of_the_documentation_is_this_one() -> None:
    table = (ROOT / "docs" / "security.md").read_text().split("## Hostile requests")[1].split("\n## ")[0]
    rows = re.findall(r"(?m)^\| (\d{3}) \| (.*) \| (.*) \|$", table)
    listed = [(name, int(status), detail) for status, detail, names in rows for name in names.split("; ")]
    assert sorted(listed) == sorted((name, case.status, case.detail or "-") for name, case in CASES.items())


@pytest.mark.proves("SEC-4")
def test_head_has_no_body(connect: Callable[[], Connection], token: str) -> None:
    connection = connect()
    connection.send(get("/api/tasks").replace("GET", "HEAD").replace("{token}", token) + get("/health"))
    assert connection.answer(body=False)[0] == 405
    assert connection.answer()[0] == 200


@pytest.mark.proves("SEC-4")
def test_http_1_0_is_closed_after_the_answer(connect: Callable[[], Connection]) -> None:
    connection = connect()
    connection.send(get("/health", "Host: x\r\n", "HTTP/1.0"))
    assert connection.answer()[0] == 200
    assert connection.is_closed()


@pytest.mark.proves("SEC-4")
def test_pipelined_requests_are_answered_in_order(connect: Callable[[], Connection], token: str) -> None:
    connection = connect()
    tasks = [post(json.dumps({"title": str(number)})) for number in range(20)]
    connection.send("".join([*tasks, get("/api/tasks")]).replace("{token}", token))
    assert [connection.answer()[2]["title"] for _ in tasks] == [str(number) for number in range(20)]
    assert len(connection.answer()[2]) == 20


@pytest.mark.proves("SEC-4")
def test_what_follows_a_request_is_not_taken_for_its_answer(connect: Callable[[], Connection], token: str) -> None:
    """A request was carried out; the 400 for the garbage after it must not say that it was not."""
    connection = connect()
    connection.send(post(TASK).replace("{token}", token) + "garbage\r\n\r\n")
    assert connection.answer()[0] == 201


@pytest.mark.proves("SEC-4")
def test_a_request_within_a_request_is_its_body(connect: Callable[[], Connection], token: str) -> None:
    connection = connect()
    connection.send(post(get("/health", "")).replace("{token}", token))
    assert connection.answer()[2]["detail"] == NOT_JSON
    connection.send(get("/health", ""))
    assert connection.answer()[2] == {"status": "ok"}


@pytest.mark.proves("SEC-4")
def test_what_is_sent_in_excess_is_not_kept(service: Service, connect: Callable[[], Connection]) -> None:
    """A client that goes on sending, body or head, uses none of the service's memory."""
    process = psutil.Process(service.process.pid)
    before = process.memory_info().rss
    for sent in (f"{POST}Content-Length: 1000000000\r\n\r\n", "GET / HTTP/1.1\r\nX: "):
        connection = connect()
        connection.send(sent)
        with contextlib.suppress(OSError):  # it may be cut off, and it may be thrown away
            for _ in range(300):
                connection.send("x" * 1_000_000)
    assert process.memory_info().rss - before < 50_000_000


@pytest.mark.proves("SEC-5")
def test_slow_clients_hold_nothing_up(service: Service, connect: Callable[[], Connection], token: str) -> None:
    """A byte a second is not enough, whatever it is a byte of; meanwhile others are served."""
    body = POST.replace("{token}", token).replace("\r\n", f"\r\nOrigin: {ORIGIN}\r\n", 1)
    slow = {
        "body": f"{body}Content-Length: 1000\r\n\r\n",
        "chunks": f"{body}{IN_CHUNKS}",
        "refused body": f"{POST.replace('{token}', 'Bearer x')}Content-Length: 1000\r\n\r\n",
        "head": "GET /health HTTP/1.1\r\nX: ",
        "nothing": "",
    }
    connections = {name: connect() for name in slow}
    crowd = [connect() for _ in range(100)]
    began = time.monotonic()
    for name, connection in connections.items():
        connection.send(slow[name])
    for connection in crowd:
        connection.send(slow["body"])

    ended: dict[str, float] = {}

    def drip(name: str) -> None:
        connection = connections[name]
        connection.socket.settimeout(1)
        while True:
            try:
                if connection.socket.recv(1, socket.MSG_PEEK) and name != "refused body":
                    break
                if connection.socket.recv(65536) == b"":
                    break
            except TimeoutError:
                connection.send({"chunks": "1\r\n \r\n", "nothing": ""}.get(name, " "))
            except OSError:
                break
        ended[name] = time.monotonic() - began
        connection.socket.settimeout(30)

    threads = [threading.Thread(target=drip, args=[name]) for name in slow]
    for thread in threads:
        thread.start()
    with service.client("somebody") as client:
        assert client.post("/api/tasks", json={"title": "x"}).status_code == 201
    for thread in threads:
        thread.join(60)
    assert ended.keys() == slow.keys()
    assert all(4 < seconds < 40 for seconds in ended.values()), ended

    late = {"detail": "The body did not arrive within 10 seconds"}
    for connection in (connections["body"], connections["chunks"], *crowd):
        status, fields, answer = connection.answer()
        assert (status, answer, fields["Connection"]) == (408, late, "close")
        assert fields["Access-Control-Allow-Origin"] == ORIGIN
        assert connection.is_closed()
    assert connections["head"].answer()[::2] == (408, {"detail": "The request did not arrive in time"})
    assert connections["head"].is_closed()
    assert connections["nothing"].is_closed()


@contextlib.contextmanager
def listening(
    app: ASGIApp, *, keep_alive: int = 5, stop_after: int | None = None
) -> Iterator[tuple[uvicorn.Server, Callable[[], socket.socket]]]:
    """Serve an application in this process, under the protocol alone, and yield the way to connect to it."""
    options: dict[str, Any] = {"timeout_keep_alive": keep_alive, "timeout_graceful_shutdown": stop_after}
    config = uvicorn.Config(app, http=protocol.BoundedProtocol, lifespan="off", log_config=None, **options)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield server, lambda: socket.create_connection(listener.getsockname()[:2], timeout=30)
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.proves("SEC-5")
def test_an_answer_that_is_not_taken_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "WRITE_TIMEOUT", 0.5)
    with listening(PlainTextResponse("x" * 20_000_000)) as (server, connect):
        with connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            wait_until(lambda: server.server_state.total_requests == 1)
            wait_until(lambda: not server.server_state.connections)
        with connect() as client, client.makefile("rb") as answer:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert len(answer.read()) > 20_000_000


@pytest.mark.proves("SEC-5")
def test_an_answer_that_is_taken_late_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_TIMEOUT", 0.1)
    with (
        listening(PlainTextResponse("x" * 20_000_000)) as (server, connect),
        connect() as client,
        client.makefile("rb") as answer,
    ):
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        wait_until(lambda: server.server_state.total_requests == 1)
        [connection] = server.server_state.connections
        wait_until(connection.transport.is_closing)
        assert len(answer.read()) > 20_000_000


@pytest.mark.proves("SEC-5")
def test_a_little_of_an_answer_that_is_not_taken_is_not_kept_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little that uvicorn goes on, and closes the connection as an idle one."""
    monkeypatch.setattr(protocol, "WRITE_TIMEOUT", 0.5)

    async def more_than_is_taken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        [connection] = server.server_state.connections
        while not connection.transport.get_write_buffer_size():
            await send({"type": "http.response.body", "body": b"x" * 4096, "more_body": True})
        await send({"type": "http.response.body"})

    with listening(more_than_is_taken) as (server, connect), connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: server.server_state.total_requests == 1)
        wait_until(lambda: not server.server_state.connections)


@pytest.mark.proves("SEC-5", "CLI-5")
@pytest.mark.filterwarnings("ignore:unclosed resource")  # uvicorn leaves the connection to the end of the loop
def test_an_answer_that_is_not_taken_does_not_keep_a_stop_waiting() -> None:
    with contextlib.ExitStack() as stack:
        with listening(PlainTextResponse("x" * 20_000_000), stop_after=1) as (server, connect):
            client = stack.enter_context(connect())
            client.sendall(b"GET / HTTP/1.1\r\n\r\n" * 2)
            wait_until(lambda: server.server_state.total_requests == 1)
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 5


@pytest.mark.proves("SEC-4")
def test_requests_in_line_are_bounded() -> None:
    with listening(PlainTextResponse("")) as (_, connect), connect() as client, client.makefile("rb") as answers:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx" * 50_000)
        *others, last = answers.read().split(b"HTTP/1.1 200 OK\r\n")[1:]
        assert len(others) == protocol.MAX_PIPELINED
        assert b"connection: close" in last
        assert not any(b"connection: close" in answer for answer in others)


@pytest.mark.proves("SEC-4")
def test_requests_in_line_end_with_their_connection(caplog: pytest.LogCaptureFixture) -> None:
    """The first is answered, and not taken; so the second waits, when the connection is reset."""
    with listening(PlainTextResponse("x" * 20_000_000)) as (server, connect):
        with connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n" * 3)
            wait_until(lambda: server.server_state.total_requests == 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: not server.server_state.tasks)
    assert server.server_state.total_requests == 1
    assert caplog.text == ""


@pytest.mark.proves("ERR-2", "SEC-4")
def test_a_refusal_is_read_by_a_client_that_goes_on_sending(service: Service, token: str) -> None:
    """One that says Connection: close, as nginx does to what is behind it, and is answered before its end."""
    for headers, status in ({"Authorization": token}, 413), ({}, 401):
        address = httpx2.URL(service.base_url)
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.request("POST", "/api/tasks", b"x" * 5_000_000, {**headers, "Connection": "close"})
        assert connection.getresponse().status == status
        connection.close()


@pytest.mark.proves("SEC-5")
def test_a_second_head_has_its_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT", 0.3)
    with (
        listening(PlainTextResponse("first")) as (_, connect),
        connect() as client,
        client.makefile("rb") as answer,
    ):
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: client.recv(65536, socket.MSG_PEEK).endswith(b"first"))
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert re.fullmatch(rb"HTTP/1.1 200 .*first" + LATE, answer.read(), re.DOTALL)


@pytest.mark.proves("SEC-5")
def test_an_answer_under_way_is_not_cut_off_by_the_head_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT", 0.3)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1)
        await PlainTextResponse("first")(scope, receive, send)

    with listening(slow) as (_, connect), connect() as client, client.makefile("rb") as answer:
        client.sendall(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n")
        assert re.fullmatch(rb"HTTP/1.1 200 .*first" + LATE, answer.read(), re.DOTALL)


LATE = rb'HTTP/1.1 408 .*{"detail": "The request did not arrive in time"}'
