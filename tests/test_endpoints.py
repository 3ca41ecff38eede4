"""EndpointMiddleware: the same answers as FastAPI's own, and FastAPI for whatever it does not know."""

import asyncio
import contextlib
import itertools
import random
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Literal

import httpx2
import psycopg
import pytest
import uvicorn
from fastapi import (
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
)
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, APIRouter, iter_route_contexts
from pydantic import SecretStr
from starlette.middleware import Middleware

from tests.service import SECRET, bearer, wait_until
from todo_backend.http import endpoints
from todo_backend.http.body import BodyLimitMiddleware
from todo_backend.http.endpoints import Endpoint, EndpointMiddleware
from todo_backend.main import app as service
from todo_backend.main import create_app
from todo_backend.settings import Settings
from todo_backend.tasks.models import TaskCreate

JSON = {"Content-Type": "application/json"}
HEADERS: list[dict[str, str]] = [
    bearer("me") | JSON,
    bearer("me") | JSON | {"Origin": "http://localhost:3000", "Cookie": "a=b"},
    bearer("you") | JSON,
    bearer("me"),
    bearer("me") | {"Content-Type": "application/json; charset=utf-8"},
    bearer("me") | {"Content-Type": "APPLICATION/JSON"},
    bearer("me") | {"Content-Type": "application/merge-patch+json"},
    bearer("me") | {"Content-Type": "text/plain"},
    {"Authorization": "Bearer x"},
    {},
]
PATHS = [
    "1",
    "2",
    "3",
    "0",
    "-1",
    "01",
    "9" * 30,
    "1.0",
    "x",
    "%00",
    "1/",
    "1/complete",
    "2/complete",
    "1/complete/",
    "1/2",
]
QUERIES = [
    "",
    "?status=all",
    "?status=pending",
    "?status=",
    "?status=x&status=completed",
    "?status=%00",
    "?STATUS=x&a=b",
]
BODIES = [
    b'{"title": "Buy milk"}',
    b'{"title": " Buy milk ", "description": null, "completed": true, "id": 7}',
    b'{"description": "Two litres"}',
    b'{"title": "", "description": 3}',
    b'{"title": "\\u0000"}',
    b'{"title": "\\ud800"}',
    b'{"title": "a", "title": "b"}',
    b'{"completed": true}',
    b"{}",
    b"[]",
    b"null",
    b'{"title": NaN}',
    b'{"title": "\xff"}',
    b"{",
    b"[" * 60_000,
    b"x" * 65_537,
    b"",
]


def hostile_requests() -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """Every method and path once, and then at random: the same for every run."""
    yield from itertools.product(["POST", "POST"], ["/api/tasks"], HEADERS[:3], BODIES[:2])
    paths = ["", *(f"/{path}" for path in PATHS)]
    yield from itertools.product(
        ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"], paths[:-1], HEADERS[:1], [b""]
    )
    choose = random.Random(20261128).choice
    for _ in range(420):
        method = choose(["GET", "GET", "POST", "POST", "PUT", "PUT", "PATCH", "DELETE", "TRACE"])
        body = choose(BODIES) if method in ("POST", "PUT") or choose([True, False]) else b""
        yield method, f"/api/tasks{choose(paths)}{choose(QUERIES)}", choose(HEADERS), body


@contextlib.contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve an application, and yield its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="on", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def answers(app: FastAPI) -> list[tuple[int, dict[str, str], bytes]]:
    """What an application answers to the hostile requests, without the times in it."""
    with running(app) as url, httpx2.Client(base_url=url, timeout=30) as client:
        found = []
        for method, path, headers, body in hostile_requests():
            response = client.request(method, path, headers=headers, content=body)
            fields = {name: value for name, value in response.headers.items() if name != "date"}
            found.append((response.status_code, fields, re.sub(rb'_at":"[^"]+', b"", response.content)))
        return found


@pytest.mark.proves("API-1")
def test_five_hundred_requests_have_the_same_answers_with_it_and_without(
    database: str, admin: psycopg.Connection, url: Callable[[str], str]
) -> None:
    def application(name: str) -> FastAPI:
        return create_app(Settings(DATABASE_URL=SecretStr(url(name)), BETTER_AUTH_SECRET=SecretStr(SECRET)))

    direct = answers(application(database))
    admin.execute(f"CREATE DATABASE {database}_without")
    without = application(f"{database}_without")
    assert without.user_middleware.pop().cls == EndpointMiddleware  # type: ignore[comparison-overlap]
    expected = answers(without)
    assert len(expected) >= 500
    assert {status for status, _, _ in expected} == {200, 201, 401, 403, 404, 405, 413, 422}
    for request, got, wanted in zip(hostile_requests(), direct, expected, strict=True):
        assert got == wanted, request


