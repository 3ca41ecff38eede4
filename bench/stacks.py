"""The services that are compared, and how each is started."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.workload import SECRET, SMALL, exchanges

FASTIFY = Path(__file__).parent / "peers" / "fastify"
PROGRAM = str(Path(sys.executable).with_name("todo-backend"))
UVICORN = [
    sys.executable,
    "-m",
    "uvicorn",
    "--port",
    "0",
    "--no-access-log",
    "--loop",
    "uvloop",
    "--http",
    "httptools",
]
TIME_LIMIT = 30  # seconds in which a service has to answer


@dataclass(frozen=True)
class Stack:
    """A service.

    Attributes:
        title: how tables name it.
        command: prints the URL where it listens.
    """

    name: str
    title: str
    command: tuple[str, ...]
    database: str = SMALL.name


OURS = Stack("ours", "todo-backend", (PROGRAM, "serve", "--port", "0"))
SQLMODEL = Stack("sqlmodel", "FastAPI + SQLModel + asyncpg", (*UVICORN, "bench.peers.fastapi_sqlmodel_asyncpg:app"))
DRIZZLE = Stack("drizzle", "Fastify + Drizzle + node-postgres + jose", ("node", str(FASTIFY / "drizzle.js")))
POSTGRESJS = Stack("postgresjs", "Fastify + postgres.js + fast-jwt", ("node", str(FASTIFY / "postgres.js")))
STACKS = {stack.name: stack for stack in (OURS, SQLMODEL, DRIZZLE, POSTGRESJS)}


def build(commit: str) -> Stack:
    """Install a commit of this repository into an environment of its own, with its own requirements."""
    root = FASTIFY.parents[2]

    def run(*command: str, **options: Any) -> Any:
        return subprocess.run(command, cwd=root, check=True, capture_output=True, **options).stdout

    name = run("git", "rev-parse", "--short=12", f"{commit}^{{commit}}", text=True).strip()
    folder = root / ".bench" / name
    python, installed = folder / ".venv" / "bin" / "python", folder / "installed"
    if not installed.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run("tar", "-x", "-C", str(folder), input=run("git", "archive", name))
        uv = (sys.executable, "-m", "uv")
        install = (*uv, "pip", "install", "--python", str(python))
        run(*uv, "venv", "--python", sys.executable, str(folder / ".venv"))
        run(*install, "--require-hashes", "--requirement", str(folder / "requirements" / "run.txt"))
        run(*install, "--no-deps", "--no-build-isolation", "--editable", str(folder))
        installed.touch()
    return Stack(commit, commit, (str(python.with_name("todo-backend")), "serve", "--port", "0"), f"build_{name}")


def missing(stack: Stack) -> str:
    """Return what a stack lacks on this machine, or nothing."""
    if stack.command[0] != "node":
        return ""
    if not shutil.which("node"):
        return "Node is not installed"
    return "" if (FASTIFY / "node_modules").exists() else "npm ci --prefix bench/peers/fastify has not run"


@dataclass
class Service:
    """A running stack.

    Attributes:
        first_answer: seconds from the start of the process to the first answer, which reads a task.
    """

    stack: Stack
    pid: int
    port: int = 0
    first_answer: float = 0


@contextlib.contextmanager
def running(stack: Stack, url: str, *arguments: str) -> Iterator[Service]:
    """Start a stack on a database, wait for the first answer, and stop it in the end.

    Args:
        url: the database's, with host or port as its only parameters.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        request = exchanges("get", SMALL)[0].request
        began = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*stack.command, *arguments], env=_environment(url), stdout=output, stderr=output
            )
        try:
            service = Service(stack, process.pid)
            service.port = _wait_for_port(process, log)
            _wait_for_answer(service.port, request)
            service.first_answer = time.monotonic() - began
            yield service
        finally:
            process.terminate()
            process.wait(TIME_LIMIT)


def _environment(url: str) -> dict[str, str]:
    """Return variables that say the same to every driver: ours takes the URL, the others what libpq would take."""
    form = re.fullmatch(r"postgresql://postgres@([\d.]*):?(\d*)/(\w+)(?:\?host=(.+))?", url)
    assert form, url
    address, port, database, folder = form.groups()
    return os.environ | {
        "BETTER_AUTH_SECRET": SECRET,
        "DATABASE_URL": url,
        "NODE_ENV": "production",
        "PGDATABASE": database,
        "PGHOST": folder or address,
        "PGPORT": port or "5432",
        "PGUSER": "postgres",
    }


def _wait_for_port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + TIME_LIMIT
    while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} does not start: {log.read_text()}")
        time.sleep(0.005)
    return int(found[1])


def _wait_for_answer(port: int, request: bytes) -> None:
    """Wait for an answer about a task, be it that there is none yet: the service is up, and so is its database."""
    deadline = time.monotonic() + TIME_LIMIT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), TIME_LIMIT) as connection:
            connection.sendall(request)
            if re.match(rb"HTTP/1.1 (200|403|404) ", connection.recv(65536)):
                return
        time.sleep(0.005)
    raise RuntimeError("The service does not answer.")
