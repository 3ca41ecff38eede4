"""The URL as Neon gives it, to a server as strict as Neon's, and through a pooler like Neon's."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.proxy import Proxy
from tests.rig import pgbouncer
from tests.rig.load import eventually, load
from tests.rig.middleman import Middleman
from tests.rig.postgres import NEON, Server, make_certificate
from tests.rig.speaker import Speaker, error_response
from tests.service import SECRET, Service, run, serving
from todo_backend.database.connection import Connection

SETTINGS = {"BETTER_AUTH_SECRET": SECRET}


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that ended the start."""
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("The database cannot be used: ")
    return line


@pytest.mark.proves("DATA-10", "ENV-2")
@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_url_as_neon_gives_it(tmp_path: Path, strict: Server, scheme: str) -> None:
    database = strict.new_database()
    given = strict.url(database).replace("postgresql", scheme)
    assert given.startswith(f"{scheme}://me:")
    assert given.endswith("?sslmode=require&channel_binding=require")
    with serving(tmp_path, given) as service, service.client("me") as client:
        assert client.post("/api/tasks", json={"title": "x"}).status_code == 201
        of_us = f"FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = '{database}'"
        [(encrypted, application)] = strict.execute(f"SELECT bool_and(ssl), min(application_name) {of_us}")
        assert (encrypted, application) == (True, "todo-backend")
    assert 'connection authenticated: identity="me" method=scram-sha-256' in strict.log


@pytest.mark.proves("REL-1")
def test_channel_binding_happens(tmp_path: Path, strict: Server) -> None:
    """Only who has the server's own key can read along, and hears how the service signs in."""
    database = strict.new_database()
    with Middleman(strict, strict.certificate) as middleman:
        with serving(tmp_path, strict.url(database, port=middleman.port)):
            assert b"SCRAM-SHA-256-PLUS" in middleman.heard
            assert b"p=tls-server-end-point" in middleman.heard
        middleman.heard = b""
        with serving(
            tmp_path, strict.url(database, "?sslmode=require&channel_binding=disable", port=middleman.port)
        ):
            assert b"SCRAM-SHA-256\x00" in middleman.heard


@pytest.mark.proves("REL-1")
def test_a_middleman_is_refused(tmp_path: Path, strict: Server) -> None:
    """`sslmode=require` alone trusts any certificate, his too; channel binding does not."""
    certificate = strict.folder / "another.crt"
    make_certificate(strict, certificate)
    with Middleman(strict, certificate) as middleman:
        url = strict.url(port=middleman.port)
        ended = run(tmp_path, "serve", "--port", "0", DATABASE_URL=url, **SETTINGS)
    assert "SCRAM channel binding check failed" in refusal(ended)


@pytest.mark.proves("REL-1", "DATA-7")
def test_a_pooler_without_channel_binding_is_refused(tmp_path: Path, strict: Server) -> None:
    """PgBouncer 1.18 has none; Neon's proxy, which stands before its PgBouncer, has."""
    with pgbouncer.running(strict) as port:
        ended = run(tmp_path, "serve", "--port", "0", DATABASE_URL=strict.url(port=port), **SETTINGS)
    assert "channel binding" in refusal(ended)


@pytest.mark.proves("DATA-7")
def test_a_pooler_in_statement_mode_is_refused(tmp_path: Path, strict: Server) -> None:
    with pgbouncer.running(strict, mode="statement") as port:
        url = strict.url(strict.new_database(), "?sslmode=require", port=port)
        ended = run(tmp_path, "serve", "--port", "0", DATABASE_URL=url, **SETTINGS)
    line = refusal(ended)
    assert "transaction blocks not allowed in statement pooling mode. Set pool_mode = transaction" in line
    assert line.endswith("without this pooler.")


@pytest.mark.proves("DATA-7")
def test_a_refusal_of_neon_ends_the_start(tmp_path: Path) -> None:
    with Speaker(
        error_response("This IP address 192.0.2.1 is not allowed to connect to this endpoint.")
    ) as speaker:
        ended = run(tmp_path, "serve", "--port", "0", DATABASE_URL=speaker.url(), **SETTINGS)
    assert "This IP address 192.0.2.1 is not allowed to connect to this endpoint. Add this address" in refusal(
        ended
    )


