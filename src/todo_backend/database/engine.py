"""The engine and its pool of connections."""

import socket
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


class BinaryCursor(psycopg.AsyncCursor[Any]):
    """Asks for results in binary, which a DateStyle of the database's own does not change."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], *, row_factory: Any = None) -> None:
        super().__init__(connection, row_factory=row_factory or connection.row_factory)
        self.format = psycopg.pq.Format.BINARY


def create_engine(url: str, *, pool_size: int) -> AsyncEngine:
    """Return an engine whose every statement is its own transaction, and takes one round trip.

    The URL goes to libpq as it is, past SQLAlchemy's parser, so that each of its parameters is honoured.

    Args:
        url: a PostgreSQL URL as libpq reads it, such as Neon's connection string.
        pool_size: the most connections there will be.
    """

    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            url,
            autocommit=True,
            cursor_factory=BinaryCursor,
            # Neon's pooler hands each transaction to any of its connections: statements that were prepared on
            # one are not known on the next (https://neon.com/docs/connect/connection-pooling).
            prepare_threshold=None,
            fallback_application_name="todo-backend",
        )

    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        isolation_level="AUTOCOMMIT",
        # In autocommit there is nothing to roll back: BEGIN and ROLLBACK would be a round trip each.
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
        hide_parameters=True,  # in errors, and so in the log
        use_native_hstore=False,  # looking hstore up is a round trip
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=60,  # beyond what run() waits: there is one time limit, and it is run()'s
        pool_use_lifo=True,  # the busiest connections stay warm, the others may fall asleep
    )
    event.listen(engine.sync_engine, "checkout", _replace_dead)
    return engine


def _replace_dead(connection: Any, record: Any, _: Any) -> None:
    """Notice, without a round trip, that the server closed a connection while it was idle.

    Nothing is ever due on an idle connection, so anything to read is its end: Neon closes connections when it
    suspends a compute (https://neon.com/docs/introduction/scale-to-zero). SQLAlchemy answers this error with a
    new connection.
    """
    if not record.info.setdefault("was idle", False):  # it has just been made, and has not been idle yet
        record.info["was idle"] = True
        return
    probe = socket.socket(fileno=connection.driver_connection.fileno())
    try:
        probe.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return
    except OSError:
        pass
    finally:
        probe.detach()
    raise DisconnectionError
