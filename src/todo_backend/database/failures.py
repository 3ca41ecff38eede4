"""Which failures are an outage, and which are permanent."""

import re

from psycopg import InterfaceError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction

# Refusals that waiting cannot mend. libpq tells them by their text alone. A server that speaks another language
# is waited for, and what it says is in the log.
_PERMANENT = re.compile(
    "authentication failed|no such (user|database)|(role|database) .* does not exist|permission denied"
    "|not permitted|no pg_hba.conf entry|channel binding|does not support SSL|certificate|invalid .* value"
    "|no password supplied|unrecognized configuration parameter|unsupported startup parameter|service .* not found"
    "|could not be found",
)


def is_unavailable(error: Exception) -> bool:
    """Tell whether this is a failure of the database rather than of the statement."""
    # A server that takes no writes is a standby, or is about to be one.
    unavailable = (OperationalError, InterfaceError, ReadOnlySqlTransaction, TimeoutError)
    return isinstance(getattr(error, "orig", error), unavailable)


def is_permanent(error: Exception) -> bool:
    return not is_unavailable(error) or bool(_PERMANENT.search(describe(error)))


def describe(error: Exception) -> str:
    """Return what the driver says of a failure, on one line. libpq never says the password."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split()) or "no answer in time"
