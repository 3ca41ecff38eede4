"""What an error of the driver means.

Each text that is matched is said here: by the real server, pooler or libpq, or by a stand-in for Neon.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from tests.rig import pgbouncer
from tests.rig.postgres import Server
from tests.rig.speaker import Speaker, error_response
from todo_backend.database import failures


def error_of(url: str) -> psycopg.Error:
    """Return the error of an attempt to connect."""

    async def connect() -> None:
        connection = await psycopg.AsyncConnection.connect(url)
        await connection.close()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner, pytest.raises(psycopg.Error) as raised:
        runner.run(connect())
    return raised.value


def assert_refused(error: Exception, text: str, hint: str) -> None:
    """Check what is told; a line break in the text stands for the end."""
    assert failures.is_rejected_connection(error), error
    assert not failures.is_unavailable(error)
    assert text in failures.describe(error) + "\n"
    assert "\n" not in failures.explain(error)
    assert_hint(error, hint)


def assert_unavailable(error: Exception, text: str, hint: str) -> None:
    assert failures.is_unavailable(error), error
    assert text in failures.describe(error)
    assert_hint(error, hint)


def assert_hint(error: Exception, part: str) -> None:
    assert part in failures.hint(error)
    assert failures.explain(error).endswith(".")


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    with Speaker() as speaker:
        yield speaker


@pytest.fixture(scope="module")
def pooler(strict: Server) -> Iterator[int]:
    with pgbouncer.running(strict) as port:
        yield port


# Refusals, and a part of the hint. From neondatabase/neon, proxy/src: auth/mod.rs,
# auth/credentials.rs, proxy/mod.rs, control_plane/messages.rs; postgres, src/backend: libpq/auth.c,
# utils/init/postinit.c, tcop/backend_startup.c, utils/misc/guc.c; pgbouncer, src/client.c.
REFUSALS = {
    "connection is insecure (try using `sslmode=require`)": "Add sslmode=require&channel_binding=require",
    "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI "
    "support or pass"
    " the endpoint ID (first part of the domain name) as a parameter: '?options=endpoint%3D<endpoint-"
    "id>'. See more at"
    " https://neon.tech/sni": "use the host name from the Neon console",
    "VPC endpoint ID is not specified. This endpoint requires a VPC endpoint ID to connect.": "Allow this network",
    "This VPC endpoint id vpce-1 is not allowed to connect to this endpoint. Please add it to the allowed"
    " list in the"
    " Neon console.": "Allow this network",
    "This connection is trying to access this endpoint from a blocked network.": "Allow this network",
    "This IP address 192.0.2.1 is not allowed to connect to this endpoint. Please add it to the allowed list in the"
    " Neon console. Make sure to check for IPv4 or IPv6 addresses.": "IP Allow",
    "password authentication failed for user 'me'": "Correct the user and the password",
    "Unsupported authentication method: md5": "Copy the connection string",
    "Malformed password message: missing terminating null": "Copy the connection string",
    "Control plane request failed: endpoint cannot be found": "Copy the connection string",
    "The requested endpoint could not be found, or you don't have access to it. Please check the provided"
    " ID and try"
    " again.": "Copy the connection string",
    "Inconsistent project name inferred from SNI ('ep-a') and project option ('ep-b').": "Copy the connection",
    "Common name inferred from SNI ('neon.tech') is not known": "Copy the connection string",
    "Project name ('a_b') must contain only alphanumeric characters and hyphen.": "Copy the connection string",
    "unsupported startup parameter: search_path. Please use unpooled connection or remove this parameter "
    "from the startup"
    " package. More details: https://neon.tech/docs/connect/connection-errors#unsupported-startup-"
    "parameter": "-pooler",
    'role "me" is not permitted to log in': "ALTER ROLE with LOGIN",
    'no pg_hba.conf entry for host "192.0.2.1", user "me", database "neondb", no encryption': "pg_hba.conf",
    'pg_hba.conf rejects connection for host "192.0.2.1", user "me", database "neondb"': "pg_hba.conf",
    'Peer authentication failed for user "me"': "Correct the user and the password",
    'permission denied for database "neondb"': "GRANT CONNECT ON DATABASE",
    'cannot connect to invalid database "neondb"': "Correct the name of the database",
    "connection requires a valid client certificate": "sslcert",
    "empty password returned by client": "Add the password",
    'permission denied to set parameter "lc_messages"': "options",
    "unsupported frontend protocol 3.2: server supports 2.0 to 3.0": "max_protocol_version",
    "no such user: me": "Correct the user",
    "no such database: neondb": "Correct the name of the database",
}


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize("said", REFUSALS)
def test_a_refused_connection(speaker: Speaker, said: str) -> None:
    speaker.answer = error_response(said)
    assert_refused(error_of(speaker.url()), said, REFUSALS[said])


# Said in an outage, from the same sources; and Neon's user-facing messages, as users report them.
OUTAGES = {
    "Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits.": "plan",
    "Your project has exceeded the data transfer quota. Upgrade your plan to increase limits.": "your plan",
    "You have exceeded the limit of concurrently active endpoints. Please suspend some endpoints or "
    "contact our support"
    " at https://neon.com/docs/introduction/support.": "your plan",
    "Control plane request failed: endpoint is temporarily unavailable. Check your quotas and/or contact "
    "our support.": ("your plan"),
    "Control plane request failed: endpoint is disabled": "Enable the compute",
    "The endpoint has been disabled. Enable it using Neon API and retry.": "Enable the compute",
    "Too many connections to this endpoint. Please try again later.": "Lower DATABASE_POOL_SIZE",
    "Failed to acquire permit to connect to the database. Too many database connection attempts are "
    "currently ongoing.": ("Lower DATABASE_POOL_SIZE"),
    "Control plane request failed": "The service retries",
    "Couldn't connect to compute node": "The service retries",
    "Authentication timed out": "The service retries",
    "sorry, too many clients already": "Lower DATABASE_POOL_SIZE",
    'too many connections for role "certificate"': "Lower DATABASE_POOL_SIZE",
    "remaining connection slots are reserved for roles with the SUPERUSER attribute": "Lower DATABASE_POOL_SIZE",
    "no more connections allowed (max_client_conn)": "Lower DATABASE_POOL_SIZE",
    "the database system is starting up": "Wait",
    "the database system is in recovery mode": "Wait",
    "the database system is not yet accepting connections": "Wait",
    "the database system is shutting down": "Wait",
    'database "neondb" is not currently accepting connections': "Wait",
    "query_wait_timeout": "The service retries",
    "server login has been failing, try again later (server_login_retry)": "The service retries",
    # What a PostgreSQL says whose messages are German: there is no telling, so it is waited for.
    "Passwort-Authentifizierung für Benutzer »me« fehlgeschlagen": "If the server rejects the user",
}


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize("said", OUTAGES)
def test_an_outage(speaker: Speaker, said: str) -> None:
    speaker.answer = error_response(said)
    assert_unavailable(error_of(speaker.url()), said, OUTAGES[said])


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    ("wanted", "text", "hint"),
    [
        ("read-only", "session is not read-only", "Leave target_session_attrs out"),
        ("standby", "server is not in hot standby mode", "Leave target_session_attrs out"),
        ("read-write", "session is read-only", "primary"),
    ],
)
def test_a_server_of_another_kind(strict: Server, wanted: str, text: str, hint: str) -> None:
    """After a failover it may become one of the kind that is wanted."""
    database = strict.new_database()
    if wanted == "read-write":
        strict.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    url = strict.url(database, f"?sslmode=require&target_session_attrs={wanted}")
    assert_unavailable(error_of(url), text, hint)


@pytest.mark.proves("FAIL-1")
def test_a_host_that_is_not_found() -> None:
    error = error_of("postgresql://me@no-such-host.invalid/neondb")
    assert_unavailable(error, "failed to resolve host", "Correct the host")


# A parameter that libpq rejects before it connects.
@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    "parameter",
    [
        "sslnegotiation=nonsense",
        "require_auth=nonsense",
        "require_auth=md5,!none",
        "min_protocol_version=9",
        "min_protocol_version=3.2&max_protocol_version=3.0",
        "sslcertmode=nonsense",
        "ssl_min_protocol_version=nonsense",
        "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
        "gssencmode=nonsense",
        "load_balance_hosts=nonsense",
        "scram_client_key=nonsense",
        "service=nonsense",
        "sslrootcert=system",
    ],
)
def test_a_parameter_that_libpq_refuses(speaker: Speaker, parameter: str) -> None:
    assert_refused(error_of(speaker.url(f"?sslmode=require&{parameter}")), "", "out")


HERE = str(Path(__file__))


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    ("parameters", "text", "hint"),
    [
        ("sslnegotiation=direct", " (sslnegotiation=direct)\n", "Leave sslnegotiation=direct out"),
        ("require_auth=md5", 'authentication method requirement "md5" failed', "require_auth"),
        ("min_protocol_version=3.2", "server only supports protocol version 3.0", "Leave min_protocol_version"),
        (f"sslcert={HERE}", "could not read certificate file", "sslcert"),
        ("sslcert={certificate}&sslkey=/nonexistent", "not private key file", "sslkey"),
        ("sslcert={certificate}&sslkey={certificate}", "private key file", "sslkey"),
        ("sslcertmode=require", "did not request an SSL certificate", "sslcertmode"),
        ("options=-c%20nonsense%3D1", "unrecognized configuration parameter", "options"),
        ("options=-c%20geqo%3Dmaybe", "requires a Boolean value", "options"),
        ("options=-c%20fsync%3Doff", "cannot be changed now", "options"),
        ("options=-c%20work_mem%3Dx", 'invalid value for parameter "work_mem"', "options"),
        ("options=--nonsense", "--nonsense requires a value", "options"),
        ("options=nonsense", "invalid command-line argument", "options"),
    ],
)
def test_what_postgresql_15_cannot_do(strict: Server, parameters: str, text: str, hint: str) -> None:
    parameters = parameters.format(certificate=strict.certificate)
    assert_refused(error_of(strict.url(parameters=f"?sslmode=require&{parameters}")), text, hint)


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    ("change", "text", "hint"),
    [
        ((":a%20password%20for%20tests", ""), "no password supplied", "Add the password"),
        (("a%20password", "another"), 'password authentication failed for user "me"', "percent-encoded"),
        (("/postgres?", "/unknown?"), 'database "unknown" does not exist', "CREATE DATABASE"),
        (("sslmode=require", "sslmode=disable"), "no encryption", "sslmode=require"),
        (("sslmode=require", "sslmode=verify-full"), "root certificate file", "sslrootcert=system"),
        (("sslmode=require", f"sslmode=verify-full&sslrootcert={HERE}"), "root certificate file", "sslrootcert"),
        (("sslmode=require", "sslmode=verify-full&sslrootcert=system"), "certificate verify failed", "authority"),
        (("sslmode=require", "gssencmode=require"), "GSSAPI encryption required", "Leave gssencmode out"),
    ],
)
def test_what_postgresql_15_does_not_accept(
    strict: Server, change: tuple[str, str], text: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(strict.folder))
    url = strict.url(parameters="?sslmode=require")
    assert_refused(error_of(url.replace(*change)), text, hint)


@pytest.mark.posix
@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    ("parameters", "text", "hint"),
    [
        ("channel_binding=require", "channel binding required", "channel_binding=require"),
        ("require_auth=scram-sha-256", "server did not complete authentication", "require_auth"),
        ("requirepeer=nobody-of-that-name", "requirepeer specifies", "requirepeer"),
        ("user=nobody", 'role "nobody" does not exist', "CREATE ROLE"),
    ],
)
def test_what_postgresql_18_cannot_do(url: Callable[[str], str], parameters: str, text: str, hint: str) -> None:
    assert_refused(error_of(f"{url('postgres')}&{parameters}"), text, hint)


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    ("parameters", "text", "hint"),
    [
        ("?sslmode=disable", "SSL required", "sslmode"),
        ("?sslmode=require&channel_binding=require", "channel binding is required", "channel_binding=require"),
        ("?sslmode=require&sslnegotiation=direct", "wrong version number", "sslnegotiation=direct"),
        ("?sslmode=require&max_protocol_version=latest", "bad packet header", "max_protocol_version"),
        ("?sslmode=require&options=-c%20geqo%3Doff", "unsupported startup parameter: options", "-pooler"),
        ("?sslmode=require&sslcertmode=require", "without a valid SSL certificate", "sslcertmode"),
        ("?sslmode=require&password=wrong", "SASL authentication failed", "percent-encoded"),
    ],
)
def test_what_pgbouncer_cannot_do(strict: Server, pooler: int, parameters: str, text: str, hint: str) -> None:
    assert_refused(error_of(strict.url(parameters=parameters, port=pooler)), text, hint)


AUTHENTICATION = struct.Struct("!cii")


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (AUTHENTICATION.pack(b"R", 8, 2), "Kerberos 5 authentication not supported"),
        (AUTHENTICATION.pack(b"R", 8, 99), "authentication method 99 not supported"),
        (AUTHENTICATION.pack(b"R", 15, 10) + b"OTHER\0\0", "SASL authentication mechanisms are supported"),
        (AUTHENTICATION.pack(b"R", 21, 10) + b"OAUTHBEARER\0\0", "OAuth"),
    ],
)
def test_an_authentication_that_libpq_cannot_do(speaker: Speaker, answer: bytes, text: str) -> None:
    speaker.answer = answer
    assert_refused(error_of(speaker.url()), text, "scram-sha-256")


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize("mode", ["require", "disable"])
def test_a_server_of_another_protocol(mode: str) -> None:
    """As MySQL's, which speaks first."""
    with Speaker(b"J\0\0\0\n8.0.36\0", speaks_first=True) as speaker:
        assert_refused(error_of(speaker.url(f"?sslmode={mode}")), "received", "is not PostgreSQL")