@pytest.mark.proves("API-1")
def test_it_knows_every_endpoint_of_the_tasks() -> None:
    known = [context.name for context in iter_route_contexts(service.routes) if Endpoint.of(context)]
    assert known == ["list_tasks", "create_task", "get_task", "update_task", "delete_task", "toggle_task"]


async def of_request(request: Request) -> str:
    name: str = request.path_params["name"]
    return name


async def of_generator(request: Request) -> AsyncIterator[str]:
    yield request.path_params["name"]


def of_thread(request: Request) -> str:
    return "thread"


async def of_others(request: Request, word: Annotated[str, Depends(of_request)]) -> str:
    return word


class WordRoute(APIRoute):
    pass


app = FastAPI(middleware=[Middleware(BodyLimitMiddleware), Middleware(EndpointMiddleware)])
words = APIRouter(prefix="/{name}", route_class=WordRoute)

Word = Annotated[str, Depends(of_request)]


@app.get("/known/{name}")
async def known(name: str, word: Word, limit: int = 3, kind: Literal["a", "b"] = "a", *, needed: str) -> Response:
    if name == "teapot":
        raise HTTPException(418, "A teapot", {"X-Word": word})
    if name == "broken":
        raise HTTPException(500, "Broken")
    if name == "bug":
        raise ZeroDivisionError
    return JSONResponse([name, word, limit, kind, needed])


@app.post("/known/{name}")
async def known_body(body: TaskCreate, name: str) -> Response:
    return JSONResponse([name, body.title])


# Endpoints with something that EndpointMiddleware does not know, and would be called wrongly.


@app.get("/unknown/header/{name}")
async def a_header(name: str, user_agent: Annotated[str, Header()]) -> Response:
    return JSONResponse([name, user_agent])


@app.get("/unknown/cookie/{name}")
async def a_cookie(a: Annotated[str, Cookie()]) -> Response:
    return JSONResponse(a)


@app.get("/unknown/list/{name}")
async def a_list(values: Annotated[list[int], Query()]) -> Response:
    return JSONResponse(values)


@app.get("/unknown/query-model/{name}")
async def a_query_model(query: Annotated[TaskCreate, Query()]) -> Response:
    return JSONResponse(query.title)


@app.get("/unknown/optional/{name}")
async def an_optional(title: str | None = None) -> Response:
    return JSONResponse(title)


@app.get("/unknown/request/{name}")
async def the_request(request: Request) -> Response:
    return JSONResponse(request.url.path)


@app.get("/unknown/response/{name}")
async def the_response(response: Response, tasks: BackgroundTasks) -> Response:
    return JSONResponse(response.status_code)


@app.get("/unknown/convertor/{name:path}")
async def a_convertor(name: str) -> Response:
    return JSONResponse(name)


@app.get("/unknown/dictionary/{name}")
async def a_dictionary(name: str) -> dict[str, str]:
    return {"name": name}


@app.get("/unknown/model/{name}")
async def a_model(name: str) -> TaskCreate:
    return TaskCreate(title=name)


@app.get("/unknown/thread/{name}")
def a_function(name: str) -> Response:
    return JSONResponse(name)


@app.get("/unknown/generator/{name}")
async def a_generator(word: Annotated[str, Depends(of_generator)]) -> Response:
    return JSONResponse(word)


@app.get("/unknown/dependency-in-a-thread/{name}")
async def a_dependency_in_a_thread(word: Annotated[str, Depends(of_thread)]) -> Response:
    return JSONResponse(word)


@app.get("/unknown/dependencies-of-dependencies/{name}")
async def a_dependency_of_a_dependency(word: Annotated[str, Depends(of_others)]) -> Response:
    return JSONResponse(word)


@app.get("/unknown/twice/{name}")
async def the_same_twice(one: Word, two: Word) -> Response:
    return JSONResponse([one, two])


@app.get("/unknown/route-dependency/{name}", dependencies=[Depends(of_thread)])
async def a_dependency_of_the_route(name: str) -> Response:
    return JSONResponse(name)


@words.get("/route-class")
async def a_route_class(name: str) -> Response:
    return JSONResponse(name)


