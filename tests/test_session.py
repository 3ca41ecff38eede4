"""Sessions, for routes that somebody adds: written as FastAPI's and SQLModel's tutorials have them."""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import httpx2
import psycopg
import pytest
import uvicorn
from fastapi import Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from sqlmodel import col, func, select, text, update
from sqlmodel.ext.asyncio.session import AsyncSession

from tests.proxy import Proxy
from tests.rig.database import Database
from tests.service import SECRET, bearer, wait_until
from todo_backend.auth.dependencies import CurrentUser
from todo_backend.database import session, timeouts
from todo_backend.database.connection import Connection
from todo_backend.database.engine import create_engine
from todo_backend.database.pool import ConnectionPool
from todo_backend.database.session import SessionDep
from todo_backend.database.timeouts import StatementTimeout
from todo_backend.database.upgrade import LOCK
from todo_backend.main import create_app
from todo_backend.settings import Settings
from todo_backend.tasks.models import TITLE_MAX_LENGTH, Task, TaskRead

POOL = 2


async def add_task(db: SessionDep, user: CurrentUser, title: str = "x") -> Task:
    task = Task(user_id=user["id"], title=title)
    db.add(task)
    await db.commit()
    await db.refresh(task)
    return task


async def forget_to_commit(db: SessionDep, user: CurrentUser) -> None:
    db.add(Task(user_id=user["id"], title="x"))
    await db.flush()


async def undo(db: SessionDep, user: CurrentUser) -> int:
    db.add(Task(user_id=user["id"], title="x"))
    await db.flush()
    await db.rollback()
    return (await db.exec(select(func.count(col(Task.id))))).one()


async def change_all(db: SessionDep) -> None:
    await db.exec(update(Task).values(completed=True))
    await db.commit()


async def read_only(db: SessionDep) -> None:
    """Tell the driver's connection something."""
    driver: Any = (await (await db.connection()).get_raw_connection()).driver_connection
    await driver.set_read_only(True)


async def tell_after_commit(db: SessionDep, user: CurrentUser) -> str:
    task = Task(user_id=user["id"], title="x")
    db.add(task)
    await db.commit()
    return task.title


async def stream(db: SessionDep) -> StreamingResponse:
    """Tell, while the response is sent, whether the session is open."""
    await db.exec(select(1))

    async def told() -> AsyncIterator[str]:
        yield str(db.in_transaction())

    return StreamingResponse(told())


def wait_for_the_key_set(request: Request) -> None:
    """Leave half a second, as a key set does that was waited for."""
    request.state.waited = timeouts.REQUEST_TIMEOUT - 0.5


async def ask_late(_: Annotated[None, Depends(wait_for_the_key_set)], db: SessionDep) -> None:
    await db.exec(select(func.pg_sleep(5)))


async def fail(db: SessionDep, user: CurrentUser) -> None:
    db.add(Task(user_id=user["id"], title="x" * (TITLE_MAX_LENGTH + 1)))
    await db.commit()


ROUTES = (add_task, forget_to_commit, undo, change_all, read_only, tell_after_commit, stream, ask_late, fail)


@contextlib.contextmanager
def application(url: str) -> Iterator[httpx2.Client]:
    """Run the service with these routes too, and yield a client."""
    settings = Settings(DATABASE_URL=SecretStr(url), BETTER_AUTH_SECRET=SecretStr(SECRET), DATABASE_POOL_SIZE=POOL)
    app = create_app(settings)
    for route in ROUTES:
        app.add_api_route(f"/api/{route.__name__}", route, methods=["POST"])
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="on", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer("me"), timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(database: str, proxy: Proxy) -> Iterator[httpx2.Client]:
    with application(proxy.url(database)) as client:
        yield client


@pytest.mark.proves("DATA-13")
def test_a_route_with_a_session(client: httpx2.Client, proxy: Proxy) -> None:
    """More of them than there are connections: each gives its connection back."""
    added = [client.post("/api/add_task", params={"title": str(number)}).json() for number in range(2 * POOL)]
    tasks = client.get("/api/tasks").json()
    assert {task["completed"] for task in tasks} == {False}
    assert [TaskRead.model_validate(task) for task in added] == [TaskRead.model_validate(task) for task in tasks]
    assert client.post("/api/forget_to_commit").status_code == 200
    assert client.post("/api/undo").json() == len(added)
    assert client.get("/api/tasks").json() == tasks
    assert client.post("/api/tell_after_commit").json() == "x"
    assert client.post("/api/stream").text == "False"
    before = proxy.trips
    client.get("/api/tasks")
    assert proxy.trips == before + 1  # the connection is in autocommit again
    assert proxy.connections == POOL


