"""Runs queries on libpq, past psycopg's cursors, with the connection's socket registered once with the event loop.

psycopg registers the socket anew for each query: docs/performance.md has the figures.
"""

import asyncio
from collections.abc import Sequence

import psycopg
from psycopg.pq.abc import PGconn, PGresult


class ResultReader:
    """Runs one query at a time on a connection in libpq's nonblocking mode.

    See https://www.postgresql.org/docs/current/libpq-async.html.
    """

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self._loop: asyncio.AbstractEventLoop | None = None  # while the socket is registered with it
        self._socket = -1  # libpq may have closed it since
        self._is_sending = False
        self._received: asyncio.Future[PGresult] | None = None
        self._results: list[PGresult] = []

    async def run(self, sql: bytes, parameters: Sequence[bytes | None]) -> PGresult:
        """Send a query, and return its result.

        The last result counts: an error at the commit follows the rows. If the call is cancelled, the query goes
        on, and the connection must be closed.

        Raises:
            psycopg.OperationalError: the connection is lost.
        """
        loop = asyncio.get_running_loop()
        self._received = loop.create_future()
        self._results.clear()
        self._pgconn.send_query_params(sql, parameters)
        if self._loop is None:
            self._loop, self._socket = loop, self._pgconn.socket
            loop.add_reader(self._socket, self._advance)
        self._is_sending = self._pgconn.flush() > 0  # the network takes no more for now
        if self._is_sending:
            loop.add_writer(self._socket, self._advance)
        try:
            return await self._received
        finally:
            self._received = None

    def stop(self) -> None:
        """Leave the socket to others: to psycopg's own wait, or to the system when it is closed."""
        if self._loop:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._loop = None

    def _advance(self) -> None:
        """Send what is queued, and read what has come."""
        if self._received is None or self._received.done() or self._loop is None:
            self.stop()  # the server closes the idle connection, or answers a query that was cancelled
            return
        try:
            if self._is_sending and not self._pgconn.flush():
                self._is_sending = False
                self._loop.remove_writer(self._socket)
            self._pgconn.consume_input()
            while not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    self._received.set_result(self._results[-1])
                    return
                self._results.append(result)
        except psycopg.OperationalError as error:
            self.stop()
            self._received.set_exception(error)
