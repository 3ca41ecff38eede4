"""From the settings to a database that is ready: connect, migrate, and keep trying while it is away."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from todo_backend.database.engine import create_engine
from todo_backend.database.migrations import UnknownSchema, is_current, upgrade
from todo_backend.database.session import describe, is_away
from todo_backend.settings import CannotStart

log = logging.getLogger(__name__)

CONNECT_LIMIT = 2.5  # seconds an attempt to connect may take
FIRST_LIMIT = 2.5  # seconds the service waits at its start, other workers' migrations included
MIGRATE_LIMIT = 600.0  # seconds a migration may take in the background
PAUSE = 0.5  # seconds between attempts
GRACE = 1.5  # seconds that psycopg has to stop at one of these limits

# Refusals that waiting cannot mend. libpq tells them by their text alone. A server that speaks another language
# is waited for, and what it says is in the log.
_REFUSED = re.compile(
    "authentication failed|no such (user|database)|(role|database) .* does not exist|permission denied"
    "|not permitted|no pg_hba.conf entry|channel binding|does not support SSL|certificate|invalid .* value"
    "|no password supplied|unrecognized configuration parameter|unsupported startup parameter|service .* not found"
    "|could not be found",
)


class DatabaseRefused(CannotStart):
    """The database will not have us, and waiting will not help."""


@dataclass
class Database:
    """What requests get by `request.state.database`.

    Attributes:
        ready: the schema is known to be up to date.
        trouble: why it is not; what has been said of it in the log.
    """

    engine: AsyncEngine
    ready: bool = False
    trouble: str = ""

    def log_trouble(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble


@contextlib.asynccontextmanager
async def open_database(url: str, *, pool_size: int) -> AsyncIterator[Database]:
    """Yield the database, ready if it is there; if it is away, it becomes ready when it is back.

    Raises:
        DatabaseRefused: it is there, and waiting will not help.
    """
    database = Database(create_engine(url, pool_size=pool_size))
    waiting = None
    try:
        if not await prepare(database, FIRST_LIMIT):
            waiting = asyncio.create_task(_prepare_until_ready(database))
        yield database
    finally:
        if waiting:
            waiting.cancel()  # asyncio.run() awaits its end, and cancels it again if need be
        await database.engine.dispose()


async def prepare(database: Database, limit: float) -> bool:
    """Bring the schema up to date, and tell whether that could be done within so many seconds.

    Raises:
        DatabaseRefused: the database is there, and waiting will not help.
    """
    try:
        now = asyncio.get_running_loop().time()
        async with time_limit(now + CONNECT_LIMIT):
            connection = await database.engine.connect()
        async with time_limit(now + limit), contextlib.aclosing(connection):
            driver: Any = (await connection.get_raw_connection()).driver_connection
            encoding = driver.info.parameter_status("server_encoding")
            if encoding != "UTF8":
                raise DatabaseRefused(f"The database cannot be used: its encoding is {encoding}, not UTF8")
            if not await connection.run_sync(is_current):
                await connection.rollback()  # for SQLAlchemy: the server has had no transaction yet
                # The one place that needs one: the migrations come as a whole or not at all.
                await connection.execution_options(isolation_level="READ COMMITTED")
                await connection.run_sync(upgrade)
                await connection.commit()
    except (DBAPIError, TimeoutError, UnknownSchema) as error:
        reason = describe(error)
        if not is_away(error) or _REFUSED.search(reason):
            raise DatabaseRefused(f"The database cannot be used: {reason}") from error
        database.log_trouble(f"The database is away, trying again: {reason}")
        return False
    log.info("The database is ready")
    database.ready = True
    return True


async def _prepare_until_ready(database: Database) -> None:
    while True:
        await asyncio.sleep(PAUSE)
        try:
            if await prepare(database, MIGRATE_LIMIT):
                return
        except DatabaseRefused as error:
            database.log_trouble(str(error))
        except Exception:  # whatever it is, the service must not stay unready for ever because of it
            log.exception("Preparing the database failed, trying again")


@contextlib.asynccontextmanager
async def time_limit(deadline: float) -> AsyncIterator[None]:
    """Raise TimeoutError when the event loop's clock reaches the deadline, or little later.

    Cancelled once, psycopg asks the server to stop and awaits its answer; cancelled again, because that does not
    come either, it drops the connection. So a slow server is not left with the work, and a silent network does not
    hold the request.
    """
    async with asyncio.timeout_at(deadline + GRACE), asyncio.timeout_at(deadline):
        yield