@pytest.mark.proves("DATA-6")
def test_a_quota_of_neon_is_waited_for(tmp_path: Path) -> None:
    said = "Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits."
    with (
        Speaker(error_response(said)) as speaker,
        serving(tmp_path, speaker.url(), healthy=False) as service,
        service.client("me") as client,
    ):
        service.wait_for_log(f"retrying: .*{said}")
        assert client.get("/api/tasks").status_code == 503


@pytest.mark.proves("DATA-7")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("sslmode=require", "sslmode=disable"), "no pg_hba.conf entry"),
        (("a%20password", "another%20password"), 'password authentication failed for user "me"'),
        (("/postgres?", "/unknown?"), 'database "unknown" does not exist'),
    ],
    ids=["no TLS", "wrong password", "unknown database"],
)
def test_the_strict_server_refuses(tmp_path: Path, strict: Server, change: tuple[str, str], reason: str) -> None:
    url = strict.url().replace(*change)
    assert url != strict.url()
    line = refusal(run(tmp_path, "serve", "--port", "0", DATABASE_URL=url, **SETTINGS))
    assert reason in line
    assert "password%20for" not in line


@pytest.mark.proves("DATA-10")
def test_the_certificate_is_verified_where_the_url_says_so(tmp_path: Path, strict: Server) -> None:
    another = strict.folder / "stranger.crt"
    make_certificate(strict, another)

    def url(authority: Path) -> str:
        return strict.url("postgres", f"{NEON.replace('=require', '=verify-full', 1)}&sslrootcert={authority}")

    with serving(tmp_path, url(strict.certificate)) as service, service.client("me") as client:
        assert client.get("/api/tasks").status_code == 200
    for wrong, reason in [
        (url(strict.certificate).replace("localhost", "127.0.0.1"), "does not match host name"),
        (url(another), "certificate verify failed"),
    ]:
        assert reason in refusal(run(tmp_path, "serve", "--port", "0", DATABASE_URL=wrong, **SETTINGS))


# A value for each that is not libpq's default.
PARAMETERS = {
    "application_name": "ours",
    "channel_binding": "require",
    "client_encoding": "UTF8",
    "connect_timeout": "7",
    "gssencmode": "disable",
    "keepalives_idle": "11",
    "keepalives_interval": "12",
    "keepalives_count": "13",
    "load_balance_hosts": "random",
    "options": "-c geqo=off",
    "require_auth": "scram-sha-256",
    "sslmode": "verify-full",
    "sslsni": "0",
    "ssl_min_protocol_version": "TLSv1.3",
    "target_session_attrs": "read-write",
    "tcp_user_timeout": "14000",
}


@pytest.mark.proves("DATA-10")
def test_every_parameter_reaches_libpq(strict: Server) -> None:
    given = PARAMETERS | {"sslrootcert": str(strict.certificate)}
    query = "&".join(f"{name}={value.replace(' ', '%20').replace('=', '%3D')}" for name, value in given.items())

    async def used() -> dict[str, str]:
        async with await Connection.open(strict.url("postgres", "?" + query)) as connection:
            options = {option.keyword.decode(): option.val for option in connection.pgconn.info}
        return {name: (options[name] or b"").decode() for name in given}

    assert asyncio.run(used()) == given


@pytest.mark.proves("DATA-10")
def test_connect_timeout_counts(tmp_path: Path, strict: Server) -> None:
    with Proxy(strict.port) as proxy:
        proxy.stall()
        url = strict.url(parameters=f"{NEON}&connect_timeout=2", port=proxy.port)
        with serving(tmp_path, url, healthy=False) as service:
            service.wait_for_log("retrying: connection timeout expired")


@pytest.mark.proves("REL-2")
@pytest.mark.xdist_group("load")
def test_many_clients_through_a_pooler(tmp_path: Path, strict: Server) -> None:
    """Sixteen clients and ten connections on one side, four on the other: each transaction gets any of these."""

    async def play(service: Service) -> None:
        async with load(service, clients=16) as books:
            await eventually(lambda: books.acknowledged >= 1000)
        assert books.statuses.keys() == {200, 201}
        await books.verify(service)

    with pgbouncer.running(strict, pool_size=4) as port:
        with serving(tmp_path, strict.url(strict.new_database(), "?sslmode=require", port=port)) as service:
            asyncio.run(play(service))
        assert pgbouncer.complaints(strict) == []
