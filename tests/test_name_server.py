"""A name server that does not answer: the address is there, and nobody reads what is sent to it."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.frontend import require
from tests.service import PROGRAM, SECRET, Service, environment, wait_until
from todo_backend.server import loop

ADDRESS = "127.0.0.97"
URL = "postgresql://me:secret@ep-name.invalid/neondb?sslmode=require"
# In a mount namespace of its own the program has another /etc/resolv.conf. libc goes on for two minutes.
COMMAND = 'mount --bind resolv.conf /etc/resolv.conf && exec "$@"'


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Path]:
    """A folder for a program whose name server is silent."""
    require("Linux, unshare and root", present=shutil.which("unshare") is not None and os.geteuid() == 0)
    (tmp_path / "resolv.conf").write_text(f"nameserver {ADDRESS}\noptions timeout:30 attempts:4\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        name_server.bind((ADDRESS, 53))
        yield tmp_path


def start(folder: Path, *arguments: str) -> Service:
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", COMMAND, "sh", PROGRAM, *arguments],
            cwd=folder,
            env=environment(DATABASE_URL=URL, BETTER_AUTH_SECRET=SECRET),
            stdout=output,
            stderr=output,
        )
    return Service(process, log)


@contextlib.contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.mark.proves("CLI-5", "DATA-5", "DATA-6")
@pytest.mark.xdist_group("name server")
def test_a_silent_name_server(silent: Path) -> None:
    """The service says 503 and what is wrong, and its stop does not wait for the name server."""
    service = start(silent, "serve", "--port", "0")
    try:
        service.base_url = service.wait_for_log(r"http://[\w.:]+")
        service.wait_for_log("failed to resolve host 'ep-name.invalid'.*the name server does not answer")
        service.wait_for_log("startup complete")
        with service.client("me") as client, ends_within(10):
            assert client.get("/api/tasks").status_code == 503
        with ends_within(10):
            assert service.stop() == 0
    finally:
        service.process.kill()


@pytest.mark.proves("FAIL-3")
@pytest.mark.xdist_group("name server")
def test_check_with_a_silent_name_server(silent: Path) -> None:
    service = start(silent, "check")
    try:
        assert service.process.wait(20) == 1
        assert "failed to resolve host" in service.log.read_text()
    finally:
        service.process.kill()


@pytest.mark.proves("DATA-5")
@pytest.mark.parametrize("kind", [loop.SelectorEventLoop, loop.ServerEventLoop])
def test_an_answer_that_comes_too_late(
    monkeypatch: pytest.MonkeyPatch, kind: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """It comes to nobody: while the loop runs, and when it is closed."""
    come = threading.Semaphore(0)
    went = []

    def resolve(host: str, *_: object) -> list[object]:
        come.acquire()
        went.append(host)
        return []

    async def look_up() -> None:
        running = asyncio.get_running_loop()
        for host in ("a", "b"):
            with pytest.raises(socket.gaierror, match="the name server does not answer"):
                await running.getaddrinfo(host, 80)
        come.release()
        await asyncio.sleep(0.2)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(loop, "LOOKUP_TIMEOUT", 0.1)
    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(look_up())
    come.release()
    wait_until(lambda: len(went) == 2)


@pytest.mark.parametrize("kind", [loop.SelectorEventLoop, loop.ServerEventLoop])
def test_names_are_looked_up(kind: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def look_up() -> None:
        running = asyncio.get_running_loop()
        assert await running.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
        for name in ("no-such-host.invalid", "a" * 64):  # the second cannot be encoded
            with pytest.raises((socket.gaierror, UnicodeError)):
                await running.getaddrinfo(name, 80)

    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(look_up())
