"""What the service says when something is wrong, and to whom a browser lets it be said."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.types import Message, Receive, Scope, Send

from tests.service import JSON, ORIGIN, Service, bearer, serving
from todo_backend.http.body import BodyLimitMiddleware
from todo_backend.http.errors import ErrorMiddleware, TodoError, handle_http_exception
from todo_backend.http.paths import TrailingSlashMiddleware, not_found_detail
from todo_backend.http.validation import ValidationErrorHandler
from todo_backend.tasks.models import DESCRIPTION_MAX_LENGTH, TITLE_MAX_LENGTH
from todo_backend.tasks.ownership import TaskNotFound

ASTRAL = "\N{GRINNING FACE}"  # one code point, two UTF-16 units, four bytes
LONGEST = "x" * TITLE_MAX_LENGTH


def test_the_server_does_not_say_what_it_is(anonymous: httpx2.Client) -> None:
    assert "Server" not in anonymous.get("/health").headers


@pytest.mark.proves("VAL-1")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [("x", "x"), ("  x y\t\n", "x y"), ("\u00a0x\u2003", "x"), (" " * 300 + LONGEST + " " * 300, LONGEST)]
    + [(text, text) for text in (ASTRAL * TITLE_MAX_LENGTH, "<b>\"'\\/", "e\u0301", "\u200b", "\x01\x7f")],
)
def test_titles_that_are_accepted(client: httpx2.Client, sent: str, kept: str) -> None:
    created = client.post("/api/tasks", json={"title": sent}).json()
    assert created["title"] == kept
    assert client.put(f"/api/tasks/{created['id']}", json={"title": sent}).json()["title"] == kept
    assert client.get("/api/tasks").json()[0]["title"] == kept


@pytest.mark.proves("VAL-1")
@pytest.mark.parametrize(
    "description", ["", "  x ", "x" * DESCRIPTION_MAX_LENGTH, ASTRAL * DESCRIPTION_MAX_LENGTH, "a\r\nb"]
)
def test_descriptions_are_kept_as_sent(client: httpx2.Client, description: str) -> None:
    created = client.post("/api/tasks", json={"title": "x", "description": description}).json()
    assert created["description"] == description
    assert client.put(f"/api/tasks/{created['id']}", json={"description": description}).json() != created
    assert client.get("/api/tasks").json()[0]["description"] == description


LENGTH = {
    "title": "The title must have 1 to 200 characters.",
    "description": "The description must have at most 1000 characters.",
}
SENTENCES = {
    "string_type": "The {} must be text.",
    "string_nul": "The {} has a character that cannot be stored.",
    "string_unicode": "The {} has a character that cannot be stored.",
}


@pytest.mark.proves("VAL-1", "VAL-2", "VAL-4")
@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("title", "", "string_too_short"),
        ("title", " \t\n\u00a0", "string_too_short"),
        ("title", "x" * (TITLE_MAX_LENGTH + 1), "string_too_long"),
        ("title", ASTRAL * (TITLE_MAX_LENGTH + 1), "string_too_long"),
        ("title", None, "string_type"),
        ("title", 1, "string_type"),
        ("title", ["x"], "string_type"),
        ("title", "a\x00b", "string_nul"),
        ("title", "\ud800", "string_unicode"),
        ("title", "\udfff\ud83d", "string_unicode"),
        ("description", "x" * (DESCRIPTION_MAX_LENGTH + 1), "string_too_long"),
        ("description", 1, "string_type"),
        ("description", {}, "string_type"),
        ("description", "\x00", "string_nul"),
        ("description", "\udc00", "string_unicode"),
    ],
)
def test_values_that_are_rejected(client: httpx2.Client, field: str, value: object, kind: str) -> None:
    task = client.post("/api/tasks", json={"title": "x"}).json()
    body = json.dumps({"title": "x"} | {field: value})
    for method, path in [("POST", "/api/tasks"), ("PUT", f"/api/tasks/{task['id']}")]:
        answer = client.request(method, path, content=body, headers=JSON)
        [error] = answer.json()["errors"]
        assert (answer.status_code, error["loc"], error["type"]) == (422, ["body", field], kind)
        assert sorted(error) == ["loc", "msg", "type"]
        assert answer.json()["detail"] == SENTENCES.get(kind, LENGTH[field]).format(field)
    assert client.get("/api/tasks").json() == [task]


@pytest.mark.proves("VAL-4")
def test_every_fault_is_told(client: httpx2.Client) -> None:
    answer = client.post("/api/tasks", json={"description": "\x00"})
    assert [error["loc"] for error in answer.json()["errors"]] == [["body", "title"], ["body", "description"]]
    nul = "The description has a character that cannot be stored."
    assert answer.json()["detail"] == f"The title is missing. {nul}"
    assert [error["msg"] for error in answer.json()["errors"]] == [
        "Field required",
        "String should not contain the NUL character",
    ]


def test_an_error_without_a_sentence_of_its_own_has_one() -> None:
    """Whoever adds a field may forget the table of tasks/messages.py."""
    error = RequestValidationError([{"loc": ("body", "priority"), "msg": "...", "type": "less_than"}], body={})
    answer = asyncio.run(ValidationErrorHandler({}, {})(Request({"type": "http"}), error))
    assert json.loads(bytes(answer.body))["detail"] == "The priority must be valid."


@pytest.mark.proves("VAL-3", "VAL-4")
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'title': 'x'}",
        b'{"title": "x"',
        b'{"title": "x",}',
        b'{"title": "x"} x',
        b'{"title": "\xff"}',
        b'{"title": "\xed\xa0\x80"}',
        '{"title": "x"}'.encode("utf-16"),
        b'{"title": "x", "other": NaN}',
        b'{"title": "x", "other": -Infinity}',
        b'{"title": "x", "other": ' + b"9" * 5000 + b"}",
        b"[" * 60000,
        b'{"title": "a\nb"}',
        b"\x00",
    ],
)
def test_what_is_not_json_is_rejected(client: httpx2.Client, body: bytes) -> None:
    answer = client.post("/api/tasks", content=body, headers=JSON)
    errors = [{"loc": ["body"], "msg": "Not valid JSON", "type": "json_invalid"}]
    detail = "The request body is not valid JSON."
    assert (answer.status_code, answer.json()) == (422, {"detail": detail, "errors": errors})


@pytest.mark.proves("VAL-3")
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"1", b'[{"title": "x"}]'])
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/tasks"), ("PUT", "/api/tasks/1")])
def test_json_of_another_shape_is_rejected(client: httpx2.Client, method: str, path: str, body: bytes) -> None:
    answer = client.request(method, path, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body"])
    assert answer.json()["detail"] == f"The request body {'must be a JSON object' if body else 'is missing'}."


@pytest.mark.proves("VAL-3")
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_other_content_types_are_rejected(client: httpx2.Client, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post("/api/tasks", content=b'{"title": "x"}', headers=headers)
    fault = {"loc": ["body"], "msg": "Content-Type must be application/json", "type": "content_type"}
    detail = "The request body must have the Content-Type application/json."
    assert (answer.status_code, answer.json()) == (422, {"detail": detail, "errors": [fault]})


@pytest.mark.proves("VAL-3")
@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/problem+json"]
)
def test_json_content_types_are_accepted(client: httpx2.Client, kind: str) -> None:
    answer = client.post("/api/tasks", content=b'{"title": "x"}', headers={"Content-Type": kind})
    assert answer.status_code == 201


@pytest.mark.proves("ERR-1")
def test_what_is_wrong_first_decides(client: httpx2.Client, stranger: httpx2.Client) -> None:
    task = client.post("/api/tasks", json={"title": "x"}).json()
    path = f"/api/tasks/{task['id']}"
    large, invalid = b"{" * 65537, b"{"

    def put(client: httpx2.Client, path: str, body: bytes, **headers: str) -> int:
        return client.put(path, content=body, headers=JSON | headers).status_code

    assert put(stranger, path, large, Authorization="Bearer bad") == 401
    assert put(stranger, path, large) == 413
    assert put(stranger, "/api/tasks/abc", large) == 413
    assert put(stranger, "/api/nothing", large) == 413
    assert put(stranger, path, invalid) == 422
    assert put(stranger, "/api/tasks/0", invalid) == 422
    assert put(stranger, path, b"{}") == 403
    assert put(stranger, "/api/tasks/0", b"{}") == 404


def in_chunks(body: bytes) -> Iterator[bytes]:
    yield from (body[start : start + 1000] for start in range(0, len(body), 1000))


@pytest.mark.proves("ERR-2")
@pytest.mark.parametrize("send", [bytes, in_chunks], ids=["declared", "chunked"])
def test_a_body_over_64_kib_is_refused(client: httpx2.Client, send: Callable[[bytes], Any]) -> None:
    task = client.post("/api/tasks", json={"title": "x"}).json()
    fits = b'{"title": "y"}'.ljust(65536)
    for method, path in [
        ("GET", "/api/tasks"),
        ("PATCH", f"/api/tasks/{task['id']}/complete"),
        ("POST", "/api/tasks"),
        ("PUT", f"/api/tasks/{task['id']}"),
        ("DELETE", f"/api/tasks/{task['id']}"),
    ]:
        answer = client.request(method, path, content=send(fits + b" "), headers=JSON)
        assert (answer.status_code, answer.json()) == (413, {"detail": "The body is larger than 64 KiB"})
        assert client.get("/api/tasks").json() == [task]
    assert client.post("/api/tasks", content=send(fits), headers=JSON).status_code == 201


@pytest.mark.proves("ERR-2")
@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 1000000000\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n10001\r\n" + b" " * 65537 + b"\r\n",
    ],
)
def test_the_rest_of_the_body_is_not_waited_for(service: Service, body: bytes) -> None:
    with service.send("POST", "/api/tasks", bearer("x") | JSON, body) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.proves("DATA-9")
def test_a_client_that_leaves_in_the_middle_of_its_body_is_let_go(service: Service, client: httpx2.Client) -> None:
    service.send("POST", "/api/tasks", bearer("x") | JSON, b"Content-Length: 9\r\n\r\n{").close()
    assert client.get("/api/tasks").status_code == 200
    assert "Traceback" not in service.log.read_text()


@pytest.mark.proves("ERR-3")
@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/", 404, None),
        ("GET", "/nothing", 404, None),
        ("GET", "/api", 404, None),
        ("GET", "/api/nothing", 404, None),
        ("GET", "/api/nothing/", 404, None),
        ("GET", "/api/tasks//", 404, None),
        ("GET", "/api/tasks/1/complete//", 404, None),
        ("GET", "/api/tasks/1/nothing", 404, None),
        ("GET", "/docs/", 404, None),
        ("GET", "/health/", 404, None),
        ("PATCH", "/api/tasks/1", 405, "DELETE, GET, PUT"),
        ("DELETE", "/api/tasks", 405, "GET, POST"),
        ("OPTIONS", "/api/tasks", 405, "GET, POST"),
        ("GET", "/api/tasks/1/complete", 405, "PATCH"),
        ("PATCH", "/api/tasks/1/", 405, "DELETE, GET, PUT"),
        ("DELETE", "/api/tasks/", 405, "GET, POST"),
        ("GET", "/api/tasks/1/complete/", 405, "PATCH"),
        ("PROPFIND", "/api/tasks", 405, "GET, POST"),
        ("POST", "/health", 405, "GET"),
        ("POST", "/docs", 405, "HEAD, GET"),
    ],
)
def test_unknown_paths_and_methods(
    client: httpx2.Client, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = client.request(method, path)
    detail = {404: "Not Found", 405: "Method Not Allowed"}[status]
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})
    assert sorted(answer.headers.get("Allow", "").split(", ")) == sorted((allow or "").split(", "))


API_TWICE = "The path has /api twice: tasks are at /api/tasks, and the user comes from the token"
NO_USER_ID_IN_PATH = "Tasks are at /api/tasks, without a user id in the path: the user comes from the token"


@pytest.mark.proves("ERR-6")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("path", ["", "/", "/1", "/1/complete", "/1/complete/", "/%0a"])
def test_a_user_id_in_the_path_has_an_answer_of_its_own(
    client: httpx2.Client, anonymous: httpx2.Client, method: str, path: str
) -> None:
    for user in ("ada", "1", "a%20b", "me@example.com"):
        answer = client.request(method, f"/api/{user}/tasks{path}")
        assert (answer.status_code, answer.json()) == (404, {"detail": NO_USER_ID_IN_PATH})
        assert anonymous.request(method, f"/api/{user}/tasks{path}").status_code == 401


@pytest.mark.proves("ERR-3", "ERR-6")
@pytest.mark.parametrize(
    "path", ["/api/ada/bob/tasks", "/api/ada/tasksx", "/api/ada/Tasks", "/api//tasks", "/api/x"]
)
def test_other_unknown_paths_are_plain(client: httpx2.Client, path: str) -> None:
    assert client.get(path).json() == {"detail": "Not Found"}


@pytest.mark.proves("ERR-6")
@pytest.mark.parametrize("path", ["", "/tasks", "/tasks/1/complete", "/ada/tasks"])
def test_api_twice_in_the_path_has_an_answer_of_its_own(client: httpx2.Client, path: str) -> None:
    """A base URL that ends in /api, in front of a path that begins with it."""
    answer = client.get(f"/api/api{path}")
    assert (answer.status_code, answer.json()) == (404, {"detail": API_TWICE})


@pytest.mark.proves("ERR-6")
def test_a_404_of_a_route_keeps_its_detail() -> None:
    """Whoever adds a route may raise FastAPI's own error, on any path."""
    scope = {"type": "http", "path": "/api/team/tasks", "route": None}
    answer = asyncio.run(handle_http_exception(Request(scope), HTTPException(404, "No such team")))
    assert json.loads(bytes(answer.body)) == {"detail": "No such team"}


