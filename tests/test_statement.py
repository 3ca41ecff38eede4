"""Statements on the driver: what PostgreSQL writes, what is repeated, and what is not."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from psycopg.rows import dict_row
from pydantic import TypeAdapter
from sqlalchemy import Text, bindparam, func, select, text

from tests.proxy import Proxy
from tests.service import Service, bearer, serving
from todo_backend.database.connection import Connection
from todo_backend.database.executor import DatabaseUnavailable, Executor
from todo_backend.database.startup import Database
from todo_backend.database.statement import Statement
from todo_backend.server.loop import SelectorEventLoop, ServerEventLoop
from todo_backend.tasks.models import TaskRead

INSERT = "INSERT INTO tasks (user_id, title, description, created_at, updated_at) VALUES (%s, %s, %s, %s, %s)"
TITLES = [
    "quote \" backslash \\ slash / apostrophe ' per cent %s %% %1$s",
    "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "line and paragraph separators \u2028 \u2029, a byte order mark \ufeff, a noncharacter \uffff",
    "emoji \U0001f600, family \U0001f468\u200d\U0001f469\u200d\U0001f467, beyond \U0010ffff",
    '{"not": "JSON", "to": [null]}',
]
TIMES = [
    "2026-01-31T09:30:00Z",
    "2026-01-31T09:30:00.000001Z",
    "2026-01-31T09:30:00.100000Z",
    "2026-01-31T23:59:59.999999-11:30",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
]


@pytest.mark.proves("TASK-7", "DATA-11")
def test_postgresql_writes_what_pydantic_would(client: httpx2.Client, user: str, url: Callable[[str], str]) -> None:
    with psycopg.connect(url("shared"), row_factory=dict_row, autocommit=True) as connection:
        for title, moment in itertools.product(TITLES, TIMES):
            connection.execute(INSERT, [user, title, None, moment, moment])
            connection.execute(INSERT, [user, "x", title, "now", moment])
        connection.execute("SET timezone = 'UTC'")
        rows = connection.execute("SELECT * FROM tasks WHERE user_id = %s ORDER BY id", [user]).fetchall()
    expected = [TaskRead.model_validate(row) for row in rows]
    assert client.get("/api/tasks").content == TypeAdapter(list[TaskRead]).dump_json(expected)
    for task in expected:
        assert client.get(f"/api/tasks/{task.id}").text == task.model_dump_json()


NOTICE = b"DO $$BEGIN RAISE NOTICE 'it goes on'; PERFORM pg_sleep(5); END$$"
LENGTH = Statement(select(func.length(bindparam("text", type_=Text))))


async def value_of(url: str, statement: Statement, values: dict[str, Any]) -> bytes:
    async with await Connection.open(url) as connection:
        return await asyncio.wait_for(statement.run_on(connection, values), 30)


def test_more_than_the_network_takes_at_once(proxy: Proxy) -> None:
    assert asyncio.run(value_of(proxy.url("postgres"), LENGTH, {"text": "x" * 20_000_000})) == b"20000000"


def test_an_idle_connection_keeps_the_event_loop_idle(url: Callable[[str], str]) -> None:
    """A socket that can always be written to, or that the server has closed, would call it again and again."""
    slowly = Statement(select(func.length(bindparam("text", type_=Text)), func.pg_sleep(text("1"))))

    async def send() -> None:
        loop = asyncio.get_running_loop()
        async with await Connection.open(url("postgres")) as connection:
            busy = time.process_time()
            assert await slowly.run_on(connection, {"text": "x" * 20_000_000}) == b"20000000"
            assert time.process_time() - busy < 0.5
            assert not loop.remove_writer(connection.fileno())
            with psycopg.connect(url("postgres")) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
            await asyncio.sleep(0.1)
            assert not loop.remove_reader(connection.fileno())

    asyncio.run(send())


@pytest.mark.posix
def test_a_statement_that_is_stopped_while_it_is_sent(url: Callable[[str], str]) -> None:
    """The event loop forgets its socket: the next one to be opened has the same file descriptor."""

    async def stop() -> None:
        loop = asyncio.get_running_loop()
        connection = await Connection.open(url("postgres"))
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            asked = asyncio.create_task(connection.results.run(LENGTH.sql, [b"x" * 20_000_000]))
            await asyncio.sleep(0.1)
            asked.cancel()
            descriptor = connection.fileno()
            connection.finish()
            assert not loop.remove_writer(descriptor)
            assert not loop.remove_reader(descriptor)
        finally:
            os.kill(backend, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(stop())


def test_a_socket_that_closes_while_much_is_sent(proxy: Proxy) -> None:
    """The next connection gets the same file descriptor before the first one is released."""

    async def fail() -> None:
        url = proxy.url("postgres")
        first = await Connection.open(url)
        descriptor = first.fileno()
        await Statement(select(1)).run_on(first, {})
        proxy.cut(reset=True)
        time.sleep(0.3)  # noqa: ASYNC251  # the event loop must not see the end
        with pytest.raises(psycopg.OperationalError):
            await LENGTH.run_on(first, {"text": "x" * 20_000})
        async with asyncio.timeout(5), await Connection.open(url) as second:
            assert second.fileno() == descriptor
            assert await Statement(select(1)).run_on(second, {}) == b"1"
        first.finish()

    asyncio.run(fail())


@pytest.mark.parametrize("kind", [SelectorEventLoop, ServerEventLoop])
def test_a_reset_that_comes_with_a_part_of_the_answer(proxy: Proxy, kind: type[asyncio.AbstractEventLoop]) -> None:
    """As when PostgreSQL crashes: it sends a notice, and resets a connection that has a statement under way."""

    async def fail() -> None:
        async with await Connection.open(proxy.url("postgres")) as connection:
            descriptor = connection.fileno()
            asked = asyncio.create_task(connection.results.run(NOTICE, []))
            await asyncio.sleep(0)
            time.sleep(0.3)  # noqa: ASYNC251  # the event loop must not see one before the other
            proxy.cut(reset=True)
            with pytest.raises(psycopg.OperationalError):
                await asyncio.wait_for(asked, 5)
            assert not asyncio.get_running_loop().remove_reader(descriptor)

    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(fail())


@pytest.mark.proves("DATA-12")
def test_a_read_that_loses_two_connections_is_not_asked_a_third_time(proxy: Proxy) -> None:
    end_itself = Statement(select(func.pg_terminate_backend(func.pg_backend_pid())))

    async def read() -> None:
        database = Database(proxy.url("postgres"), pool_size=1)
        database.ready = True
        with pytest.raises(DatabaseUnavailable):
            await Executor(database, asyncio.get_running_loop().time() + 10).run(end_itself, {})
        await database.pool.close()

    asyncio.run(read())
    assert proxy.connections == 2


def test_an_answer_that_comes_as_the_statement_is_given_up(
    url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event loop may find both in one turn, and tell of the answer last."""

    async def give_up() -> None:
        callbacks: list[Callable[[], None]] = []
        connection = await Connection.open(url("postgres"))
        with monkeypatch.context() as patch:
            loop = asyncio.get_running_loop()
            patch.setattr(loop, "add_reader", lambda _, callback: callbacks.append(callback))
            asked = asyncio.create_task(Statement(select(1)).run_on(connection, {}))
            await asyncio.sleep(0.2)
            asked.cancel()
            callbacks[0]()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await connection.close()

    asyncio.run(give_up())


