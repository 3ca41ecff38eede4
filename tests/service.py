"""The service as its users run it: the console program in a process of its own, spoken to over HTTP."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
from typer.testing import CliRunner

from todo_backend.auth import tokens
from todo_backend.cli import commands as cli
from todo_backend.settings import HINTS

PROGRAM = str(Path(sys.executable).with_name("todo-backend"))
# With the program on it, messages name it as the documentation does.
PATH = f"{Path(PROGRAM).parent}{os.pathsep}{os.environ['PATH']}"
SECRET = "a-secret-for-tests-that-guards-nothing"  # made up
ORIGIN = "http://localhost:3000"
JSON = {"Content-Type": "application/json"}


def bearer(user: str, secret: str = SECRET) -> dict[str, str]:
    """Return the header fields of a signed-in user."""
    return {"Authorization": f"Bearer {tokens.sign(user, secret=secret.encode(), lifetime=900)}"}


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what would configure the service, and with the given variables."""
    ours = ("BETTER_AUTH_", "DATABASE_", "CORS_ORIGINS", "LOG_LEVEL", "PG", "UV_RUN_RECURSION_DEPTH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"PATH": PATH} | variables


# How many statements wait for a lock.
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not come to pass"
        time.sleep(0.02)


@dataclass
class Service:
    process: subprocess.Popen[bytes]
    log: Path
    base_url: str = ""

    def wait_for_log(self, pattern: str) -> str:
        """Return what of the log matches, as soon as something does."""
        deadline = time.monotonic() + 30
        while not (found := re.search(pattern, self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return found[0]

    def wait_until_healthy(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        with self.client() as client:
            while client.get("/health").status_code != 200:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def client(self, user: str | None = None) -> httpx2.Client:
        """Return a client, signed in if a user is given."""
        return httpx2.Client(base_url=self.base_url, headers=bearer(user) if user else {}, timeout=30, verify=False)

    def send(self, method: str, path: str, headers: dict[str, str], rest: bytes) -> socket.socket:
        """Send a request that no client library would, and return its connection.

        Args:
            rest: what follows the header fields: more of them, the empty line, and a body or a part of one.
        """
        address = httpx2.URL(self.base_url)
        connection = socket.create_connection((address.host, address.port or 0), timeout=5)
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: test\r\n{fields}".encode() + rest)
        return connection

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(10)


def start(folder: Path, *arguments: str, **variables: str) -> Service:
    """Start `todo-backend` with its output in a file of the folder, which is its working folder too."""
    log = folder / f"log-{time.monotonic_ns()}.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROGRAM, arguments[0], "--port", "0", *arguments[1:]],
            cwd=folder,
            env=environment(**variables),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return Service(process, log)


@contextlib.contextmanager
def running(folder: Path, *arguments: str, healthy: bool = True, **variables: str) -> Iterator[Service]:
    """Start `todo-backend`, wait until it listens and, if asked to, is healthy, and stop it in the end."""
    service = start(folder, *arguments, **variables)
    try:
        service.base_url = service.wait_for_log(r"http://[\w.:\[\]]+:\d+")
        if healthy:
            service.wait_until_healthy()
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()


def serving(
    folder: Path, url: str, *arguments: str, healthy: bool = True, **variables: str
) -> contextlib.AbstractContextManager[Service]:
    """Run `todo-backend serve` on a database."""
    settings = {"DATABASE_URL": url, "BETTER_AUTH_SECRET": SECRET} | variables
    return running(folder, "serve", *arguments, healthy=healthy, **settings)


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `todo-backend` to its end."""
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def invoke(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `todo-backend` to its end as `run` does, but in this process, which is faster."""
    without = dict.fromkeys([*HINTS, "UV_RUN_RECURSION_DEPTH"])
    with contextlib.chdir(folder):
        ended = CliRunner().invoke(cli.app, arguments, env=without | {"PATH": PATH} | variables)
    return subprocess.CompletedProcess(arguments, ended.exit_code, ended.stdout, ended.stderr)