@pytest.mark.proves("ERR-3", "ERR-6")
def test_unknown_paths_are_told_apart_without_root_path() -> None:
    for root in ("", "/root"):
        scope: Scope = {"type": "http", "path": f"{root}/api/ada/tasks", "root_path": root}
        assert not_found_detail(scope) == NO_USER_ID_IN_PATH
    assert not_found_detail({"type": "http", "path": "/api/ada/tasks", "root_path": "/root"}) == NO_USER_ID_IN_PATH
    assert not_found_detail({"type": "http", "path": "/x/api/ada/tasks"}) == "Not Found"


@pytest.mark.proves("ERR-3")
@pytest.mark.parametrize(
    ("path", "routed"),
    [
        ("/api/tasks/", "/api/tasks"),
        ("/api/tasks/1/", "/api/tasks/1"),
        ("/api/tasks/1/complete/", "/api/tasks/1/complete"),
        ("/api/tasks", "/api/tasks"),
        ("/api/tasks//", "/api/tasks/"),
        ("/api/tasksx/", "/api/tasksx/"),
        ("/api/tasks\n/", "/api/tasks\n/"),
        ("/health/", "/health/"),
        ("/", "/"),
    ],
)
@pytest.mark.parametrize("root", ["", "/root", "/api/tasks"])
def test_a_trailing_slash_is_cut_off(path: str, routed: str, root: str) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    scope: Scope = {"type": "http", "path": root + path, "root_path": root}
    asyncio.run(TrailingSlashMiddleware(app, prefix="/api/tasks")(scope, receive_nothing, into([])))
    assert seen[0]["path"] == root + routed
    assert scope["path"] == root + path  # the access log tells what was asked for