@pytest.mark.posix
@pytest.mark.proves("DATA-5")
def test_a_cancel_request_that_comes_before_the_statement_is_repeated(url: Callable[[str], str]) -> None:
    """The server ignores the first, because it is idle: here it is stopped for a moment, and sees both at once."""
    is_running = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = %s"

    async def give_up() -> None:
        connection = await Connection.open(url("postgres"))
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            asked = asyncio.create_task(Statement(select(func.pg_sleep(text("5")))).run_on(connection, {}))
            await asyncio.sleep(0.1)
            asked.cancel()
            await asyncio.sleep(0.1)
        finally:
            os.kill(backend, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert not connection.is_silent
        with psycopg.connect(url("postgres")) as other:
            assert other.execute(is_running, [backend]).fetchone() in (None, (False,))

    asyncio.run(give_up())


def test_another_encoding_in_the_url_does_not_matter(proxy: Proxy) -> None:
    echo = Statement(select(bindparam("text", type_=Text)))
    url = proxy.url("postgres", "&client_encoding=latin1")
    assert asyncio.run(value_of(url, echo, {"text": "\U0001f600"})).decode() == "\U0001f600"
    assert asyncio.run(value_of(url, LENGTH, {"text": "\U0001f600"})) == b"1"  # which an echo does not tell


async def requests(service: Service, *wanted: tuple[str, str], body: Any = None) -> list[httpx2.Response]:
    async with httpx2.AsyncClient(base_url=service.base_url, headers=bearer("me"), timeout=30) as client:
        return await asyncio.gather(*(client.request(method, path, json=body) for method, path in wanted))


@pytest.fixture(params=["repeatable read", "serializable"])
def strict(request: pytest.FixtureRequest, database: str, admin: psycopg.Connection) -> str:
    """A database that rejects concurrent changes of one row; PostgreSQL says to retry them."""
    admin.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = '{request.param}'")
    return database


@pytest.mark.proves("DATA-12")
def test_what_was_rolled_back_is_tried_again(tmp_path: Path, strict: str, url: Callable[[str], str]) -> None:
    with serving(tmp_path, url(strict)) as service, service.client("me") as client:
        path = f"/api/tasks/{client.post('/api/tasks', json={'title': 'x'}).json()['id']}"
        answers = asyncio.run(requests(service, *[("PATCH", path + "/complete")] * 41))
        assert {answer.status_code for answer in answers} == {200}
        assert client.get(path).json()["completed"] is True


@pytest.mark.proves("SEC-7")
def test_the_log_has_nothing_of_a_row(tmp_path: Path, database: str, url: Callable[[str], str]) -> None:
    """PostgreSQL's detail of a constraint that somebody has added would be the row."""
    with serving(tmp_path, url(database)) as service, service.client("me") as client:
        with psycopg.connect(url(database)) as connection:
            connection.execute("ALTER TABLE tasks ADD CHECK (title <> 'x')")
        assert client.post("/api/tasks", json={"title": "x", "description": "private"}).status_code == 500
        assert "violates check constraint" in service.log.read_text()
        assert "private" not in service.log.read_text()


KEEP_OUT = """
    CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER skip BEFORE INSERT OR UPDATE OR DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION skip()
"""


@pytest.mark.proves("FAIL-2")
def test_what_a_trigger_prevents_is_neither_done_nor_missing(
    tmp_path: Path, database: str, url: Callable[[str], str]
) -> None:
    with serving(tmp_path, url(database)) as service, service.client("me") as client:
        task = client.post("/api/tasks", json={"title": "x"}).json()
        path = f"/api/tasks/{task['id']}"
        with psycopg.connect(url(database)) as connection:
            connection.execute(KEEP_OUT)
        for number, (method, where) in enumerate(
            [("POST", "/api/tasks"), ("PUT", path), ("PATCH", path + "/complete"), ("DELETE", path)], 1
        ):
            response = client.request(method, where, json={"title": "y"})
            assert (response.status_code, response.json()) == (500, {"detail": "Internal server error"})
            assert service.log.read_text().count("look for a trigger") == number
        assert client.get(path).json() == task
        with service.client("other") as other:
            assert other.delete(path).status_code == 403
        assert client.delete("/api/tasks/9").status_code == 404
        assert "Traceback" not in service.log.read_text()