@app.post("/unknown/embedded/{name}")
async def an_embedded_body(body: Annotated[TaskCreate, Body(embed=True)]) -> Response:
    return JSONResponse(body.title)


@app.post("/unknown/two-bodies/{name}")
async def two_bodies(one: TaskCreate, two: TaskCreate) -> Response:
    return JSONResponse([one.title, two.title])


@app.post("/unknown/size/{name}", max_body_size=10)
async def a_body_size(body: TaskCreate) -> Response:
    return JSONResponse(body.title)


app.include_router(words)
app.host("elsewhere.example", JSONResponse("elsewhere"))  # a route without a path


def ask(
    app: FastAPI, method: str, path: str, *, json: Any = None, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """Return the answer to a request; a header that is empty is left out."""

    async def asked() -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            request = client.build_request(method, path, json=json, headers=headers)
            for name, value in (headers or {}).items():
                if not value:
                    del request.headers[name]
            return await client.send(request)

    return asyncio.run(asked())


def test_what_it_does_not_know_is_left_to_fastapi() -> None:
    assert {context.name for context in iter_route_contexts(app.routes) if Endpoint.of(context)} == {
        "known",
        "known_body",
    }
    for host, status in ("elsewhere.example", 200), ("service", 404):
        assert ask(app, "GET", "/nowhere", headers={"Host": host}).status_code == status


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of each direct call."""
    made: list[dict[str, Any]] = []
    respond = Endpoint.respond

    async def watched(endpoint: Endpoint, arguments: dict[str, Any], *connection: Any) -> None:
        await respond(endpoint, arguments, *connection)
        made.append(arguments)

    monkeypatch.setattr(Endpoint, "respond", watched)
    return made


def test_an_endpoint_gets_its_arguments(calls: list[dict[str, Any]]) -> None:
    assert ask(app, "GET", "/known/x?needed=y&limit=5&kind=b").json() == ["x", "x", 5, "b", "y"]
    assert ask(app, "GET", "/known/%E2%82%AC?needed=&needed=y").json() == ["\u20ac", "\u20ac", 3, "a", "y"]
    for content_type in "application/json", "Application/JSON ; charset=utf-8":
        headers = {"Content-Type": content_type}
        assert ask(app, "POST", "/known/x", json={"title": " a "}, headers=headers).json() == ["x", "a"]
    assert calls[0] == {"name": "x", "word": "x", "limit": 5, "kind": "b", "needed": "y"}
    assert len(calls) == 4


@pytest.mark.parametrize("path", ["/known/x", "/known/x?needed=y&limit=z", "/known/x?needed=y&kind=c"])
def test_fastapi_answers_what_is_not_valid(calls: list[dict[str, Any]], path: str) -> None:
    assert ask(app, "GET", path).status_code == 422
    for headers in {}, {"Content-Type": "application/json", "Content-Length": ""}:
        assert ask(app, "POST", path, headers=headers).status_code == 422
    assert not calls


def test_an_exception_has_the_handler_of_the_application(calls: list[dict[str, Any]]) -> None:
    response = ask(app, "GET", "/known/teapot?needed=y")
    assert (response.status_code, response.json(), response.headers["x-word"]) == (
        418,
        {"detail": "A teapot"},
        "teapot",
    )
    assert len(calls) == 1
    with pytest.raises(ZeroDivisionError):
        ask(app, "GET", "/known/bug?needed=y")


@pytest.mark.parametrize("key", [500, Exception])
def test_a_handler_of_unexpected_exceptions_is_left_to_starlette(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, key: int | type[Exception]
) -> None:
    """Its ServerErrorMiddleware raises them again, and never sees an HTTPException, whatever its status."""
    monkeypatch.setitem(app.exception_handlers, key, lambda _request, _error: Response("handled", 500))
    with pytest.raises(ZeroDivisionError):
        ask(app, "GET", "/known/bug?needed=y")
    assert ask(app, "GET", "/known/broken?needed=y").json() == {"detail": "Broken"}
    assert len(calls) == 1


def test_it_steps_aside_for_overrides_and_telemetry(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.dependency_overrides, of_request, lambda: "other")
    assert ask(app, "GET", "/known/x?needed=y").json() == ["x", "other", 3, "a", "y"]
    app.dependency_overrides.clear()
    monkeypatch.setattr(endpoints, "get_telemetry_data", object)
    assert ask(app, "GET", "/known/x?needed=y").json() == ["x", "x", 3, "a", "y"]
    assert not calls
