"""Runs queries on libpq, without psycopg's cursors, which register the socket with the event loop for each query.

Here it is registered once per connection: docs/performance.md has the figures.
"""

import asyncio
import socket
from collections.abc import Sequence

import psycopg
from psycopg.pq.abc import PGconn, PGresult


def has_input(descriptor: int) -> bool:
    """Tell whether a socket has something to read, or is closed by the other end, without reading it."""
    # recv() does not depend on the address family; looking that up would take longer than recv() itself.
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
    try:
        probe.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        probe.detach()
    return True


class ResultReader:
    """Runs one query at a time on a connection in libpq's nonblocking mode.

    See https://www.postgresql.org/docs/current/libpq-async.html.
    """

    _is_sending: bool  # set by run()
    _socket: int  # set with the event loop, and kept for stop(), when libpq may have closed it

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self._loop: asyncio.AbstractEventLoop | None = None  # set while the socket is registered
        self._received: asyncio.Future[PGresult] | None = None
        self._results: list[PGresult] = []

    async def run(self, sql: bytes, parameters: Sequence[bytes | None]) -> PGresult:
        """Send a query, and return its result.

        Raises:
            psycopg.OperationalError: the connection is lost.
        """
        self._results.clear()
        try:
            self._pgconn.send_query_params(sql, parameters)
            self._is_sending = self._pgconn.flush() > 0  # the socket's send buffer is full
        except psycopg.OperationalError:
            self.stop()  # libpq may have closed the socket: the next one to be opened has its file descriptor
            raise
        return await self.wait()

    async def wait(self) -> PGresult:
        """Return the result of the query that was sent. If the call is cancelled, it can be made again.

        The last result counts: an error at the commit follows the rows.

        Raises:
            psycopg.OperationalError: the connection is lost.
        """
        loop = asyncio.get_running_loop()
        self._received = loop.create_future()
        if self._loop is None:
            self._loop, self._socket = loop, self._pgconn.socket
            loop.add_reader(self._socket, self._advance)
        if self._is_sending:
            loop.add_writer(self._socket, self._advance)
        try:
            return await self._received
        finally:
            self._received = None

    def stop(self) -> None:
        """Unregister the socket, before psycopg waits on it or libpq closes it."""
        if self._loop:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._loop = None

    def _advance(self) -> None:
        """Send the rest of the query, and read what has arrived."""
        if self._received is None or self._received.done() or self._loop is None:
            self.stop()  # the server closes the idle connection, or answers a query that was cancelled
            return
        try:
            if self._is_sending and not self._pgconn.flush():
                self._is_sending = False
                self._loop.remove_writer(self._socket)
            # Read all there is: after a reset uvloop does not call this again (UVPoll._fatal_error in its source).
            has_more = True
            while has_more:
                self._pgconn.consume_input()
                while not self._pgconn.is_busy():
                    result = self._pgconn.get_result()
                    if result is None:
                        self._received.set_result(self._results.pop())
                        return
                    self._results.append(result)
                has_more = has_input(self._socket)
        except psycopg.OperationalError as error:
            self.stop()
            self._received.set_exception(error)
