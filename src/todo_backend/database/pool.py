"""The connection pool: at most `size` connections, opened in the background and kept open."""

import asyncio
import functools
import logging
import time
from collections import deque
from collections.abc import Iterable

import psycopg
from psycopg.conninfo import conninfo_to_dict

from todo_backend.database.connection import Connection
from todo_backend.database.failures import describe

log = logging.getLogger(__name__)

Waiters = Iterable[asyncio.Future[Connection]]

RETRY_PAUSE = 0.5  # seconds from a failed attempt to connect to the next one


class ConnectionPool:
    """Hands out connections, and opens them in background tasks.

    An attempt to connect outlives the request that caused it: its connection serves the next request. All missing
    connections are opened at once, unless the last attempt failed: then there is one attempt at a time.

    Args:
        url: a PostgreSQL URL as libpq reads it.
        size: the maximum number of connections.
    """

    def __init__(self, url: str, *, size: int) -> None:
        self.url = url
        self.size = size
        self._has_to_write = conninfo_to_dict(url).get("target_session_attrs") == "read-write"
        self._open = 0  # connections, idle or in use
        self._idle: list[Connection] = []  # the most recently used one is used next
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        self._opening: set[asyncio.Task[Connection]] = set()
        self._last_error: str | None = None  # of the last attempt; None when one succeeds
        self._logged: str | None = None  # the error that is in the log already; None when the pool is full
        self._pause: asyncio.TimerHandle | None = None  # after a failed attempt
        self._is_closed = False

    async def acquire(self) -> Connection:
        """Return an open connection as soon as there is one. The caller sets a timeout, and calls `release`.

        Raises:
            psycopg.Error: an attempt to connect that began after this call failed, and no connection is open.
        """
        while self._idle:
            connection = self._idle.pop()
            if not connection.was_closed_by_server():
                return connection
            # Neon closes all connections when it suspends a compute: replace them all at once.
            closed = [connection, *(other for other in self._idle if other.was_closed_by_server())]
            self._idle = [other for other in self._idle if other not in closed]
            for other in closed:
                self._discard(other)
        waiter: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self.fill()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and not waiter.exception():
                self.release(waiter.result())
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def release(self, connection: Connection) -> None:
        """Take a connection back. One that is closed, still in a transaction, or that rejected a write is replaced.

        If it is silent, or read-only against the URL's target_session_attrs, another server may be the primary now,
        and nothing has closed the connections to the old one. Those that were idle since this one was lent are
        replaced, too: each would cost a request its 503.
        """
        is_stale = connection.is_silent or (self._has_to_write and connection.is_read_only)
        # An idle connection is checked when it is lent. This one may be lent here and now.
        is_usable = connection.is_idle and not (self._waiting and connection.was_closed_by_server())
        if self._is_closed or not is_usable or connection.is_rejected or is_stale:
            self._discard(connection)
            while is_stale and self._idle and self._idle[0].last_used <= connection.last_used:
                self._discard(self._idle.pop(0))
            self.fill()
            return
        connection.last_used = time.monotonic()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def fill(self) -> None:
        """Open the missing connections in the background."""
        if self._is_closed or self._pause:
            return
        most = 1 if self._last_error else self.size
        for _ in range(min(most, self.size - self._open) - len(self._opening)):
            attempt = asyncio.create_task(Connection.open(self.url))
            self._opening.add(attempt)
            attempt.add_done_callback(functools.partial(self._on_end, waiters=tuple(self._waiting)))

    async def close(self) -> None:
        """Close every idle connection now, and each one in use when it is released."""
        self._is_closed = True
        for attempt in self._opening:
            attempt.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        while self._idle:
            self._discard(self._idle.pop())

    def _on_end(self, attempt: asyncio.Task[Connection], waiters: Waiters) -> None:
        self._opening.remove(attempt)
        if attempt.cancelled():  # by close()
            return
        if error := attempt.exception():
            self._on_failure(error, waiters)
            return
        connection = attempt.result()
        if connection.was_closed_by_server():  # it stopped meanwhile
            connection.finish()
            self._on_failure(psycopg.OperationalError("the server closed the new connection"), waiters)
            return
        self._last_error = None
        self._open += 1
        if self._open == self.size:
            self._logged = None
        self.release(connection)
        self.fill()

    def _on_failure(self, error: BaseException, waiters: Waiters) -> None:
        if not self._open and not self._opening:  # there is no other connection to wait for
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(error)
        elif describe(error) != self._logged:
            self._logged = describe(error)
            log.warning("Could not open one of %d connections: %s", self.size, self._logged)
        self._last_error = describe(error)
        self._pause = self._pause or asyncio.get_running_loop().call_later(RETRY_PAUSE, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        if self._waiting:
            self.fill()

    def _discard(self, connection: Connection) -> None:
        self._open -= 1
        connection.finish()
