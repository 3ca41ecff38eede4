"""A session for a route, and the one way in which a statement is run."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Annotated, Any

import psycopg
from fastapi import Depends, Request
from psycopg import InterfaceError, OperationalError
from psycopg.errors import DeadlockDetected, ReadOnlySqlTransaction, SerializationFailure
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from todo_backend.database.statement import Statement
from todo_backend.http.errors import TodoError

log = logging.getLogger(__name__)

# Seconds from get_db until a statement is told to stop, the wait for a connection included; CANCEL_LIMIT comes on
# top. Both together are below those that a request has to finish in when the service is stopped, and with the key
# set's limit, which comes before, below the 10 within which a 503 is promised.
TIME_LIMIT = 6.0


class DatabaseUnavailable(TodoError):
    status = 503
    detail = "Database unavailable"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


async def get_db(request: Request) -> AsyncSession:
    """Return a session on the pool of the service, for one request.

    `run` takes a connection for one statement, and gives it back. Whoever uses the session's own methods does so in
    `async with db:`, which gives it back, and has to bring a time limit and an answer to failures.
    """
    database = request.state.database
    deadline = asyncio.get_running_loop().time() + TIME_LIMIT
    return AsyncSession(database.engine, info={"database": database, "deadline": deadline})


SessionDep = Annotated[AsyncSession, Depends(get_db)]


async def run(db: AsyncSession, statement: Statement, values: Mapping[str, Any]) -> bytes:
    """Run one statement as a transaction of its own, on a connection of the session's pool, and return its value.

    Raises:
        DatabaseUnavailable: the database did not answer in time, or at all, and the statement may have taken
            effect; or it takes no writes; or it has been away since the start, and has no schema yet.
    """
    if not db.info["database"].ready:
        raise DatabaseUnavailable
    try:
        async with asyncio.timeout_at(db.info["deadline"]):
            return await _run(db.info["database"].engine, statement, values)
    except (DBAPIError, psycopg.Error, TimeoutError) as error:
        if not is_away(error):
            raise
        log.warning("Database unavailable: %s", describe(error))
        raise DatabaseUnavailable from error


async def _run(engine: AsyncEngine, statement: Statement, values: Mapping[str, Any]) -> bytes:
    may_repeat = statement.is_read
    while True:
        connection = await engine.raw_connection()
        driver: psycopg.AsyncConnection[Any] = connection.driver_connection  # type: ignore[assignment]
        try:
            return await statement.run_on(driver, values)
        except (SerializationFailure, DeadlockDetected):
            continue  # it was rolled back, which is when PostgreSQL says to try again
        except OperationalError:
            if not (driver.closed and may_repeat):
                raise
            may_repeat = False
        finally:
            if driver.pgconn.transaction_status != TransactionStatus.IDLE:
                await driver.close()  # the pool will notice
            connection.close()


def is_away(error: Exception) -> bool:
    """Tell whether this is a failure of the database rather than of the statement."""
    # A server that takes no writes is a standby, or is about to be one.
    away = (OperationalError, InterfaceError, ReadOnlySqlTransaction, TimeoutError)
    return isinstance(getattr(error, "orig", error), away)


def describe(error: Exception) -> str:
    """Return what the driver says of a failure, on one line. libpq never says the password."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split()) or "no answer in time"
