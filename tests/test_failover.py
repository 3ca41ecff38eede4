"""A primary that dies for good, and a standby that takes over."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.proxy import Proxy
from tests.rig.load import assert_only_unavailable, assert_recovers, eventually, load
from tests.rig.postgres import NEON, Server, standby_of, tls_postgres
from tests.service import Service, serving, wait_until
from tests.test_check import rows
from tests.test_check_database import check


@pytest.mark.posix
@pytest.mark.proves("REL-6", "FAIL-3")
@pytest.mark.xdist_group("load")
def test_a_standby_takes_over_under_load(tmp_path: Path) -> None:
    """Commits wait for the standby, so whatever was acknowledged is there; the service is not started again."""

    async def play(service: Service, primary: Server, standby: Server) -> None:
        async with load(service) as books:
            await eventually(lambda: books.acknowledged >= 100)
            assert books.statuses.keys() == {200, 201}
            await primary.stop()
            await asyncio.sleep(1)
            await standby.control("promote")
            await assert_recovers(books, since=time.monotonic())
        assert_only_unavailable(books.answers)
        assert books.statuses[503] >= 1
        await books.verify(service)

    with tls_postgres() as primary, standby_of(primary) as standby:
        both = f"@localhost:{primary.port},localhost:{standby.port}/"
        url = primary.url(parameters=f"{NEON}&target_session_attrs=read-write")
        with serving(tmp_path, url.replace(f"@localhost:{primary.port}/", both)) as service:
            assert rows(check(tmp_path, primary.url(port=standby.port)))["Writes"] == "FAIL The server is a standby"
            assert "Writes" not in rows(check(tmp_path, primary.url()))  # whose host the hint says to use
            asyncio.run(play(service, primary, standby))
            assert "Traceback" not in service.log.read_text()
            assert service.stop() == 0


@contextmanager
def two_hosts(folder: Path, server: Server) -> Iterator[tuple[Proxy, httpx2.Client]]:
    """A service whose URL has two hosts, of which the first is a proxy; and a client of it."""
    with Proxy(server.port) as proxy:
        one = server.url(server.new_database(), port=proxy.port)
        both = one.replace(f":{proxy.port}/", f":{proxy.port},localhost:{server.port}/") + "&connect_timeout=2"
        with serving(folder, both) as service, service.client("me") as client:
            yield proxy, client


@pytest.mark.proves("REL-6")
def test_a_host_that_is_silent_is_passed_over(tmp_path: Path, strict: Server) -> None:
    """A machine that is gone does not answer, and so rejects nothing. Each new connection waits for it first."""
    with two_hosts(tmp_path, strict) as (proxy, client):
        made = proxy.connections
        proxy.stall()
        proxy.cut()
        assert client.get("/api/tasks").json() == []
        assert proxy.connections > made


@pytest.mark.proves("REL-6")
def test_silent_connections_are_discarded_together(tmp_path: Path, strict: Server) -> None:
    """The first statement without an answer tells of all that are idle; each would cost a request its 503."""
    with two_hosts(tmp_path, strict) as (proxy, client):
        wait_until(lambda: proxy.open_connections == 10)
        proxy.stall()
        assert client.get("/api/tasks").status_code == 503
        assert client.get("/api/tasks").status_code == 200


@pytest.mark.posix
@pytest.mark.proves("REL-6")
@pytest.mark.xdist_group("load")
def test_a_primary_that_becomes_read_only_is_replaced(tmp_path: Path) -> None:
    """It keeps its connections, and says with an answer that it is read-only. They are replaced all at once."""
    with tls_postgres() as primary, tls_postgres() as other:
        both = f"@localhost:{primary.port},localhost:{other.port}/"
        url = primary.url(parameters=f"{NEON}&target_session_attrs=read-write")
        with (
            serving(tmp_path, primary.url(port=other.port)),  # which makes its table
            serving(tmp_path, url.replace(f"@localhost:{primary.port}/", both)) as service,
            service.client("me") as client,
        ):
            # One that is opened meanwhile is younger than the one that reports it, and would be kept.
            opened = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo-backend'"
            wait_until(lambda: primary.execute(opened) == [(10,)])
            primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            primary.execute("SELECT pg_reload_conf()")
            statuses = [client.post("/api/tasks", json={"title": "x"}).status_code for _ in range(12)]
            assert Counter(statuses) == {503: 1, 201: 11}  # with ten connections to the first


@pytest.mark.posix
@pytest.mark.proves("REL-6")
@pytest.mark.xdist_group("load")
def test_a_commit_that_waits_for_a_standby_in_vain(tmp_path: Path) -> None:
    """Cancelled, PostgreSQL commits it on the primary alone, with a warning that a failover may lose it."""
    with tls_postgres() as primary, serving(tmp_path, primary.url()) as service, service.client("me") as client:
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        primary.execute("SELECT pg_reload_conf()")
        wait_until(lambda: primary.execute("SHOW synchronous_standby_names") == [("nobody",)])
        assert client.post("/api/tasks", json={"title": "x"}).status_code == 503
        assert [task["title"] for task in client.get("/api/tasks").json()] == ["x"]
