"""How long a request waits for a connection and a statement: docs/spec.md, "Database Schema & Connection".

The client enforces these timeouts, because a pooler takes no `SET statement_timeout`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg

# Seconds for an attempt to connect to one address, unless the URL has a connect_timeout. It takes 7 to 8 round
# trips (TCP, TLS, SCRAM, start), which is 4 s at 500 ms, and a Neon compute may have to wake up.
CONNECT_TIMEOUT = 10
# Seconds that a request waits for the database: first for a connection of the pool, then for the statement.
DATABASE_TIMEOUT = 6.0
# Seconds for the key set and the database together. With CANCEL_TIMEOUT it stays below the 10 of a 503.
REQUEST_TIMEOUT = 8.3
# Seconds to cancel a statement at the server. With DATABASE_TIMEOUT it is below server.run.SHUTDOWN_TIMEOUT.
CANCEL_TIMEOUT = 1.5


class StatementTimeout(psycopg.OperationalError):
    """No connection or no answer in time. The statement may have taken effect."""


def time_left(waited: float, timeout: float = DATABASE_TIMEOUT) -> float:
    """Return the seconds that a request still has for the database.

    Args:
        waited: seconds that it waited for the key set.
        timeout: seconds for the database if it did not wait.
    """
    return max(0.0, min(timeout, REQUEST_TIMEOUT - waited)) if waited else timeout


@contextlib.asynccontextmanager
async def time_limit(deadline: float) -> AsyncIterator[None]:
    """Raise TimeoutError when the event loop's clock reaches the deadline, or CANCEL_TIMEOUT later.

    At the first cancellation psycopg sends a cancel request to the server and waits; at the second it closes the
    connection. So a slow server stops working on the statement, and a silent network does not delay the request.
    """
    async with asyncio.timeout_at(deadline + CANCEL_TIMEOUT), asyncio.timeout_at(deadline):
        yield
