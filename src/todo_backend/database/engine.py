"""The engine and its pool of connections."""

import os
import socket
import traceback
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# Seconds for each of several hosts, if nobody says otherwise: one that is silent must leave time for the others.
HOST_LIMIT = 2


def create_engine(url: str, *, pool_size: int) -> AsyncEngine:
    """Return an engine whose every statement is its own transaction, and takes one round trip.

    The URL goes to libpq as it is, past SQLAlchemy's parser, so that each of its parameters is honoured.

    Args:
        url: a PostgreSQL URL as libpq reads it, such as Neon's connection string.
        pool_size: the most connections there will be.
    """
    given = conninfo_to_dict(url)
    told = "connect_timeout" in given or "PGCONNECT_TIMEOUT" in os.environ
    limit: dict[str, Any] = {"connect_timeout": HOST_LIMIT} if "," in str(given.get("host")) and not told else {}

    async def connect() -> psycopg.AsyncConnection[Any]:
        try:
            return await psycopg.AsyncConnection.connect(
                url,
                **limit,
                autocommit=True,
                # Neon's pooler hands each transaction to any of its connections: statements that were prepared on
                # one are not known on the next (https://neon.com/docs/connect/connection-pooling).
                prepare_threshold=None,
                fallback_application_name="todo-backend",
                client_encoding="UTF8",  # as JSON is
            )
        except BaseException as error:
            # One that is given up would stay open, beyond the pool's size, until the garbage collector comes by:
            # psycopg's frames hold it, and a reference cycle holds them.
            traceback.clear_frames(error.__traceback__)
            raise

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
    """Notice, without a round trip, that a connection was closed: by the server, while it was idle, or by `run`.

    Nothing is ever due on an idle connection, so anything to read is its end: Neon closes connections when it
    suspends a compute (https://neon.com/docs/introduction/scale-to-zero). SQLAlchemy answers this error with a
    new connection.
    """
    if connection.driver_connection.closed:
        raise DisconnectionError
    if not record.info.setdefault("was idle", False):  # it has just been made, and has not been idle yet
        record.info["was idle"] = True
        return
    # Of whatever family: asking the system for it would cost more than the probe.
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, connection.driver_connection.fileno())
    try:
        probe.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return
    except OSError:
        pass
    finally:
        probe.detach()
    raise DisconnectionError
