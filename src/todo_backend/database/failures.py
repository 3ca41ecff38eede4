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
_OTHER_SEARCH_PATH = (
    "If nobody dropped it, a client left another search_path on a connection of the pooler, as restoring a dump"
    " does: restart the pooler (with Neon the compute), and give such a client the host without -pooler."
)
_STATEMENT_MODE = "transaction blocks not allowed in statement pooling mode"
_REJECTED_STATEMENTS = {
    "08P01": "Set pool_mode = transaction in pgbouncer.ini, or connect without this pooler.",  # of _STATEMENT_MODE
    "23505": "The next id is taken. `todo-backend check` prints the statement that corrects it.",
    "3F000": "`todo-backend check` prints the statement that adds a schema.",
    "42501": "`todo-backend check` prints the statement that gives the privilege.",
    "55000": "`todo-backend check` prints the statement that sets the replica identity.",
}

# What Neon, PostgreSQL, PgBouncer and libpq say when they reject a connection, and what to do. The
# first match counts.
REJECTED_CONNECTIONS = {
    # Neon
    "connection is insecure": "Add sslmode=require&channel_binding=require to DATABASE_URL.",
    "VPC endpoint ID|from a blocked network": "Allow this network in the Neon console, under Network Security.",
    "endpoint ID is not specified": (
        "In DATABASE_URL, use the host name from the Neon console, not its IP address, and leave sslsni=0 out."
    ),
    r"IP address \S+ is not allowed": "Add this address in the Neon console, under Network Security, IP Allow.",
    "endpoint (could not|cannot) be found|project name|common name inferred": (
        "Copy the connection string from the Neon console again."
    ),
    "unsupported authentication method|malformed password message": (
        "Copy the connection string from the Neon console again, with its password."
    ),
    # The user and the database
    "no password supplied|empty password": "Add the password to DATABASE_URL.",
    "pg_hba.conf": (
        'Allow this user, database and address in the server\'s pg_hba.conf. If it says "no encryption", add'
        " sslmode=require to DATABASE_URL."
    ),
    "permission denied for database": "Let the owner of the database run GRANT CONNECT ON DATABASE.",
    "channel binding": (
        "Connect to a server or pooler that can do channel binding, as Neon's can, or leave channel_binding=require"
        " out of DATABASE_URL."
    ),
    "client certificate|did not request an SSL certificate|valid SSL certificate": (
        "Set sslcert, sslkey and sslcertmode in DATABASE_URL to what the server asks for."
    ),
    "authentication failed|no such user": (
        "Correct the user and the password in DATABASE_URL. In these, characters such as @ : / ? # % must be"
        " percent-encoded."
    ),
    'role ".*" (does not exist|is not permitted to log in)': (
        "Correct the user in DATABASE_URL, or let an administrator run CREATE ROLE, or ALTER ROLE with LOGIN."
    ),
    'database ".*" does not exist|no such database|invalid database': (
        "Correct the name of the database in DATABASE_URL, or run CREATE DATABASE."
    ),
    # Parameters of the URL
    "authentication method requirement": "Correct require_auth in DATABASE_URL, or leave it out.",
    "SSL required|does not support SSL": (
        "Set sslmode in DATABASE_URL to require, or, for a server without TLS, leave sslmode out."
    ),
    "GSSAPI encryption": "Leave gssencmode out of DATABASE_URL.",
    "root certificate": "Correct sslrootcert in DATABASE_URL. sslrootcert=system uses the system's certificates.",
    "does not match host name|certificate verify failed": (
        "In DATABASE_URL, use the host name that the server's certificate has, and set sslrootcert to the"
        " certificate of the authority that signed it."
    ),
    "certificate|private key": "Correct sslcert and sslkey in DATABASE_URL, or leave them out.",
    "ALPN|wrong version number|sslnegotiation=direct": (
        "Leave sslnegotiation=direct out of DATABASE_URL: only Neon and PostgreSQL 17 or newer can do it."
    ),
    "SSL error: (?!.*(unexpected eof|internal error))": (  # which a server that is down can cause, too
        "Correct the parameters of DATABASE_URL that begin with ssl, or leave them out."
    ),
    "requirepeer|peer credentials": "Correct requirepeer in DATABASE_URL, or leave it out.",
    "authentication( method .*)? not supported|SASL authentication mechanisms|OAuth": (
        "Let the server's pg_hba.conf say scram-sha-256 for this user."
    ),
    "unsupported startup parameter": (
        "Remove this parameter from DATABASE_URL, or use Neon's host without -pooler: the pooler does not know it."
    ),
    "unrecognized configuration parameter|invalid value for|requires a .*value|cannot be (changed|set)|"
    "permission denied to set|invalid command-line argument": (
        "Correct options in DATABASE_URL, or the variable PGOPTIONS, or leave them out."
    ),
    "protocol version|bad packet header|unsupported (frontend )?protocol": (
        "Leave min_protocol_version and max_protocol_version out of DATABASE_URL."
    ),
    "response to SSL negotiation|expected authentication request": (
        "Correct the host and the port in DATABASE_URL: what answers there is not PostgreSQL."
    ),
}
_REJECTED_PARAMETER = "Correct this parameter of DATABASE_URL, or leave it out."

# The texts of an outage, and what may end it.
OUTAGES = {
    "quota|exceeded|temporarily unavailable": (
        "Look at the limits of your plan in the Neon console. The service retries until Neon accepts it."
    ),
    "endpoint (is|has been) disabled": "Enable the compute in the Neon console. The service retries until then.",
    "too many|connection slots|no more connections": (
        "Lower DATABASE_POOL_SIZE or the number of workers, or use Neon's host with -pooler in DATABASE_URL."
    ),
    "failed to resolve host": "Correct the host in DATABASE_URL, or the network.",
    "starting up|shutting down|recovery mode|not yet accepting|not currently accepting": "Wait, and try again.",
    "not read-only|not in hot standby": "Leave target_session_attrs out of DATABASE_URL.",
    "read-only transaction": "`todo-backend check` prints the statement that allows writes.",
    "read-only|hot standby": "Use the host of the primary in DATABASE_URL, not that of a standby or read replica.",
}
_ANSWERED = "If the server rejects the user or the database, correct DATABASE_URL. The service retries."
_REACH = "Check that the server runs, and that the host and port of DATABASE_URL can be reached from here."

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
    return state in _REJECTED_STATEMENTS


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
        return _OTHER_SEARCH_PATH
    if is_rejected_statement(cause):
        return _REJECTED_STATEMENTS[str(_sqlstate(cause))]
    if is_rejected_connection(cause):
        return next(filter(None, (_rejection_hint(reason) for _, reason in _attempts(cause))))
    if not is_unavailable(cause):
        return ""
    is_answer = any(_ANSWER.match(_without_address(reason)) for _, reason in _attempts(cause))
    return _find(OUTAGES, describe(cause)) or (_ANSWERED if is_answer else _REACH)


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
    return _find(REJECTED_CONNECTIONS, _without_address(reason)) or (_REJECTED_PARAMETER if is_parameter else "")


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
