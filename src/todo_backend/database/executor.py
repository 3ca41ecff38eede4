"""Runs the store's statements: one round trip each, and one deadline for all statements of a request."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Annotated, Any

import psycopg
from fastapi import Depends, Request
from psycopg.errors import DeadlockDetected, ReadOnlySqlTransaction, SerializationFailure

from todo_backend.database.failures import (
    describe,
    explain,
    is_missing_table,
    is_rejected_connection,
    is_rejected_statement,
    is_unavailable,
)
from todo_backend.database.startup import Database
from todo_backend.database.statement import Statement
from todo_backend.database.timeouts import time_left
from todo_backend.http.errors import TodoError

log = logging.getLogger(__name__)

# Seconds until a read whose connection was lost is retried. A server that stops closes all connections, one after
# another: the retry must not get one that is about to be closed.
LOST_PAUSE = 0.05


class DatabaseUnavailable(TodoError):
    status = 503
    detail = "Database unavailable"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class StatementRejected(TodoError):
    """A privilege is missing, or the database is set up wrong. The log says what; the client gets the plain 500."""


def response_to(error: Exception, table: str) -> TodoError | None:
    """Log an error of the driver, and return its error response, without the driver's text; None for a bug.

    Args:
        table: the table with its schema, for the log.
    """
    if is_missing_table(error):
        log.error("%s is missing: %s", table, explain(error))
        return DatabaseUnavailable()
    if is_unavailable(error):
        log.warning("Database unavailable: %s", describe(error))
        return DatabaseUnavailable()
    if is_rejected_connection(error):
        log.error("The database rejects the connection: %s", explain(error))
        return DatabaseUnavailable()
    if is_rejected_statement(error):
        log.error("The database rejects the statement: %s", explain(error))
        return StatementRejected()
    return None


class Executor:
    """Runs statements on connections of the pool, without SQLAlchemy's session, which is slower.

    Args:
        deadline: when all statements have to be finished, in the event loop's time.
    """

    def __init__(self, database: Database, deadline: float) -> None:
        self._database = database
        self._deadline = deadline

    async def run(self, statement: Statement, values: Mapping[str, Any]) -> bytes:
        """Run one statement as a transaction of its own, and return its value.

        Raises:
            DatabaseUnavailable: the database does not answer in time, and the statement may have taken effect; or
                it is read-only, or its schema is not prepared yet, or the table is missing.
            StatementRejected: the database lacks a privilege or is set up wrong.
        """
        try:
            async with asyncio.timeout_at(self._deadline):
                if not (self._database.ready or await self._database.becomes_ready()):
                    raise DatabaseUnavailable
                return await self._run(statement, values)
        except (psycopg.Error, TimeoutError) as error:
            if response := response_to(error, self._database.table):
                raise response from error
            raise

    async def _run(self, statement: Statement, values: Mapping[str, Any]) -> bytes:
        pool = self._database.pool
        may_retry = statement.is_read
        while True:
            connection = await pool.acquire()
            try:
                return await statement.run_on(connection, values)
            except (SerializationFailure, DeadlockDetected):
                continue  # it was rolled back: PostgreSQL, "Serialization Failure Handling"
            except ReadOnlySqlTransaction:
                connection.is_rejected = True  # a new one follows when the primary moves, or the default changes
                raise
            except psycopg.OperationalError:
                if not (connection.closed and may_retry):
                    raise
                may_retry = False
                await asyncio.sleep(LOST_PAUSE)
            finally:
                pool.release(connection)


async def get_executor(request: Request) -> Executor:
    # AuthMiddleware sets `waited`; a public route does not wait for the key set.
    seconds = time_left(getattr(request.state, "waited", 0.0))
    return Executor(request.state.database, asyncio.get_running_loop().time() + seconds)


ExecutorDep = Annotated[Executor, Depends(get_executor)]
