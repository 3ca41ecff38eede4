"""`todo-backend check`, on the database: the connection, and what would make a statement fail."""

import math
import os
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import class_row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from todo_backend.cli.check_queries import SESSION, Session
from todo_backend.cli.check_result import CheckResult
from todo_backend.cli.check_tables import check_tables
from todo_backend.database import failures, timeouts
from todo_backend.database.connection import Connection
from todo_backend.database.engine import create_engine
from todo_backend.database.pool import ConnectionPool

CHECK_TIMEOUT = 30.0  # seconds for the connection, and for each statement
CONNECTION_TRIPS = 8  # round trips that a new connection takes: TCP, TLS, SCRAM, the start of the session
PINGS = 3


async def check_database(url: str) -> list[CheckResult]:
    """Check the connection, its encryption, the session and the tables.

    Args:
        url: a PostgreSQL URL as libpq reads it.
    """
    results = []
    pool = ConnectionPool(url, size=1)
    try:
        async with create_engine(pool, timeout=CHECK_TIMEOUT).connect() as open_connection:
            async for result in _check_connection(open_connection, url):
                results.append(result)
    except (DBAPIError, psycopg.Error) as error:
        hint = await _explain_timeout(error, url) or failures.hint(error)
        results.append(CheckResult("Database", False, failures.describe(error), hint))
    finally:
        await pool.close()
    return results


async def _check_connection(connection: AsyncConnection, url: str) -> AsyncIterator[CheckResult]:
    raw: Any = (await connection.get_raw_connection()).driver_connection
    async with raw.cursor(row_factory=class_row(Session)) as cursor:
        session = await (await cursor.execute(SESSION)).fetchone()
    times = []
    for _ in range(PINGS):
        began = time.perf_counter()
        await raw.execute("SELECT 1")
        times.append(time.perf_counter() - began)
    trip = statistics.median(times)
    # A pooler gives its clients a made-up process id.
    is_pooled = "-pooler" in raw.info.host or raw.info.backend_pid != session.pid
    way = "through a pooler" if is_pooled else "direct"
    text = f"PostgreSQL {session.version}, {way}, {trip * 1000:.1f} ms a round trip"
    limit, needed = _connect_timeout(url), trip * CONNECTION_TRIPS
    hint = _raise_timeout(limit, needed) if 0 < limit < needed else ""
    yield CheckResult("Database", True, text, hint)
    yield _check_transport(raw)
    async for result in check_tables(connection, session):
        yield result


def _check_transport(raw: psycopg.AsyncConnection[Any]) -> CheckResult:
    local = raw.info.host.startswith(("/", "127.")) or raw.info.host in ("localhost", "::1")
    required = raw.info.get_parameters().get("channel_binding") == "require"
    if raw.pgconn.ssl_in_use:
        binding = "channel binding required and done" if required else "channel binding not required"
        hint = "" if required else "Add channel_binding=require to DATABASE_URL, as Neon gives it."
        return CheckResult("Transport", True, f"TLS, {binding}", hint)
    hint = "" if local else "Add sslmode=require&channel_binding=require to DATABASE_URL."
    return CheckResult("Transport", local, "No TLS, on this machine" if local else "No TLS", hint)


def _connect_timeout(url: str) -> float:
    """Return the user's connect_timeout in seconds; 0 for no limit."""
    return float(conninfo_to_dict(url).get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT") or 0)


async def _explain_timeout(error: Exception, url: str) -> str:
    """Return the hint for a connect_timeout that is too short; empty for every other error."""
    timed_out = isinstance(getattr(error, "orig", error), psycopg.errors.ConnectionTimeout)
    if not timed_out or failures.is_rejected_connection(error) or (limit := _connect_timeout(url)) <= 0:
        return ""
    began = time.perf_counter()
    try:
        longer = await Connection.open(make_conninfo(url, connect_timeout=timeouts.CONNECT_TIMEOUT))
    except psycopg.Error:
        return ""
    await longer.close()
    return _raise_timeout(limit, time.perf_counter() - began)


def _raise_timeout(limit: float, needed: float) -> str:
    return (
        f"A new connection takes {needed:.1f} s from here, and connect_timeout={limit:g} is shorter.\n"
        f"In DATABASE_URL, raise it to {math.ceil(2 * needed)}, or leave it out."
    )
