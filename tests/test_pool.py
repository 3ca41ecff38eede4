"""The connection pool."""

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.proxy import Proxy
from tests.rig.load import eventually
from tests.rig.postgres import NEON, Server
from tests.service import wait_until
from todo_backend.database import pool as module
from todo_backend.database import timeouts
from todo_backend.database.connection import Connection
from todo_backend.database.pool import ConnectionPool

SIZE = 3


def with_pool(url: str, play: Callable[[ConnectionPool], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        pool = ConnectionPool(url, size=SIZE, **options)
        try:
            async with asyncio.timeout(30):
                await play(pool)
        finally:
            await pool.close()

    asyncio.run(run())


async def acquire(pool: ConnectionPool, seconds: float) -> Connection:
    async with asyncio.timeout(seconds):
        return await pool.acquire()


async def fill(pool: ConnectionPool, proxy: Proxy) -> None:
    pool.fill()
    await eventually(lambda: proxy.open_connections == SIZE)
    await asyncio.sleep(0.1)


def test_a_connection_that_nobody_waits_for_any_longer_serves_the_next(proxy: Proxy) -> None:
    async def play(pool: ConnectionPool) -> None:
        proxy.delay = 0.2
        with pytest.raises(TimeoutError):
            await acquire(pool, 0.3)
        await fill(pool, proxy)
        pool.release(await acquire(pool, 0.05))
        assert proxy.connections == SIZE

    with_pool(proxy.url("postgres"), play)


@pytest.mark.proves("DATA-4")
def test_all_that_were_closed_are_opened_at_once(proxy: Proxy) -> None:
    async def play(pool: ConnectionPool) -> None:
        await fill(pool, proxy)
        proxy.cut()
        pool.release(await acquire(pool, 5))
        await eventually(lambda: proxy.connections == 2 * SIZE)

    with_pool(proxy.url("postgres"), play)


@pytest.mark.proves("DATA-4")
def test_one_that_was_closed_leaves_the_others(proxy: Proxy, admin: psycopg.Connection) -> None:
    async def play(pool: ConnectionPool) -> None:
        await fill(pool, proxy)
        closed = await pool.acquire()
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [closed.info.backend_pid])
        await eventually(closed.was_closed_by_server)  # when the proxy has passed it on
        pool.release(closed)
        other = await pool.acquire()
        assert proxy.connections == SIZE
        await other.execute("SELECT 1")
        pool.release(other)

    with_pool(proxy.url("postgres"), play)


def test_a_connection_that_was_closed_in_use_is_replaced(proxy: Proxy) -> None:
    async def play(pool: ConnectionPool) -> None:
        await fill(pool, proxy)
        lent = [await pool.acquire() for _ in range(SIZE)]
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        lent[0].pgconn.finish()
        pool.release(lent[0])
        lent[0] = await waiting
        assert proxy.connections == SIZE + 1
        await lent[1].execute("SELECT 1")
        lent[1].pgconn.send_query(b"SELECT 1")  # in the middle of something
        for each in lent:
            pool.release(each)
        await eventually(lambda: proxy.connections == SIZE + 2)

    with_pool(proxy.url("postgres"), play)


def test_a_connection_that_the_server_closed_is_not_given_to_who_waits(proxy: Proxy) -> None:
    async def play(pool: ConnectionPool) -> None:
        await fill(pool, proxy)
        lent = [await pool.acquire() for _ in range(SIZE)]
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        proxy.cut(reset=True)
        pool.release(lent.pop())
        lent.append(await waiting)
        await lent[-1].execute("SELECT 1")
        for each in lent:
            pool.release(each)

    with_pool(proxy.url("postgres"), play)


def test_a_silent_connection_takes_those_along_that_were_idle_meanwhile(proxy: Proxy) -> None:
    """Those that were opened or used since have answered."""

    async def play(pool: ConnectionPool) -> None:
        await fill(pool, proxy)
        silent = [await pool.acquire(), await pool.acquire()]
        await asyncio.sleep(0.01)
        made = proxy.connections
        for one, more in zip(silent, [2, 1], strict=True):
            one.is_silent = True
            one.finish()
            made += more
            pool.release(one)
            await eventually(lambda: proxy.connections == made)  # noqa: B023  # it is over before the next
            await fill(pool, proxy)
            assert proxy.connections == made

    with_pool(proxy.url("postgres"), play)


def test_who_waits_is_served_in_turn(proxy: Proxy) -> None:
    async def play(pool: ConnectionPool) -> None:
        await fill(pool, proxy)
        lent = [await pool.acquire() for _ in range(SIZE)]
        served: list[int] = []

        async def wait(number: int) -> None:
            connection = await pool.acquire()
            served.append(number)
            pool.release(connection)

        waiting = [asyncio.create_task(wait(number)) for number in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        for each in lent:
            pool.release(each)
        await asyncio.gather(*waiting, return_exceptions=True)
        assert served == [1, 2, 3, 4]

    with_pool(proxy.url("postgres"), play)


def test_a_connection_is_not_lost_with_who_got_it_too_late(proxy: Proxy) -> None:
    """An event loop may find both in one turn: the connection, and the end of the wait."""

    async def play(pool: ConnectionPool) -> None:
        await fill(pool, proxy)
        lent = [await pool.acquire() for _ in range(SIZE)]
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        pool.release(lent[0])
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        lent[0] = await acquire(pool, 0.05)
        for each in lent:
            pool.release(each)

    with_pool(proxy.url("postgres"), play)


def test_who_is_cancelled_waits_no_longer(proxy: Proxy) -> None:
    """Not even for an error that came in the same turn of the event loop."""

    async def play(pool: ConnectionPool) -> None:
        proxy.stall()
        for error in None, psycopg.OperationalError():
            waiting = asyncio.create_task(pool.acquire())
            await asyncio.sleep(0)
            if error:
                pool._waiting[0].set_exception(error)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not pool._waiting
        await eventually(lambda: proxy.open_connections == SIZE)

    with_pool(proxy.url("postgres"), play)


@pytest.mark.proves("DATA-5")
def test_a_failure_is_for_those_who_waited_when_the_attempt_began(proxy: Proxy) -> None:
    async def play(pool: ConnectionPool) -> None:
        proxy.refuse()
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError):
                await acquire(pool, 5)
        assert proxy.connections == SIZE + 1  # one at a time, after a failure
        proxy.stall()
        with pytest.raises(TimeoutError):
            await acquire(pool, 2 * module.RETRY_PAUSE)
        late = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        proxy.flow()
        pool.release(await late)
        await eventually(lambda: proxy.open_connections == SIZE)

    with_pool(proxy.url("postgres"), play)


@pytest.mark.proves("DATA-5")
def test_after_a_success_all_are_opened_at_once_again(proxy: Proxy) -> None:
    async def play(pool: ConnectionPool) -> None:
        proxy.refuse()
        with pytest.raises(psycopg.OperationalError):
            await acquire(pool, 5)
        proxy.flow()
        lent = [await acquire(pool, 5) for _ in range(SIZE)]
        proxy.cut()
        proxy.stall()
        for each in lent:
            pool.release(each)
        made = proxy.connections
        with pytest.raises(TimeoutError):
            await acquire(pool, 0.1)
        await eventually(lambda: proxy.connections == made + SIZE)

    with_pool(proxy.url("postgres"), play)


def test_a_connection_that_was_closed_while_it_was_opened(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stops may do so right after it has said that the connection is ready."""
    closed = [True] * SIZE

    async def play(pool: ConnectionPool) -> None:
        with pytest.raises(psycopg.OperationalError, match=r"^the server closed the new connection$"):
            await acquire(pool, 5)
        pool.release(await acquire(pool, 5))
        assert not closed

    monkeypatch.setattr(Connection, "was_closed_by_server", lambda _: closed.pop() if closed else False)
    with_pool(proxy.url("postgres"), play)


async def acquire_only(pool: ConnectionPool) -> Connection:
    """Return the one connection of a role that may have one.

    The pool attempts several at once, and the server may refuse each: it counts those that it is about to refuse.
    """
    while True:
        with contextlib.suppress(psycopg.OperationalError):
            return await acquire(pool, 5)


@pytest.mark.proves("DATA-5")
def test_fewer_connections_than_wanted_are_used(
    admin: psycopg.Connection, url: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    """The server takes one connection of this role; who waits gets that one."""
    admin.execute("CREATE ROLE single LOGIN CONNECTION LIMIT 1")

    async def play(pool: ConnectionPool) -> None:
        only = await acquire_only(pool)
        await eventually(lambda: "too many connections" in caplog.text)
        waiting = asyncio.create_task(acquire(pool, 5))
        await asyncio.sleep(2 * module.RETRY_PAUSE)
        pool.release(only)
        assert await waiting is only
        pool.release(only)
        messages = [record.getMessage() for record in caplog.records]
        assert len(messages) == len(set(messages))

    with_pool(url("postgres").replace("postgres@", "single@"), play)


@pytest.mark.proves("DATA-5")
def test_an_error_is_logged_again_after_the_pool_was_full(
    admin: psycopg.Connection, url: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    admin.execute("CREATE ROLE limited LOGIN")

    def end(pool: ConnectionPool, *connections: Connection) -> None:
        """Let the server end their sessions before the next ones begin: it counts them."""
        for each in connections:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [each.info.backend_pid])
        for each in connections:
            pool.release(each)

    async def assert_logged(times: int) -> None:
        def are_logged() -> bool:
            return caplog.text.count("too many connections") == times

        await eventually(are_logged)
        await asyncio.sleep(2 * module.RETRY_PAUSE)
        assert are_logged()

    async def play(pool: ConnectionPool) -> None:
        for times in 1, 2:
            admin.execute("ALTER ROLE limited CONNECTION LIMIT 1")
            for _ in range(2):  # a new connection alone does not make it full
                only = await acquire_only(pool)
                await assert_logged(times)
                end(pool, only)
            admin.execute("ALTER ROLE limited CONNECTION LIMIT -1")
            end(pool, *[await acquire(pool, 5) for _ in range(SIZE)])

    with_pool(url("postgres").replace("postgres@", "limited@"), play)


def test_closed_in_the_middle(proxy: Proxy) -> None:
    async def play(pool: ConnectionPool) -> None:
        await fill(pool, proxy)
        lent = await pool.acquire()
        await pool.close()
        await eventually(lambda: proxy.open_connections == 1)
        pool.release(lent)
        pool.fill()
        await eventually(lambda: proxy.open_connections == 0)
        assert proxy.connections == SIZE

    with_pool(proxy.url("postgres"), play)


def test_closed_between_two_attempts(proxy: Proxy) -> None:
    async def play(pool: ConnectionPool) -> None:
        proxy.refuse()
        with pytest.raises(psycopg.OperationalError):
            await pool.acquire()
        await pool.close()
        await asyncio.sleep(1.5 * module.RETRY_PAUSE)
        assert proxy.connections == SIZE

    with_pool(proxy.url("postgres"), play)


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.proves("DATA-5")
def test_attempts_that_are_given_up_leave_no_connection_open(proxy: Proxy, no_garbage_collection: None) -> None:
    async def give_up() -> None:
        pool = ConnectionPool(proxy.url("postgres"), size=10)
        pool.fill()
        await eventually(lambda: proxy.open_connections == 10)
        async with asyncio.timeout(5):
            await pool.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await eventually(lambda: proxy.open_connections == 0, seconds=5)

    proxy.stall()
    asyncio.run(give_up())


def seconds_to_connect(url: str) -> float:
    async def connect() -> float:
        began = time.monotonic()
        async with await Connection.open(url):
            return time.monotonic() - began

    return asyncio.run(connect())


@pytest.mark.proves("DATA-14")
def test_the_addresses_of_a_name_are_tried_in_turn(strict: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first of two addresses somebody accepts connections, and does not answer."""

    def resolve(*_: object, **__: object) -> list[Any]:  # no name has two addresses on every machine
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, strict.port)) for host in ("127.0.0.2", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(timeouts, "CONNECT_TIMEOUT", 2)
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "")
    with socket.create_server(("127.0.0.2", strict.port)):
        for parameters in (NEON, f"{NEON}&connect_timeout=0"):
            assert 2 <= seconds_to_connect(strict.url(parameters=parameters)) < 6


@pytest.mark.proves("DATA-14")
@pytest.mark.parametrize(("variable", "parameters"), [("1", ""), ("", "&connect_timeout=1")])
def test_connect_timeout_is_the_users(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, no_garbage_collection: None, variable: str, parameters: str
) -> None:
    """Nor does an attempt that has ended leave a connection open."""
    monkeypatch.setenv("PGCONNECT_TIMEOUT", variable)
    proxy.stall()
    began = time.monotonic()
    with pytest.raises(psycopg.errors.ConnectionTimeout):
        seconds_to_connect(proxy.url("postgres", parameters))
    assert time.monotonic() - began < 5
    wait_until(lambda: proxy.open_connections == 0, seconds=5)


def test_a_connection_is_not_given_to_a_request_that_was_just_cancelled(proxy: Proxy) -> None:
    """Its task has not run since: it still stands in line."""

    async def play() -> None:
        pool = ConnectionPool(proxy.url("postgres"), size=1)
        connection = await pool.acquire()
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        pool.release(connection)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await pool.acquire() is connection
        pool.release(connection)
        await pool.close()

    asyncio.run(play())
