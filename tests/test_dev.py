"""`todo-backend dev`: the two addresses of `localhost`, and changes of `.env` while it runs."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path

import httpx2
import pytest

from tests.frontend import free_port, require
from tests.service import SECRET, Service, bearer, environment, run, running, start, wait_until
from todo_backend.server import reload
from todo_backend.server import run as server


@pytest.fixture
def has_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")


@pytest.mark.posix
@pytest.mark.proves("CLI-13")
@pytest.mark.usefixtures("has_ipv6")
def test_localhost_is_either_address(tmp_path: Path, url: Callable[[str], str]) -> None:
    with running(tmp_path, "dev", DATABASE_URL=url("shared"), BETTER_AUTH_SECRET=SECRET) as service:
        assert service.base_url.startswith("http://127.0.0.1:")
        port = httpx2.URL(service.base_url).port
        for host in ("127.0.0.1", "[::1]", "localhost"):
            path = f"http://{host}:{port}/api/tasks"
            assert httpx2.get(path, headers=bearer("me"), trust_env=False).status_code == 200
        require("Node", present=bool(shutil.which("node")))
        for order in ("ipv4first", "ipv6first"):
            script = (
                f"fetch('http://localhost:{port}/health').then(async answer => console.log(await answer.text()))"
            )
            command = ["node", "--no-network-family-autoselection", "--dns-result-order", order, "--eval", script]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            assert done.stdout == '{"status":"ok"}\n'
        assert "INFO ::1:" in service.log.read_text()
        assert service.stop() == 0


@pytest.mark.proves("CLI-13")
@pytest.mark.usefixtures("has_ipv6")
def test_a_host_that_is_given_is_the_only_one(tmp_path: Path, url: Callable[[str], str]) -> None:
    options = ("--host", "127.0.0.1")
    with running(tmp_path, "dev", *options, DATABASE_URL=url("shared"), BETTER_AUTH_SECRET=SECRET) as service:
        port = httpx2.URL(service.base_url).port
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"http://[::1]:{port}/health", trust_env=False)


@pytest.mark.proves("CLI-8", "CLI-13")
@pytest.mark.usefixtures("has_ipv6")
def test_a_port_that_is_busy_on_one_address_is_one_clear_line(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("::1", port), family=socket.AF_INET6):
        ended = run(tmp_path, "dev", "--port", str(port))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(
        f"Cannot listen on ::1, port {port}: Address already in use. Is the service running"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.proves("CLI-13")
def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    """No machine has the address that stands for ::1 here (RFC 3849)."""
    monkeypatch.setattr(server, "IPV6_LOOPBACK", "2001:db8::1")
    [listener] = server.listen_on_loopback(0)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    assert not recwarn.list


@pytest.mark.proves("CLI-8", "CLI-13")
def test_nothing_is_left_open(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setattr(server, "IPV6_LOOPBACK", "127.0.0.1")  # where the port is just being taken
    with pytest.raises(server.PortTaken, match=r"^Cannot listen on 127\.0\.0\.1, port "):
        server.listen_on_loopback(0)
    assert not recwarn.list


def count(service: Service, text: str) -> int:
    return service.log.read_text().count(text)


@pytest.mark.posix
@pytest.mark.proves("CLI-14")
def test_dev_starts_again_when_its_file_changes(tmp_path: Path) -> None:
    """From the embedded PostgreSQL to a bad value, to a database that is unavailable, and back."""
    file = tmp_path / ".env"
    with running(tmp_path, "dev") as service:
        first = file.read_text()
        secret = "another-secret-for-tests-that-guards-nothing"  # made up
        file.write_text(first + "LOG_LEVEL=loud\n")
        service.wait_for_log("LOG_LEVEL is not valid: .*\nWaiting for a change of .env ...")
        file.write_text(f"BETTER_AUTH_SECRET={secret}\n")
        wait_until(lambda: count(service, "todo-backend is ready") == 2)
        tasks = f"{service.base_url}/api/tasks"
        assert httpx2.get(tasks, headers=bearer("me", secret)).status_code == 200
        assert httpx2.get(tasks, headers=bearer("me", first.strip().partition("=")[2])).status_code == 401
        file.write_text(f"BETTER_AUTH_SECRET={secret}\nDATABASE_URL=postgresql://x@127.0.0.1:1/x\n")
        service.wait_for_log(
            "Database unavailable, retrying: (.*\n)*todo-backend waits for the database, see above\n"
        )
        assert count(service, "todo-backend is ready") == 2
        assert httpx2.get(f"{service.base_url}/health").status_code == 503
        assert count(service, "embedded PostgreSQL") == 2
        assert service.stop(signal.SIGINT) == 0


@pytest.mark.posix
@pytest.mark.proves("CLI-5", "CLI-14")
def test_dev_can_be_stopped_while_it_waits(tmp_path: Path, url: Callable[[str], str]) -> None:
    file = tmp_path / ".env"
    file.write_text(f"BETTER_AUTH_SECRET={SECRET}\n")
    with running(tmp_path, "dev", DATABASE_URL=url("shared")) as service:
        file.write_text("BETTER_AUTH_SECRET=short\n")
        service.wait_for_log("Waiting for a change of .env ...")
        assert service.stop() == 0


@pytest.mark.proves("CLI-14")
def test_a_file_that_is_being_written_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    change = reload.EnvFileChange()
    assert not change.happened()
    for size in (1, 2):
        Path(".env").write_text("x" * size)
        assert not change.happened()
    assert change.happened()
    change.forget()
    assert not change.happened()
    moved = Path(".env").rename("moved")
    assert [change.happened(), change.happened()] == [False, False]
    moved.rename(".env")
    assert [change.happened(), change.happened()] == [False, False]
    Path(".env").write_text("another")
    assert [change.happened(), change.happened()] == [False, True]


@pytest.mark.posix
@pytest.mark.proves("CLI-14")
def test_a_file_that_is_gone_is_waited_for(tmp_path: Path, url: Callable[[str], str]) -> None:
    """Without it, `dev` would write another secret, and start an empty database."""
    file = tmp_path / ".env"
    content = f"BETTER_AUTH_SECRET={SECRET}\nDATABASE_URL={url('shared')}\n"
    file.write_text(content)
    with running(tmp_path, "dev") as service:
        service.wait_for_log("Ctrl-C stops the server")
        file.unlink()
        time.sleep(4 * reload.INTERVAL)
        assert httpx2.get(f"{service.base_url}/api/tasks", headers=bearer("me")).status_code == 200
        assert not file.exists()
        file.write_text(content + "# back\n")
        wait_until(lambda: count(service, "todo-backend is ready") == 2)
        assert file.read_text() == content + "# back\n"
        assert service.stop() == 0
    assert count(service, "embedded") == 0


def test_the_loop_is_the_one_of_the_system(windows_settings: bool) -> None:
    script = "from todo_backend.server.loop import ServerEventLoop; print(ServerEventLoop.__bases__[-1].__module__)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ("asyncio.unix_events" if windows_settings else "uvloop")


def test_the_parent_is_told_once() -> None:
    parent, child = Pipe(duplex=False)
    with parent:
        asyncio.run(reload._notify(child))
        asyncio.run(reload._notify(child))
        assert parent.recv_bytes() == b"listening"
        with pytest.raises(EOFError):
            parent.recv_bytes()


@pytest.mark.posix
@pytest.mark.proves("CLI-1")
def test_it_answers_when_it_says_so(tmp_path: Path, url: Callable[[str], str]) -> None:
    """No answer takes longer than one, because nothing is started any more."""
    service = start(tmp_path, "dev", DATABASE_URL=url("shared"), BETTER_AUTH_SECRET=SECRET)
    base_url = service.wait_for_log(r"http://[\w.:]+:\d+")
    began = time.monotonic()
    assert httpx2.get(f"{base_url}/health").status_code == 200
    taken = time.monotonic() - began
    lines = service.log.read_text().splitlines()
    started = next(index for index, line in enumerate(lines) if "Application startup complete" in line)
    assert started < lines.index("todo-backend is ready")
    assert taken < 5
    assert service.stop() == 0


@pytest.mark.posix
@pytest.mark.proves("CLI-15")
def test_it_logs_why_a_request_was_rejected(tmp_path: Path, url: Callable[[str], str]) -> None:
    """`serve` does so only at the level debug, `dev` not above info."""
    lines = (
        "DEBUG 401: The token's signature does not match BETTER_AUTH_SECRET\n",
        "DEBUG The origin 'http://localhost:3001' is not in CORS_ORIGINS\n",
        "DEBUG The origin 'http://\\xe9xxx",
    )
    for command, level, expected in (
        ("dev", "info", [1, 1, 1]),
        ("dev", "warning", [0, 0, 0]),
        ("serve", "debug", [1, 1, 1]),
        ("serve", "info", [0, 0, 0]),
    ):
        with running(
            tmp_path, command, DATABASE_URL=url("shared"), BETTER_AUTH_SECRET=SECRET, LOG_LEVEL=level
        ) as service:
            httpx2.get(f"{service.base_url}/api/tasks", headers=bearer("me", SECRET + "x"))
            for origin in ("http://localhost:3001", "http://\xe9" + "x" * 1000):
                rest = f"Access-Control-Request-Method: GET\r\nOrigin: {origin}\r\n\r\n".encode("latin-1")
                with service.send("OPTIONS", "/api/tasks", {}, rest) as connection:
                    assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
            assert service.stop() == 0
        assert [count(service, line) for line in lines] == expected
        assert max(map(len, service.log.read_text().splitlines())) < 1000


@pytest.mark.proves("CLI-1", "ENV-1")
def test_it_says_where_its_variables_come_from(tmp_path: Path, url: Callable[[str], str]) -> None:
    """Other values in the environment make those of the file useless, and a change of them, too."""
    (tmp_path / ".env").write_text(f"BETTER_AUTH_SECRET={SECRET}\nDATABASE_URL={url('shared')}\n")
    with running(tmp_path, "dev") as service:
        service.wait_for_log("Ctrl-C stops the server")
        assert count(service, "as DATABASE_URL in .env says") == count(service, "BETTER_AUTH_SECRET in .env") == 1
        assert count(service, "Not used") == 0
        assert count(service, f"http://localhost:3000, with NEXT_PUBLIC_API_URL={service.base_url}\n") == 1
        assert count(service, "; give Better Auth the same\n") == 1
    away = "http://127.0.0.1:1"
    with running(tmp_path, "dev", DATABASE_URL=url("postgres"), BETTER_AUTH_URL=away) as service:
        service.wait_for_log("Ctrl-C stops the server")
        assert count(service, "as DATABASE_URL in the environment says") == 1
        assert count(service, "BETTER_AUTH_SECRET in .env\n") == 1  # the key set is there to be shared
        assert count(service, "DATABASE_URL of .env: the environment has another value") == 1