@pytest.mark.proves("FAIL-1")
def test_a_server_without_tls(speaker: Speaker) -> None:
    neons = speaker.url("?sslmode=require&channel_binding=require")
    assert_refused(error_of(neons), "does not support SSL", "leave sslmode and channel_binding out")


@pytest.mark.proves("FAIL-1")
def test_the_end_of_a_connection_in_its_tls_handshake() -> None:
    """A server without direct TLS closes the connection, and so does one that crashes."""
    with Speaker(b"S", speaks_first=True) as speaker:
        assert_unavailable(error_of(speaker.url("?sslmode=require")), "SSL", "Check that the server runs")


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "direct SSL connection was established without ALPN protocol negotiation extension",
            "sslnegotiation=direct",
        ),
        ("SSL error: tlsv1 alert protocol version", "begin with ssl"),
        ('server certificate for "a.example" does not match host name "b.example"', "host name"),
        ("could not get peer credentials: Function not implemented", "requirepeer"),
    ],
)
def test_what_libpq_says_of_a_server_that_is_not_here(text: str, hint: str) -> None:
    said = f'connection failed: connection to server at "192.0.2.1", port 5432 failed: {text}\n'
    assert_refused(psycopg.OperationalError(said), text, hint)


@pytest.mark.proves("FAIL-1")
def test_a_standby_where_the_primary_is_wanted() -> None:
    said = (
        'connection failed: connection to server at "192.0.2.1", port 5432 failed: server is in hot standby mode\n'
    )
    assert_unavailable(psycopg.OperationalError(said), "hot standby", "Use the host of the primary")


