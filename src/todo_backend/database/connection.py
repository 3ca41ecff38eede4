"""One connection to PostgreSQL: how it is opened, and whether it is still open."""

import asyncio
import contextlib
import os
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Self

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from todo_backend.database import timeouts
from todo_backend.database.results import ResultReader, has_input
from todo_backend.database.timeouts import StatementTimeout, time_limit

CANCEL_PAUSE = 0.5  # seconds until a cancel request without effect is repeated
# Seconds that a session's statement needs at least. psycopg sends one cancel request, which would arrive before it.
SHORTEST_TIMEOUT = 0.1


class Connection(psycopg.AsyncConnection[Any]):
    """A connection of the pool, in autocommit: every statement is its own transaction.

    Attributes:
        results: runs the store's statements.
        give_back: set while SQLAlchemy uses the connection: returns it to the pool when SQLAlchemy closes it.
        timeout: seconds for each statement of SQLAlchemy, set with give_back.
        first_timeout: the same for the first one, reduced by the wait for the connection.
        last_used: when it was last released to the pool, by time.monotonic().
        is_rejected: a write failed because the session is read-only. The pool replaces it.
        is_silent: a statement was cancelled, and the server did not answer that either.
    """

    give_back: Callable[[], Awaitable[None]] | None = None
    timeout: float
    first_timeout: float | None = None
    last_used = 0.0
    is_rejected = False
    is_silent = False

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn)
        self.results = ResultReader(pgconn)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect.

        libpq gets the URL unchanged, because SQLAlchemy's parser would not keep every parameter. psycopg tries the
        addresses of its hosts one after another, each for `connect_timeout` seconds.

        Raises:
            psycopg.Error: no address accepts the connection.
        """
        timeout: dict[str, Any] = {} if _has_connect_timeout(url) else {"connect_timeout": timeouts.CONNECT_TIMEOUT}
        try:
            return await cls.connect(
                url,
                **timeout,
                autocommit=True,
                # Neon's pooler may run each transaction on another server connection, without the statements that
                # were prepared on the previous one (https://neon.com/docs/connect/connection-pooling).
                prepare_threshold=None,
                fallback_application_name="todo-backend",
                client_encoding="UTF8",  # as JSON is
            )
        except BaseException as error:
            # psycopg's frames hold the half-open connection, and a reference cycle holds them: without this it
            # stays open, beyond the pool's size, until the next garbage collection.
            traceback.clear_frames(error.__traceback__)
            raise

    @property
    def is_idle(self) -> bool:
        """Whether the connection is open and outside a transaction."""
        return self.pgconn.transaction_status == TransactionStatus.IDLE

    @property
    def is_running(self) -> bool:
        """Whether a statement was sent, and its answer has not arrived."""
        return self.pgconn.transaction_status == TransactionStatus.ACTIVE

    @property
    def is_read_only(self) -> bool:
        """Whether the server has reported that it is read-only, as PostgreSQL 14 and newer do with an answer.

        It does not become a standby while a connection is open: that takes a restart.
        """
        return not self.closed and self.pgconn.parameter_status(b"default_transaction_read_only") == b"on"

    def was_closed_by_server(self) -> bool:
        """Tell whether the server has closed this idle connection, without a round trip.

        Neon closes connections when it suspends a compute (https://neon.com/docs/introduction/scale-to-zero). An
        idle connection has nothing to read: if there is something, the server is closing it.
        """
        return has_input(self.fileno())

    async def wait(self, gen: PQGen[Any], *args: Any, **options: Any) -> Any:
        """Run a statement of SQLAlchemy, with its timeout.

        Raises:
            StatementTimeout: it did not end in time.
        """
        self.results.stop()
        if self.give_back is None:
            return await super().wait(gen, *args, **options)
        seconds = self.timeout if self.first_timeout is None else self.first_timeout
        self.first_timeout = None
        if seconds < SHORTEST_TIMEOUT:
            raise StatementTimeout("no time left for the statement")
        try:
            async with time_limit(asyncio.get_running_loop().time() + seconds):
                return await super().wait(gen, *args, **options)
        except TimeoutError:
            self.is_silent = self.closed  # by psycopg, because its cancel request had no effect
            raise StatementTimeout("no answer in time") from None

    async def give_up(self) -> None:
        """Cancel the running statement at the server, see whether it answers, and close the connection.

        The connection is not used again: a cancel request that is late would stop the next statement. One that
        arrives before the statement has no effect, so it is repeated.
        """
        try:
            with contextlib.suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(timeouts.CANCEL_TIMEOUT):
                    while self.is_running:
                        await self.cancel_safe()
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(CANCEL_PAUSE):
                                await self.results.wait()
        finally:
            self.is_silent = self.is_running
            self.finish()

    async def close(self) -> None:
        """Close the connection, or give it back to the pool."""
        if self.give_back:
            await self.give_back()
        else:
            self.finish()

    def finish(self) -> None:
        """Close the connection at once, whatever it is doing."""
        self.results.stop()
        self.pgconn.finish()


def _has_connect_timeout(url: str) -> bool:
    given = conninfo_to_dict(url).get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT")
    return given not in (None, "", "0")
