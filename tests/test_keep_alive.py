"""How long an idle connection is kept."""

import shutil
import subprocess
import time

import pytest
from pydantic import SecretStr
from starlette.responses import PlainTextResponse

from tests.frontend import FOLDER, require
from tests.service import SECRET, Service
from tests.test_hostile_http import listening
from todo_backend.server import protocol
from todo_backend.server.run import configure
from todo_backend.settings import Settings


@pytest.mark.proves("HTTP-3")
def test_axios_loses_no_request_when_node_gives_an_idle_connection_up(service: Service) -> None:
    """120 connections, each used again after 4.97 to 5.01 seconds; Node's agent gives it up after 5."""
    require("Node with axios (npm ci in tests/better_auth)", present=(FOLDER / "node_modules" / "axios").exists())
    program = [shutil.which("node") or "node", "idle.mjs", service.base_url]
    ended = subprocess.run(program, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr) == ("0\n", "")


@pytest.mark.proves("HTTP-3")
def test_an_idle_connection_is_kept_for_75_seconds() -> None:
    settings = Settings(BETTER_AUTH_SECRET=SecretStr(SECRET), DATABASE_URL=SecretStr("postgresql:///unused"))
    assert configure(settings).timeout_keep_alive == 75


@pytest.mark.proves("HTTP-3", "SEC-5")
@pytest.mark.parametrize(("rest", "seconds"), [(b"", 0.2), (b"x", 0.2), (b"xy", 1)])
def test_an_answer_before_the_end_of_the_body(monkeypatch: pytest.MonkeyPatch, rest: bytes, seconds: float) -> None:
    """A connection whose body then comes to its end is kept as any other; else it is closed soon."""
    monkeypatch.setattr(protocol, "UNREAD_BODY_TIMEOUT", 0.2)
    with listening(PlainTextResponse("first"), keep_alive=1) as (_, connect), connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n")
        received = b""
        while not received.endswith(b"first"):
            received += client.recv(65536)
        client.sendall(rest)
        answered = time.monotonic()
        assert client.recv(65536) == b""
        assert seconds - 0.1 < time.monotonic() - answered < seconds + 0.7