@pytest.mark.proves("FAIL-1")
def test_several_hosts(speaker: Speaker) -> None:
    """Every host has to reject the connection, but one address of each is enough: they lead to the same server."""
    speaker.answer = error_response("Endpoint ID is not specified.")

    def error(addresses: str, ports: object) -> psycopg.Error:
        return error_of(f"postgresql://me@db,db/neondb?hostaddr={addresses}&port={ports}&sslmode=disable")

    assert_unavailable(error("127.0.0.1,127.0.0.1", f"{speaker.port},1"), "Endpoint ID is not specified", "")
    both = error("127.0.0.1,127.0.0.1", speaker.port)
    one = error("127.0.0.1,127.0.0.2", speaker.port)
    for refused in (both, one):
        assert_refused(refused, "Endpoint ID is not specified", "use the host name from the Neon console")
        assert failures.describe(refused).count("Endpoint ID") == 1


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize("addresses", ["127.0.0.1,127.0.0.3", "127.0.0.3,127.0.0.1"])
def test_an_address_that_is_silent_beside_one_that_refuses(speaker: Speaker, addresses: str) -> None:
    speaker.answer = error_response("Endpoint ID is not specified.")
    with socket.create_server(("127.0.0.3", speaker.port)):
        url = f"postgresql://me@db,db/neondb?hostaddr={addresses}&port={speaker.port}&sslmode=disable&connect_timeout=2"
        error = error_of(url)
    assert_refused(error, "Endpoint ID is not specified", "use the host name from the Neon console")


