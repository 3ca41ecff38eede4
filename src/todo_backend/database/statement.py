"""Statements, written with SQLAlchemy and run on the driver: unusual, for what it gains.

Running one costs a fourth of what it costs through a session of SQLAlchemy's, and its answer next to nothing:
PostgreSQL itself writes the JSON that the client gets. docs/performance.md has the figures.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from sqlalchemy import Select, UpdateBase
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from todo_backend.database.connection import Connection
from todo_backend.database.timeouts import CANCEL_TIMEOUT


class Statement:
    """A statement that gives one value; compiled once, at import.

    Attributes:
        is_read: nothing changes when it is run once more.
    """

    def __init__(self, executable: Select[Any] | UpdateBase) -> None:
        dialect: Any = PGDialect_psycopg
        compiled: Any = executable.compile(dialect=dialect(paramstyle="numeric_dollar"))
        self.sql = str(compiled).encode()
        self.names = compiled.positiontup or ()
        self.is_read = executable.is_select

    async def run_on(self, connection: Connection, values: Mapping[str, Any]) -> bytes:
        """Return the value as PostgreSQL writes it, in UTF-8; empty where it is null, or there is no row.

        The statement and its values go in one message, and nothing is prepared by name. On cancellation, a cancel
        request is sent to the server; the connection must then be discarded.

        Raises:
            psycopg.Error: what the server says, or that the connection is lost.
        """
        parameters = [None if values[name] is None else str(values[name]).encode() for name in self.names]
        try:
            result = await connection.results.run(self.sql, parameters)
        except asyncio.CancelledError:
            with contextlib.suppress(psycopg.Error):
                await connection.cancel_safe(timeout=CANCEL_TIMEOUT)
            raise
        if result.status != ExecStatus.TUPLES_OK:
            error = error_from_result(result)
            error.args = (error.diag.message_primary,)  # without the detail, which can be the row, for the log
            raise error
        return (result.get_value(0, 0) if result.ntuples else None) or b""
