"""The compared services and their PostgreSQL: how each is built and started."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.workload import FILL, SECRET, exchanges
from todo_backend.database.embedded import embedded_server

ROOT = Path(__file__).parent.parent
FASTIFY = ROOT / "bench" / "peers" / "fastify"
START_TIMEOUT = 30  # seconds
UVICORN = ("--port", "0", "--no-access-log", "--loop", "uvloop", "--http", "httptools")

# The services run on one core, the load and PostgreSQL on the others.
CORES = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()
SERVICE_CORES = {min(CORES)} if len(CORES) > 1 else CORES
OTHER_CORES = CORES - SERVICE_CORES or CORES


def pin(cores: set[int]) -> None:
    """Run on these cores from now on, as will processes that are started from now on; on Linux only."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, cores)


@dataclass(frozen=True)
class Stack:
    """A service: its command prints the URL where it listens."""

    name: str
    title: str
    command: tuple[str, ...]
    database: str = "bench"
    cores: frozenset[int] = frozenset(SERVICE_CORES)
    variables: dict[str, str] = field(default_factory=dict, hash=False)


SERVE = ("serve", "--port", "0")
OURS = Stack("ours", "todo-backend", (str(Path(sys.executable).with_name("todo-backend")), *SERVE))
ONE_WORKER = replace(OURS, name="1 worker", cores=frozenset(CORES))
TWO_WORKERS = replace(ONE_WORKER, name="2 workers", command=(*OURS.command, "--workers", "2"))
PEER = "bench.peers.fastapi_sqlmodel_asyncpg:app"
SQLMODEL = Stack("sqlmodel", "FastAPI + SQLModel + asyncpg", (sys.executable, "-m", "uvicorn", *UVICORN, PEER))
DRIZZLE = Stack("drizzle", "Fastify + Drizzle + jose", ("node", str(FASTIFY / "drizzle.js")))
POSTGRESJS = Stack("postgresjs", "Fastify + postgres.js + fast-jwt", ("node", str(FASTIFY / "postgres.js")))
STACKS = {stack.name: stack for stack in (OURS, SQLMODEL, DRIZZLE, POSTGRESJS)}

SERVE_EMPTY = f"import psycopg, sqlmodel, uvicorn; uvicorn.main({[*UVICORN, '--factory', 'fastapi:FastAPI']})"
EMPTY = Stack("empty", "uvicorn, empty FastAPI, SQLModel and psycopg imported", (sys.executable, "-c", SERVE_EMPTY))


def build(commit: str) -> Stack:
    """Install a commit of this repository in a virtual environment, once, with the requirements of that commit."""

    def run(*command: str | Path, **options: Any) -> Any:
        return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, **options).stdout

    name = run("git", "rev-parse", "--verify", "--short=12", f"{commit}^{{commit}}", text=True).strip()
    folder = ROOT / ".bench" / name
    environment, ready = folder / ".venv", folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run("tar", "-x", "-C", folder, input=run("git", "archive", name))
        uv = (sys.executable, "-m", "uv", "--quiet")
        install = (*uv, "pip", "install", "--python", environment)
        run(*uv, "venv", "--python", sys.executable, environment)
        run(*install, "--require-hashes", "--requirement", folder / "requirements" / "run.txt")
        run(*install, "--no-deps", "--no-build-isolation", "--editable", folder)
        ready.touch()
    command = (str(environment / "bin" / "todo-backend"), *SERVE)
    return Stack(commit, commit, command, f"build_{name}")  # a database of its own, because its schema may differ


@dataclass
class Postgres:
    """A running server; `host` is the folder of its Unix socket."""

    host: str
    pid: int

    def execute(self, database: str, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        with psycopg.connect(f"postgresql://postgres@/{database}?host={self.host}", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def create(self, stack: Stack) -> None:
        """Create the database of a stack, let the stack create the table, and fill it."""
        self.execute("postgres", f"CREATE DATABASE {stack.database}")
        with running(stack, self.host):
            pass
        sequence = "SELECT setval(pg_get_serial_sequence('tasks', 'id'), max(id)) FROM tasks"
        self.execute(stack.database, FILL, sequence, "CHECKPOINT")

    def tidy(self, database: str) -> None:
        """Delete the tasks that runs have created, so that each round begins with the same data."""
        self.execute(database, "DELETE FROM tasks WHERE user_id LIKE 'new-%'", "VACUUM (ANALYZE) tasks")


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder)) as url:
        [pid] = Path(folder).glob("*/postmaster.pid")
        yield Postgres(str(conninfo_to_dict(url)["host"]), int(pid.read_text().split()[0]))


@dataclass
class Service:
    """A running stack, and the seconds from the start of its process to its first response."""

    stack: Stack
    pid: int
    port: int
    first_answer: float


@contextlib.contextmanager
def running(stack: Stack, host: str, port: int = 5432) -> Iterator[Service]:
    """Start a stack on the PostgreSQL of a host and port, wait for its first response, and stop it at the end."""
    url = f"postgresql://postgres@/{stack.database}?host={host}&port={port}"
    own = {"BETTER_AUTH_SECRET": SECRET, "DATABASE_URL": url, "NODE_ENV": "production"}
    libpq = {"PGDATABASE": stack.database, "PGHOST": host, "PGPORT": str(port), "PGUSER": "postgres"}
    environment = os.environ | own | libpq | stack.variables
    with tempfile.NamedTemporaryFile() as log:
        began = time.monotonic()
        pin(set(stack.cores))
        process = subprocess.Popen(stack.command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        pin(OTHER_CORES)
        try:
            listening = _wait_for_answer(process, Path(log.name))
            yield Service(stack, process.pid, listening, time.monotonic() - began)
        finally:
            process.terminate()
            process.wait(START_TIMEOUT)


def _wait_for_answer(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until a request is answered, and return the port."""
    request = exchanges("get")[0].request
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()):
                with socket.create_connection(("127.0.0.1", int(found[1])), START_TIMEOUT) as connection:
                    connection.sendall(request)
                    if re.match(rb"HTTP/1.[01] (200|403|404) ", connection.recv(65536)):
                        return int(found[1])
        time.sleep(0.005)
    raise RuntimeError(f"{process.args!r} does not answer: {log.read_text()}")