@pytest.mark.proves("DATA-13")
def test_what_a_session_sets_ends_with_it(client: httpx2.Client) -> None:
    assert client.post("/api/read_only").status_code == 200
    assert client.post("/api/add_task").status_code == 200


@pytest.mark.proves("DATA-13", "DATA-5")
def test_a_session_that_began_read_only(client: httpx2.Client, database: str, admin: psycopg.Connection) -> None:
    """It is not used again: the database may take writes by then."""
    # One that is opened meanwhile may have the old default.
    opened = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    wait_until(lambda: admin.execute(opened, [database]).fetchone() == (POOL,))
    admin.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [database])
    assert client.post("/api/add_task").status_code == 503
    admin.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    wait_until(lambda: client.post("/api/add_task").status_code == 200, seconds=10)


@pytest.mark.proves("DATA-13", "FAIL-3")
def test_a_session_without_the_table(client: httpx2.Client, database: str, url: Callable[[str], str]) -> None:
    with psycopg.connect(url(database)) as other:
        other.execute("DROP TABLE tasks")
    assert client.post("/api/add_task").status_code == 503


@pytest.mark.proves("DATA-13")
def test_a_session_at_a_start_that_takes_long(
    here: Database, database: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process migrates, and then the database is unavailable, and then there is that process again."""
    monkeypatch.setattr(session, "time_left", lambda *_: 0.5)
    here.upgrade_to("0001")
    with psycopg.connect(here.url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        with application(proxy.url(database)) as client:
            assert client.post("/api/add_task").status_code == 503
            proxy.refuse()
            wait_until(lambda: client.post("/api/add_task").elapsed.total_seconds() < 0.4)
            assert client.post("/api/add_task").status_code == 503
            proxy.flow()
            wait_until(lambda: proxy.open_connections > 0)
            assert client.post("/api/add_task").status_code == 503
        assert other.execute("SELECT FROM tasks").fetchall() == []


@pytest.mark.proves("DATA-13")
def test_a_failure_that_is_not_the_databases_is_a_bug(
    client: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 2 * POOL + 1):
        answer = client.post("/api/fail")
        assert (answer.status_code, answer.json()) == (500, {"detail": "Internal server error"})
        assert caplog.text.count("value too long for type character varying(200)\n[SQL: INSERT") == number
    assert "xxxx" not in caplog.text
    assert client.get("/api/tasks").json() == []


@pytest.mark.proves("DATA-13")
def test_a_session_has_a_time_limit(client: httpx2.Client, database: str, url: Callable[[str], str]) -> None:
    """For a statement, and for a connection that others do not give back."""
    client.post("/api/add_task")
    with psycopg.connect(url(database)) as other:
        other.execute("SELECT FROM tasks FOR UPDATE")
        began = time.monotonic()
        with ThreadPoolExecutor() as threads:
            answers = list(threads.map(lambda _: client.post("/api/change_all"), range(2 * POOL)))
        assert {answer.status_code for answer in answers} == {503}
        assert timeouts.DATABASE_TIMEOUT <= time.monotonic() - began < 10
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        assert other.execute(waiting).fetchall() == []
    assert client.post("/api/change_all").status_code == 200
    assert [task["completed"] for task in client.get("/api/tasks").json()] == [True]


@pytest.mark.proves("DATA-13")
def test_the_wait_for_the_key_set_counts_for_a_session(client: httpx2.Client) -> None:
    client.post("/api/add_task")  # before the first statement of all SQLAlchemy has some of its own
    answer = client.post("/api/ask_late")
    assert answer.status_code == 503
    assert 0.5 <= answer.elapsed.total_seconds() < 2


@pytest.mark.proves("DATA-13")
def test_a_statement_is_not_sent_when_there_is_no_time_left_for_it(url: Callable[[str], str]) -> None:
    """psycopg's cancel request would arrive before it, and it would go on in the database."""

    async def ask() -> None:
        async with await Connection.open(url("postgres")) as connection:
            connection.give_back = connection.give_up
            connection.timeout, connection.first_timeout = 1, 0.05
            with pytest.raises(StatementTimeout, match=r"^no time left for the statement$"):
                await connection.execute("SELECT 1")
            assert connection.is_idle

    asyncio.run(ask())


@pytest.mark.proves("DATA-13")
def test_a_session_without_a_database(client: httpx2.Client, proxy: Proxy) -> None:
    proxy.refuse()
    answer = client.post("/api/add_task")
    assert (answer.status_code, answer.json()) == (503, {"detail": "Database unavailable"})
    assert int(answer.headers["Retry-After"]) >= 1
    proxy.flow()
    assert client.post("/api/add_task").status_code == 200


@pytest.mark.proves("DATA-13", "DATA-4")
def test_a_session_after_a_sleep(client: httpx2.Client, proxy: Proxy) -> None:
    for _ in range(3):
        assert client.post("/api/add_task").status_code == 200
        proxy.cut()


@pytest.mark.parametrize("last", range(1, 14))
def test_a_session_that_is_cancelled_gives_its_connection_back(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """Wherever that happens: psycopg lets the event loop run where nothing is sent, too, if it has been busy."""
    monkeypatch.setattr(psycopg.waiting, "MAX_BUSY_TIME", 0)
    wait, calls = Connection.wait, itertools.count(1)

    async def cancel_at_last(self: Connection, *args: Any, **options: Any) -> Any:
        if next(calls) == last and (task := asyncio.current_task()):
            task.cancel()
        return await wait(self, *args, **options)

    async def use(pool: ConnectionPool) -> None:
        async with AsyncSession(create_engine(pool)) as db:
            await db.exec(select(1))
            await db.close()

    async def play() -> None:
        pool = ConnectionPool(proxy.url("postgres"), size=1)
        pool.release(await pool.acquire())
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "wait", cancel_at_last)
            with pytest.raises(asyncio.CancelledError):
                await use(pool)
        async with asyncio.timeout(5):
            connection = await pool.acquire()
        assert connection.autocommit
        pool.release(connection)
        await pool.close()

    asyncio.run(play())


@contextlib.asynccontextmanager
async def one_connection(url: str) -> AsyncIterator[tuple[ConnectionPool, Connection]]:
    """Yield a pool, and its connection, which is lent."""
    pool = ConnectionPool(url, size=1)
    connection = await pool.acquire()
    try:
        yield pool, connection
    finally:
        connection.finish()
        await pool.close()


def assert_timeout(error: OperationalError, text: str) -> None:
    assert isinstance(error.orig, StatementTimeout)
    assert str(error.orig) == text


@pytest.mark.proves("DATA-13", "DATA-5")
def test_a_session_that_gets_no_connection_in_time(url: Callable[[str], str]) -> None:
    async def play() -> None:
        async with (
            one_connection(url("postgres")) as (pool, _),
            AsyncSession(create_engine(pool, timeout=0.1)) as db,
        ):
            with pytest.raises(OperationalError) as raised:
                await db.exec(select(1))
            assert_timeout(raised.value, "no connection in time")

    asyncio.run(play())


@pytest.mark.proves("DATA-13", "DATA-5")
def test_the_wait_for_a_connection_counts_for_the_first_statement(url: Callable[[str], str]) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        async with (
            one_connection(url("postgres")) as (pool, lent),
            AsyncSession(create_engine(pool, timeout=2)) as db,
        ):
            loop.call_later(1.5, pool.release, lent)
            began = loop.time()
            assert (await db.exec(select(1))).one() == 1
            assert loop.time() - began >= 1.5
            assert (await db.exec(select(func.pg_sleep(1)))).one() == ""  # it has 2 s again
            await db.close()
            loop.call_later(1.5, pool.release, await pool.acquire())
            began = loop.time()
            with pytest.raises(OperationalError) as raised:
                await db.exec(select(func.pg_sleep(10)))
            assert_timeout(raised.value, "no answer in time")
            assert 2 <= loop.time() - began < 3

    asyncio.run(play())


@pytest.mark.proves("DATA-13", "DATA-10")
def test_a_session_prepares_no_statement(url: Callable[[str], str]) -> None:
    """Neon's pooler would run it on another server connection, which has not prepared it."""

    async def play() -> None:
        async with one_connection(url("postgres")) as (pool, lent), AsyncSession(create_engine(pool)) as db:
            pool.release(lent)
            prepared = text("SELECT count(*) FROM pg_prepared_statements")
            assert {await (await db.connection()).scalar(prepared) for _ in range(20)} == {0}

    asyncio.run(play())


@pytest.mark.proves("DATA-13", "DATA-5")
def test_a_session_on_a_silent_network(client: httpx2.Client, proxy: Proxy) -> None:
    """It takes the idle connection along, which is silent as well."""
    assert client.post("/api/add_task").status_code == 200
    wait_until(lambda: proxy.connections == POOL)
    proxy.stall()
    assert client.post("/api/add_task").status_code == 503
    cancel_request = 1
    wait_until(lambda: proxy.connections == POOL + cancel_request + POOL)
