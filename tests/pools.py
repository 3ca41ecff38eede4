"""Connection pools and ways to run a statement compared: `python -m tests.pools`, for docs/performance.md.

The pools are psycopg_pool's, SQLAlchemy's and this service's, each of ten connections, to a PostgreSQL with TLS and
SCRAM. Each checks a connection before use without a round trip, as this service does.

The statement is a `SELECT` of one row on one connection, by psycopg's cursors and by this service's Statement.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import uvloop
from psycopg import AsyncConnection, AsyncCursor, AsyncRawCursor, Error, OperationalError
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Integer, bindparam, event, select
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine

from tests.proxy import Proxy
from tests.rig.postgres import Server, tls_postgres
from todo_backend.database.connection import Connection
from todo_backend.database.pool import ConnectionPool
from todo_backend.database.statement import Statement

SIZE = 10
CHECKOUTS = 2000
TIMEOUT = 6.0  # seconds for a request
OUTAGE = 20.0  # seconds

ONE = Statement(select(bindparam("number", type_=Integer)))

Lend = Callable[[], AbstractAsyncContextManager[AsyncConnection[Any]]]


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Lend]:
    pool = ConnectionPool(url, size=SIZE)

    @asynccontextmanager
    async def lend() -> AsyncIterator[Connection]:
        connection = await pool.acquire()
        try:
            yield connection
        finally:
            pool.release(connection)

    pool.fill()
    yield lend
    await pool.close()


@asynccontextmanager
async def psycopgs(url: str) -> AsyncIterator[Lend]:
    """psycopg_pool, with as many workers as connections; by default it opens three at a time."""

    async def check(connection: Connection) -> None:
        if connection.was_closed_by_server():
            await connection.close()
            raise OperationalError

    async with AsyncConnectionPool(
        url,
        connection_class=Connection,
        min_size=SIZE,
        num_workers=SIZE,
        kwargs={"autocommit": True},
        check=check,
        open=False,
    ) as pool:
        yield pool.connection


@asynccontextmanager
async def sqlalchemys(url: str) -> AsyncIterator[Lend]:
    def check(connection: Any, *_: Any) -> None:
        if connection.driver_connection.was_closed_by_server():
            raise DisconnectionError

    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=lambda: Connection.open(url),
        pool_size=SIZE,
        max_overflow=0,
        pool_reset_on_return=None,
        use_native_hstore=False,
    )
    event.listen(engine.sync_engine, "checkout", check)

    @asynccontextmanager
    async def lend() -> AsyncIterator[AsyncConnection[Any]]:
        connection = await engine.raw_connection()
        try:
            driver: Any = connection.driver_connection
            yield driver
        finally:
            connection.close()

    yield lend
    await engine.dispose()


async def ask(lend: Lend) -> float:
    """Run a statement, and return the seconds that it took; infinity if it failed or timed out."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT), lend() as connection:
            await connection.execute("SELECT 1")
    except (DBAPIError, Error, TimeoutError):
        return float("inf")
    return time.monotonic() - began


async def at_once(lend: Lend, times: int) -> float:
    return max(await asyncio.gather(*(ask(lend) for _ in range(times))))


async def checkout(lend: Lend) -> float:
    """Return the processor time to acquire and release a connection, in microseconds."""
    least = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(CHECKOUTS):
            async with lend():
                pass
        least = min(least, (time.process_time() - began) / CHECKOUTS * 1e6)
    return least


async def statement(way: str, url: str) -> float:
    """Return the processor time of a statement on one connection, in microseconds."""
    async with await Connection.open(url) as connection:
        cursor = {"AsyncCursor": AsyncCursor, "AsyncRawCursor": AsyncRawCursor}.get(way, AsyncCursor)(connection)
        placeholder = "$1" if way == "AsyncRawCursor" else "%s"

        async def run() -> object:
            if way == "Statement":
                return await ONE.run_on(connection, {"number": 1})
            await cursor.execute(f"SELECT {placeholder}::int", [1])
            return await cursor.fetchone()

        least = float("inf")
        for _ in range(7):
            began = time.process_time()
            for _ in range(CHECKOUTS):
                await run()
            least = min(least, (time.process_time() - began) / CHECKOUTS * 1e6)
        return least


async def seconds_until_served(lend: Lend, proxy: Proxy) -> float:
    """Run statements during an outage, and return the seconds from its end to the first success."""
    proxy.refuse()
    end = time.monotonic() + OUTAGE
    while time.monotonic() < end:
        await asyncio.gather(ask(lend), asyncio.sleep(0.5))
    proxy.flow()
    end = time.monotonic()
    while await ask(lend) == float("inf"):
        pass
    return time.monotonic() - end


async def measure(pool: Callable[[str], AbstractAsyncContextManager[Lend]], server: Server, delay: float) -> str:
    with Proxy(server.port) as proxy:
        proxy.delay = delay
        async with pool(server.url(port=proxy.port)) as lend:
            await at_once(lend, SIZE)
            await asyncio.sleep(1 + 12 * delay)  # until it is full
            lending = await checkout(lend) if not delay else None
            proxy.cut()
            first, tenth = await ask(lend), await at_once(lend, SIZE)
            served = await seconds_until_served(lend, proxy)
    cells = [f"{lending:.0f} us" if lending else "", *(f"{value:.1f} s" for value in (first, tenth, served))]
    return " | ".join(cells).replace("inf s", f"none in {TIMEOUT:.0f} s")


async def main(server: Server) -> None:
    print("| a statement by | processor time |")
    print("|---|---|")
    for way in ("AsyncCursor", "AsyncRawCursor", "Statement"):
        print(f"| {way} | {await statement(way, server.url()):.0f} us |", flush=True)
    print()
    print("| pool | round trip | checkout | first after sleep | tenth of ten after it | after an outage of 20 s |")
    print("|---|---|---|---|---|---|")
    for pool in (sqlalchemys, psycopgs, ours):
        for delay in (0, 0.5):
            print(f"| {pool.__name__} | {delay * 1000:.0f} ms | {await measure(pool, server, delay)} |", flush=True)


if __name__ == "__main__":
    logging.disable()
    with tls_postgres() as running:
        uvloop.run(main(running))
