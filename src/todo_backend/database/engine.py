"""SQLAlchemy's engine, for sessions and migrations, on the connections of the pool."""

import asyncio
from contextvars import ContextVar

from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import ExceptionContext, NullPool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from todo_backend.database.connection import Connection
from todo_backend.database.pool import ConnectionPool
from todo_backend.database.timeouts import DATABASE_TIMEOUT, StatementTimeout, time_left

# Seconds that the request waited for the key set. get_db sets it; SQLAlchemy passes no parameter on to `borrow`.
waited: ContextVar[float] = ContextVar("waited", default=0.0)


def create_engine(pool: ConnectionPool, *, timeout: float = DATABASE_TIMEOUT) -> AsyncEngine:
    """Return an engine that borrows its connections from the pool, with a timeout for each statement.

    It begins a transaction at the first statement, as engines do; the pool's own connections are in autocommit.

    Args:
        timeout: seconds for each statement, the wait for a connection included.
    """

    async def borrow() -> Connection:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + time_left(waited.get(), timeout)
        try:
            async with asyncio.timeout_at(deadline):
                connection = await pool.acquire()
        except TimeoutError:
            raise StatementTimeout("no connection in time") from None

        async def give_back() -> None:
            connection.give_back = None
            try:
                if connection.is_idle:  # reset what the session may have set, without a round trip
                    await connection.set_isolation_level(None)
                    await connection.set_read_only(None)
                    await connection.set_deferrable(None)
                    await connection.set_autocommit(True)
            except BaseException:
                connection.finish()  # the next session must not find what this one has set
                raise
            finally:
                pool.release(connection)

        try:
            await connection.set_autocommit(False)
        except BaseException:  # it is no round trip, but psycopg lets the event loop run, which may cancel it
            connection.finish()
            pool.release(connection)
            raise
        connection.timeout, connection.first_timeout = timeout, deadline - loop.time()
        connection.give_back = give_back
        return connection

    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=borrow,
        poolclass=NullPool,
        hide_parameters=True,  # in errors, and so in the log
        use_native_hstore=False,  # looking hstore up is a round trip
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def replace_read_only(context: ExceptionContext) -> None:
        # As the executor does. SQLAlchemy closes the connection, and does not give it back idle.
        if isinstance(context.original_exception, ReadOnlySqlTransaction):
            context.is_disconnect = True

    return engine