@pytest.mark.proves("FAIL-1")
def test_names_are_not_texts(speaker: Speaker) -> None:
    """A host, a role or a database may be named like a message."""
    down = "postgresql://me@/neondb?host=/tmp/certificate"
    assert_unavailable(error_of(down), "No such file or directory", "Check that the server runs")


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    "sqlstate",
    [
        "57P01",
        "57P03",
        "57014",
        "53300",
        "53100",
        "08006",
        "08P01",
        "25006",
        "25P03",
        "25P04",
        "40001",
        "55P03",
        "58030",
    ],
)
def test_the_statement_of_an_outage(sqlstate: str) -> None:
    error = psycopg.errors.lookup(sqlstate)("words of any language")
    assert_unavailable(error, "words of any language", "Check that the server runs")
    assert not failures.is_rejected_statement(error)


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize("sqlstate", ["42501", "55000", "3F000"])
def test_a_refused_statement(sqlstate: str) -> None:
    error = psycopg.errors.lookup(sqlstate)("words of any language")
    assert failures.is_rejected_statement(error)
    assert not failures.is_unavailable(error)
    assert_hint(DBAPIError("", None, error), "todo-backend check")


def test_a_timeout_and_a_bug() -> None:
    assert_unavailable(TimeoutError(), "no answer in time", "Check that the server runs")
    bug = psycopg.errors.UndefinedColumn("no such column")
    assert not failures.is_unavailable(bug)
    assert failures.hint(bug) == ""
    assert failures.explain(bug) == "no such column"


@pytest.mark.proves("FAIL-1")
@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("one\n\n  two \tand\nthree.\nfour?\nfive", "one. two and. three. four? five"),
        ("one:\ntwo;\nthree,\nXX\nfour\n", "one: two; three, XX. four"),
        (
            "several attempts failed\n- host: a, port: 1, hostaddr: 192.0.2.1: no route\n"
            "- host: b, port: 1, hostaddr: 192.0.2.2: connection to server at b failed: refused\n",
            "no route; connection to server at b failed: refused",
        ),
    ],
)
def test_what_is_said_is_one_line(text: str, described: str) -> None:
    error = psycopg.OperationalError(text)
    assert failures.describe(error) == described
    assert failures.explain(error) == f"{described.removesuffix('.')}. {failures.hint(error)}"


@pytest.mark.proves("FAIL-1")
def test_what_is_said_and_what_to_do_are_sentences() -> None:
    closed = failures.explain(error_of("postgresql://me@127.0.0.1:1/neondb"))
    assert (
        "Connection refused. Is the server running on that host and accepting TCP/IP connections? Check" in closed
    )
    assert failures.explain(TimeoutError()).startswith("no answer in time. Check that the server runs")
