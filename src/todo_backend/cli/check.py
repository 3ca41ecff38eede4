"""Diagnostics, `todo-backend check`: what is well, what is not, and what to do about it."""

import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from todo_backend.auth.verifier import Verifier
from todo_backend.cli.check_env_file import check_env_file
from todo_backend.cli.check_result import CheckResult
from todo_backend.cli.check_token import check_key_set, check_token
from todo_backend.database.engine import create_engine
from todo_backend.database.failures import describe
from todo_backend.database.migrations import is_current
from todo_backend.database.pool import ConnectionPool
from todo_backend.settings import InvalidSettings, Settings, TokenSettings

CHECK_TIMEOUT = 30.0  # seconds for the connection, and for each statement
PINGS = 5


async def run_checks(token: str | None) -> AsyncIterator[CheckResult]:
    """Yield a result for each thing that is checked, the token if there is one included."""
    try:
        settings = Settings.load()
    except InvalidSettings as error:
        for line in str(error).splitlines():
            problem, _, hint = line.partition(": ")
            yield CheckResult("Settings", False, problem, hint)
    else:
        yield CheckResult("Settings", True, "every variable is set and valid")
        for result in await check_database(settings.database_url.get_secret_value()):
            yield result
    for result in check_env_file():
        yield result
    try:
        verification = TokenSettings.load()
    except InvalidSettings:
        if token is not None:
            yield CheckResult("Token", False, "cannot be judged without the settings", "Mend them first.")
    else:
        if verification.better_auth_url:
            yield await check_key_set(verification.better_auth_url)
        if token is not None:
            yield await check_token(token, Verifier(verification.secret, verification.better_auth_url))


async def check_database(url: str) -> list[CheckResult]:
    pool = ConnectionPool(url, size=1)
    try:
        async with create_engine(pool, timeout=CHECK_TIMEOUT).connect() as connection:
            return [result async for result in check_connection(connection, url)]
    except DBAPIError as error:
        hint = "Look at DATABASE_URL, and whether the server runs and can be reached from here."
        return [CheckResult("Database", False, describe(error), hint)]
    finally:
        await pool.close()


async def check_connection(connection: AsyncConnection, url: str) -> AsyncIterator[CheckResult]:
    raw: Any = (await connection.get_raw_connection()).driver_connection
    version, backend = (
        await connection.execute(text("SELECT current_setting('server_version'), pg_backend_pid()"))
    ).one()
    times = []
    for _ in range(PINGS):
        began = time.perf_counter()
        await connection.execute(text("SELECT 1"))
        times.append(time.perf_counter() - began)
    trip = f"{statistics.median(times) * 1000:.1f} ms a round trip"
    # A pooler makes up the process id that it tells its clients.
    pooled = "-pooler" in raw.info.host or raw.info.backend_pid != backend
    way = "through a pooler" if pooled else "direct"
    yield CheckResult("Database", True, f"PostgreSQL {version}, {way}, {trip}")

    local = raw.info.host.startswith(("/", "127.")) or raw.info.host in ("localhost", "::1")
    required = conninfo_to_dict(url).get("channel_binding") == "require"
    if raw.pgconn.ssl_in_use:
        binding = "channel binding required and done" if required else "channel binding not required"
        hint = "" if required else "Add channel_binding=require to DATABASE_URL, as Neon gives it."
        yield CheckResult("Transport", True, f"TLS, {binding}", hint)
    else:
        hint = "" if local else "Add sslmode=require&channel_binding=require to DATABASE_URL."
        yield CheckResult("Transport", local, "no TLS, on this machine" if local else "no TLS", hint)

    if await connection.run_sync(is_current):
        yield CheckResult("Schema", True, "up to date")
    else:
        yield CheckResult("Schema", False, "not up to date", "Start the service, which makes and moves it.")