def cors_headers(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.proves("ERR-4", "CORS-1", "HTTP-1")
def test_a_bug_is_a_500_that_tells_nothing(broken: Service) -> None:
    with broken.client("user") as client:
        answer = client.get("/api/tasks", headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal server error"})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Cache-Control"] == "no-store"
    log = broken.log.read_text()
    assert re.search(r"ERROR GET /api/tasks failed\nTraceback(.|\n)*UndefinedColumn", log)


@pytest.mark.proves("ERR-4")
def test_an_answer_that_breaks_off_is_not_begun_again() -> None:
    """What has been sent cannot be taken back: the server cuts the connection, and the client knows."""

    async def break_off(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("in the middle")

    sent: list[Message] = []
    with pytest.raises(RuntimeError, match="in the middle"):
        asyncio.run(ErrorMiddleware(break_off)({"type": "http"}, receive_nothing, into(sent)))
    assert [message["type"] for message in sent] == ["http.response.start"]


@pytest.mark.proves("CLI-5", "ERR-4")
def test_a_request_that_a_stop_cuts_off_is_answered() -> None:
    """The server cancels it; test_serve_does_not_wait_for_ever is the same with a server."""

    async def cut_off() -> None:
        request = asyncio.create_task(ErrorMiddleware(wait)({"type": "http"}, receive_nothing, into(sent)))
        await asyncio.sleep(0)
        request.cancel()
        await request

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    sent: list[Message] = []
    asyncio.run(cut_off())
    start, body = sent
    assert (start["status"], dict(start["headers"])[b"retry-after"]) == (503, b"1")
    assert json.loads(body["body"]) == {"detail": "The service is stopping"}


def received_through_the_limit(*messages: Message) -> list[Message]:
    """Return the two messages that the application gets if the server has these; none if it is not called."""
    left = list(messages)
    received: list[Message] = []

    async def receive() -> Message:
        return left.pop(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.extend([await receive(), await receive()])

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    asyncio.run(BodyLimitMiddleware(app)(scope, receive, into([])))
    return received


def test_after_the_body_comes_what_the_server_says() -> None:
    """As ASGI has it: that the client has left, for example. An empty body may be left out."""
    left = {"type": "http.disconnect"}
    for first, body in ({"body": b"x"}, b"x"), ({}, b""):
        received = received_through_the_limit({"type": "http.request"} | first, left)
        assert received == [{"type": "http.request", "body": body, "more_body": False}, left]


def test_a_client_that_leaves_within_its_body_has_done_nothing() -> None:
    """Though what has arrived may be a whole one by itself."""
    part = {"type": "http.request", "body": b'{"title": "x"}', "more_body": True}
    assert received_through_the_limit(part, {"type": "http.disconnect"}, {"type": "http.disconnect"}) == []


def into(sent: list[Message]) -> Send:
    async def send(message: Message) -> None:
        sent.append(message)

    return send


async def receive_nothing() -> Message:
    raise NotImplementedError


@pytest.mark.parametrize("error", [TodoError(), TaskNotFound(), TaskNotFound("Gone")])
def test_an_error_says_in_the_log_what_it_says_in_the_answer(error: TodoError) -> None:
    assert str(error) == error.detail


@pytest.mark.proves("CORS-1", "HTTP-1")
def test_a_listed_origin_may_read_every_answer(client: httpx2.Client, stranger: httpx2.Client) -> None:
    task = client.post("/api/tasks", json={"title": "x"}, headers={"Origin": ORIGIN})
    path = f"/api/tasks/{task.json()['id']}"
    answers = {
        200: client.get("/api/tasks", headers={"Origin": ORIGIN}),
        201: task,
        401: client.get("/api/tasks", headers={"Origin": ORIGIN, "Authorization": ""}),
        403: stranger.get(path, headers={"Origin": ORIGIN}),
        404: client.get("/api/tasks/0", headers={"Origin": ORIGIN}),
        405: client.post(path, headers={"Origin": ORIGIN}),
        413: client.post("/api/tasks", content=b"x" * 65537, headers={"Origin": ORIGIN}),
        422: client.get("/api/tasks/x", headers={"Origin": ORIGIN}),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Vary"] == "Origin"
        assert cors_headers(answer) == {
            "access-control-allow-origin": ORIGIN,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "Retry-After, WWW-Authenticate",
        }


@pytest.mark.proves("CORS-2")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_preflight_needs_no_token(anonymous: httpx2.Client, method: str) -> None:
    answer = anonymous.options(
        "/api/tasks/1",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    allowed = cors_headers(answer)
    assert allowed["access-control-allow-origin"] == ORIGIN
    assert allowed["access-control-allow-credentials"] == "true"
    assert allowed["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE"
    assert allowed["access-control-allow-headers"] == "authorization, content-type"
    assert allowed["access-control-max-age"] == "600"


@pytest.mark.proves("CORS-2")
@pytest.mark.parametrize(
    ("requested", "allowed"),
    [
        ("authorization,baggage,content-type,sentry-trace,traceparent", None),
        ("X-Other", None),
        ("x_1!#$%&'*+.^`|~-", None),
        ("*", None),
        ("", ""),
        ("a b, c:d, e\xe9, (f), \tg\t,,h", "g, h"),
    ],
)
def test_a_preflight_may_name_any_header_field(service: Service, requested: str, allowed: str | None) -> None:
    """Sentry and OpenTelemetry add theirs to every fetch of a page. What is no field name is not repeated."""
    headers = {"Access-Control-Request-Method": "GET", "Origin": ORIGIN}
    fields = f"Access-Control-Request-Headers: {requested}\r\n\r\n".encode("latin-1")
    with service.send("OPTIONS", "/api/tasks", headers, fields) as connection:
        answer = connection.recv(65536).decode("latin-1")
    assert answer.startswith("HTTP/1.1 200 ")
    expected = ", ".join(requested.split(",")) if allowed is None else allowed
    assert f"\r\naccess-control-allow-headers: {expected}\r\n" in answer


@pytest.mark.proves("CORS-2")
def test_a_preflight_that_names_no_header_field_is_allowed_none(anonymous: httpx2.Client) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    assert "access-control-allow-headers" not in cors_headers(anonymous.options("/api/tasks", headers=headers))


@pytest.mark.proves("CORS-2")
def test_a_preflight_for_another_method_is_rejected(anonymous: httpx2.Client) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "TRACE"}
    assert anonymous.options("/api/tasks", headers=headers).status_code == 400


@pytest.mark.proves("CORS-3")
def test_a_preflight_of_another_origin_is_told_why(anonymous: httpx2.Client) -> None:
    headers = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}
    answer = anonymous.options("/api/tasks", headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"detail": "Origin not allowed"})


PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "traceparent"}


@pytest.mark.proves("CORS-3")
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost",
        "https://localhost:3000",
        "http://localhost:3000.evil.example",
    ],
)
def test_another_origin_gets_nothing(client: httpx2.Client, origin: str) -> None:
    for answer in (
        client.get("/api/tasks", headers={"Origin": origin}),
        client.get("/api/tasks", headers={"Origin": origin, "Authorization": "Bearer bad"}),
        client.options("/api/tasks", headers={"Origin": origin} | PREFLIGHT),
    ):
        assert cors_headers(answer) == {}
        assert answer.headers["Vary"] == "Origin"
        assert list(answer.json()) == ["detail"] or answer.status_code == 200


@pytest.mark.proves("CORS-1", "CORS-3")
def test_origins_are_configured(tmp_path: Path, url: Callable[[str], str]) -> None:
    origins = "https://app.example.com, HTTPS://Other.Example.com:8443/, "
    with serving(tmp_path, url("shared"), CORS_ORIGINS=origins) as service, service.client("x") as client:

        def allowed(origin: str) -> str | None:
            return cors_headers(client.get("/health", headers={"Origin": origin})).get(
                "access-control-allow-origin"
            )

        assert allowed("https://app.example.com") == "https://app.example.com"
        assert allowed("https://other.example.com:8443") == "https://other.example.com:8443"
        assert allowed(ORIGIN) is None


@pytest.mark.proves("HTTP-2")
def test_health(anonymous: httpx2.Client) -> None:
    answer = anonymous.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "Cache-Control" not in answer.headers
