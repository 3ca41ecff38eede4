"""From the settings to a database that is ready: connect, migrate, and retry while it is unavailable."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator

import psycopg
from sqlalchemy.exc import DBAPIError

from todo_backend.database.catalogue import read_at_once
from todo_backend.database.engine import create_engine
from todo_backend.database.failures import explain, is_unavailable
from todo_backend.database.pool import ConnectionPool
from todo_backend.database.schema import Schema, Status
from todo_backend.database.timeouts import CANCEL_TIMEOUT, DATABASE_TIMEOUT, time_limit
from todo_backend.database.upgrade import prepare_schema
from todo_backend.settings import CannotStart

log = logging.getLogger(__name__)

# Seconds that a start waits for the database, its migrations included; then it goes on without.
START_TIMEOUT = 20.0
SCHEMA_TIMEOUT = 600.0  # seconds for a statement of a migration, the wait for another process's included
PAUSE = 0.5  # seconds between attempts


class PermanentDatabaseError(CannotStart):
    """The database cannot be used, and a retry will not help."""


class Database:
    """The database that requests find in `request.state.database`.

    Attributes:
        pool: for the store's statements.
        engine: for sessions; it borrows the connections of the pool.
        ready: the schema is known to be current.
        table: where the tasks are: `public.tasks`.
        was_attempted: the first attempt to prepare the schema has ended.
        is_starting: permanent errors end the start; afterwards they are logged.
    """

    def __init__(self, url: str, *, pool_size: int) -> None:
        self.pool = ConnectionPool(url, size=pool_size)
        self.engine = create_engine(self.pool)
        self.ready = False
        self.table = ""
        self.was_attempted = asyncio.Event()
        self.is_starting = True
        self._last_error: str | None = None

    async def becomes_ready(self) -> bool:
        """Wait for the first attempt to prepare the database, and tell whether it is ready."""
        await self.was_attempted.wait()
        return self.ready

    async def prepare(self) -> None:
        """Bring the schema up to date, and retry until that has succeeded.

        Raises:
            PermanentDatabaseError: during the start: the database cannot be used, and a retry will not help.
        """
        while not self.ready:
            try:
                await self._prepare()
            except CannotStart as error:
                if self.is_starting:
                    raise
                self._log_if_changed(str(error))
            except Exception:  # after an unexpected error, too, the service has to become ready
                if self.is_starting:
                    raise
                log.exception("Preparing the database failed, retrying")
            finally:
                self.was_attempted.set()
            if not self.ready:
                await asyncio.sleep(PAUSE)

    async def _prepare(self) -> None:
        try:
            found = await self._read_schema()
            if not found or not found.is_served:
                found = await self._upgrade_schema()
        except (DBAPIError, psycopg.Error, TimeoutError) as error:
            if not is_unavailable(error):
                raise PermanentDatabaseError(f"The database cannot be used: {explain(error)}") from error
            self._log_if_changed(f"Database unavailable, retrying: {explain(error)}")
            return
        if found.missing_privileges:
            raise PermanentDatabaseError(
                f"The database cannot be used: {', '.join(found.missing_privileges)} missing on {found.table}."
                " `todo-backend check` prints the statement that gives the privileges."
            )
        if found.status is Status.LATER:
            log.warning("%s", found.summary)
        if self._last_error:
            log.info("The database is ready")
        self.table = found.table
        self.ready = True

    async def _read_schema(self) -> Schema | None:
        connection = await self.pool.acquire()
        try:
            async with time_limit(asyncio.get_running_loop().time() + DATABASE_TIMEOUT):
                encoding = connection.info.parameter_status("server_encoding")
                if encoding != "UTF8":
                    raise PermanentDatabaseError(
                        f"The database cannot be used: its encoding is {encoding}, not UTF8"
                    )
                return await read_at_once(connection)
        finally:
            self.pool.release(connection)

    async def _upgrade_schema(self) -> Schema:
        async with create_engine(self.pool, timeout=SCHEMA_TIMEOUT).connect() as connection:
            # After waiting for the lock of the migrations, it has to see what others have done.
            await connection.execution_options(isolation_level="READ COMMITTED")
            return await connection.run_sync(prepare_schema)

    def _log_if_changed(self, error: str) -> None:
        if error != self._last_error:
            log.warning("%s", error)
        self._last_error = error


@contextlib.asynccontextmanager
async def open_database(
    url: str, *, pool_size: int, timeout: float = START_TIMEOUT, stopping: threading.Event | None = None
) -> AsyncIterator[Database]:
    """Yield the database; if it is not ready within so many seconds, it becomes so in the background.

    Args:
        timeout: seconds to wait for it.
        stopping: set when the wait has to end, because the program is told to stop.

    Raises:
        PermanentDatabaseError: it cannot be used, and a retry will not help.
    """
    database = Database(url, pool_size=pool_size)
    preparing = asyncio.create_task(database.prepare())
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not (database.was_attempted.is_set() or (stopping and stopping.is_set())):
                    await asyncio.wait([preparing], timeout=0.1)
        database.is_starting = False
        if preparing.done():
            preparing.result()
        yield database
    finally:
        preparing.cancel()
        await asyncio.wait([preparing], timeout=CANCEL_TIMEOUT)
        preparing.cancel()  # the second time psycopg waits no longer for the server
        await asyncio.wait([preparing])
        await database.pool.close()
