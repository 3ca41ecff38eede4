"""What an error of the database driver means, and what the user can do about it.

| error | at the start | while serving |
|---|---|---|
| outage: the database is down, busy, suspended, over its quota, or read-only | retry | 503 |
| rejected connection, such as a wrong password | the start ends with one line | 503 |
| missing table | it is made | 503 |
| rejected statement, such as a missing privilege | the start ends with one line | 500 |
| any other: a bug | the start ends with one line | 500, with a traceback |

The server gives a SQLSTATE with the error of a statement. The error of an attempt to connect has none: psycopg 3.3
and libpq 18 keep only the text. So the English texts of libpq, PostgreSQL, PgBouncer and Neon's proxy are matched
(https://neon.com/docs/connect/connection-errors; `proxy/src` in https://github.com/neondatabase/neon). A PostgreSQL
with another `lc_messages` has texts that are not here: then the service retries, and logs the text.
"""

import re

import psycopg

from todo_backend.database.failure_hints import (
    ANSWERED,
    OTHER_SEARCH_PATH,
    OUTAGES,
    REACH,
    REJECTED_CONNECTIONS,
    REJECTED_PARAMETER,
    REJECTED_STATEMENTS,
)

# SQLSTATEs, or their first digits (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_UNAVAILABLE = (
    "08",  # connection exception; PgBouncer's own errors, such as query_wait_timeout, are 08P01
    "25006",  # read-only transaction: a standby, which may be promoted, or a default, which may be changed
    "25P03",  # idle in transaction for too long
    "25P04",  # transaction timeout
    "40",  # rolled back because of a concurrent transaction
    "53",  # out of connections, memory or disk, or over Neon's project size limit
    "55P03",  # lock timeout
    "57",  # cancelled, shut down, crashed, or starting
    "58",  # input or output failed
)
_MISSING_TABLE = "42P01"
_STATEMENT_MODE = "transaction blocks not allowed in statement pooling mode"

# psycopg's list of failures, if there are several addresses; libpq's text for one; any quoted name.
_FAILURES = re.compile("^- (host: .*?), hostaddr: .*?: (.*?)(?=\\n- host: |\\Z)", re.DOTALL | re.MULTILINE)
_ATTEMPT = re.compile("(connection to server .*? failed: )(.*?)(?=connection to server |\\Z)", re.DOTALL)
_ANSWER = re.compile(r"\S+:  ")  # the severity, in any language
_EOF = "SSL error: unexpected eof while reading"
_NAME = re.compile('"[^"]*"')


def is_unavailable(error: BaseException) -> bool:
    """Tell whether this is an outage: a retry may succeed.

    Args:
        error: a psycopg.Error, the SQLAlchemy error around one, or a TimeoutError.
    """
    cause = _cause(error)
    if state := _sqlstate(cause):
        return state.startswith(_UNAVAILABLE) and not is_rejected_statement(cause)
    kinds = (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError)
    return isinstance(cause, kinds) and not is_rejected_connection(cause)


def is_rejected_connection(error: BaseException) -> bool:
    """Tell whether libpq or the server rejected the connection, so that a retry would be rejected, too.

    Where the URL names several hosts, each has to reject it: one that is down may come back.
    """
    hosts: dict[str, bool] = {}
    for host, reason in _attempts(_cause(error)):
        hosts[host] = hosts.get(host, False) or bool(_rejection_hint(reason))
    return all(hosts.values())


def is_rejected_statement(error: BaseException) -> bool:
    """Tell whether the server rejected a statement because of a privilege or a setting."""
    cause = _cause(error)
    state = _sqlstate(cause)
    if state == "08P01":
        return _STATEMENT_MODE in str(cause)
    if isinstance(cause, psycopg.errors.UniqueViolation):
        return cause.diag.constraint_name == "tasks_pkey"
    return state in REJECTED_STATEMENTS


def is_missing_table(error: BaseException) -> bool:
    """Tell whether a table of the statement does not exist, or is not on the search path."""
    return _sqlstate(_cause(error)) == _MISSING_TABLE


def describe(error: BaseException) -> str:
    """Return the driver's text, on one line. libpq never puts the password into it."""
    cause = _cause(error)
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
        return cause.diag.message_primary
    reasons = [reason for _, reason in _attempts(cause)]
    reasons = [reason for reason in reasons if _rejection_hint(reason)] or reasons
    distinct = {_without_address(reason): _one_line(reason) for reason in reversed(reasons)}
    return "; ".join(reversed(distinct.values())) or "no answer in time"


def hint(error: BaseException) -> str:
    """Return what the user can do about it, in sentences; empty for a bug."""
    cause = _cause(error)
    if is_missing_table(cause):
        return OTHER_SEARCH_PATH
    if is_rejected_statement(cause):
        return REJECTED_STATEMENTS[str(_sqlstate(cause))]
    if is_rejected_connection(cause):
        return next(filter(None, (_rejection_hint(reason) for _, reason in _attempts(cause))))
    if not is_unavailable(cause):
        return ""
    is_answer = any(_ANSWER.match(_without_address(reason)) for _, reason in _attempts(cause))
    return _find(OUTAGES, describe(cause)) or (ANSWERED if is_answer else REACH)


def explain(error: BaseException) -> str:
    """Return the driver's text and the hint, on one line."""
    said, advice = describe(error), hint(error)
    end = "" if said.endswith((".", "?")) else "."
    return f"{said}{end} {advice}" if advice else said


def _cause(error: BaseException) -> BaseException:
    return getattr(error, "orig", None) or error


def _sqlstate(cause: BaseException) -> str | None:
    return getattr(cause, "sqlstate", None)


def _attempts(cause: BaseException) -> list[tuple[str, str]]:
    """Return the host and the reason of each attempt to connect, or of the error of a statement."""
    text = str(cause)
    attempts = []
    for host, failure in _FAILURES.findall(text) or [("", text)]:
        reasons = ["".join(found) for found in _ATTEMPT.findall(failure)] or [failure]
        attempts += [(host, reason) for reason in reasons]
    if isinstance(cause, psycopg.Error) and cause.pgconn and _EOF in text:
        # A server without direct TLS closes the connection without an error message.
        options = {option.keyword: option.val for option in cause.pgconn.info}
        if options[b"sslnegotiation"] == b"direct":
            return [(host, f"{reason.rstrip()} (sslnegotiation=direct)") for host, reason in attempts]
    return attempts


def _rejection_hint(reason: str) -> str:
    """Return what to do about a rejected connection; empty if the reason is an outage."""
    is_parameter = reason.startswith("connection is bad: ")  # libpq did not try any address
    if not is_parameter and not _ATTEMPT.match(reason):
        return ""
    return _find(REJECTED_CONNECTIONS, _without_address(reason)) or (REJECTED_PARAMETER if is_parameter else "")


def _without_address(reason: str) -> str:
    return _ATTEMPT.sub(r"\2", reason)


def _one_line(text: str) -> str:
    """Join the lines, each as a sentence: libpq ends the first one without a full stop."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    sentences = [line if line[-1] in ".?:;," else f"{line}." for line in lines]
    return " ".join([*sentences[:-1], *lines[-1:]])


def _find(hints: dict[str, str], text: str) -> str:
    text = _NAME.sub('""', text)
    return next((hint for pattern, hint in hints.items() if re.search(pattern, text, re.IGNORECASE)), "")
