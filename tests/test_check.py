"""`todo-backend check` on settings and databases; tokens are in test_check_token.py and test_better_auth.py."""

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.proxy import Proxy
from tests.rig import pgbouncer
from tests.rig.postgres import Server
from tests.service import PROGRAM, SECRET, Service, environment, invoke, run, running, serving
from tests.test_auth import GOOD, make
from todo_backend.database import timeouts

SETTINGS = {"BETTER_AUTH_SECRET": SECRET}


def rows(ended: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return what is said of each subject, with its mark."""
    lines = [line for line in ended.stdout.splitlines() if line.startswith(("ok", "FAIL"))]
    return {line[6:15].strip(): line[:4].strip() + " " + line[17:] for line in lines}


@pytest.mark.proves("BA-6")
def test_all_is_ok(tmp_path: Path, service: Service, url: Callable[[str], str]) -> None:
    ended = invoke(tmp_path, "check", DATABASE_URL=url("shared"), **SETTINGS)
    assert (ended.returncode, ended.stderr) == (0, "")
    found = rows(ended)
    assert list(found) == ["Settings", "Database", "Transport", "Schema"]
    assert found["Database"].startswith("ok PostgreSQL 18")
    assert ", direct, " in found["Database"]
    assert found["Database"].endswith(" ms a round trip")
    assert found["Transport"] == "ok No TLS, on this machine"
    assert found["Schema"] == "ok The table public.tasks is up to date"


@pytest.mark.proves("BA-6")
def test_a_missing_schema_is_a_failure(tmp_path: Path, database: str, url: Callable[[str], str]) -> None:
    ended = invoke(tmp_path, "check", DATABASE_URL=url(database), **SETTINGS)
    assert (ended.returncode, rows(ended)["Schema"]) == (1, "FAIL There is no table public.tasks yet")
    assert "Start the service: it makes the table." in ended.stdout


@pytest.mark.proves("BA-6")
def test_a_database_elsewhere_without_tls_is_a_failure(tmp_path: Path, service: Service, proxy: Proxy) -> None:
    elsewhere = proxy.url("shared", "&hostaddr=127.0.0.1").replace("@127.0.0.1", "@localhost.example")
    ended = invoke(tmp_path, "check", DATABASE_URL=elsewhere, **SETTINGS)
    assert (ended.returncode, rows(ended)["Transport"]) == (1, "FAIL No TLS")
    assert "Add sslmode=require&channel_binding=require to DATABASE_URL." in ended.stdout


@pytest.mark.proves("BA-6")
def test_a_pooler_is_told(tmp_path: Path, strict: Server) -> None:
    with pgbouncer.running(strict) as port:
        url = strict.url("postgres", "?sslmode=require", port=port)
        assert ", through a pooler, " in rows(invoke(tmp_path, "check", DATABASE_URL=url, **SETTINGS))["Database"]


@pytest.mark.proves("BA-6")
def test_a_database_that_is_unavailable_or_silent_is_a_failure(
    tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.refuse()
    away = invoke(tmp_path, "check", DATABASE_URL=proxy.url("postgres"), **SETTINGS)
    assert (away.returncode, away.stderr) == (1, "")
    assert rows(away)["Database"].startswith("FAIL ")
    assert "Check that the server runs, and that the host and port of DATABASE_URL can be reached" in away.stdout
    proxy.flow()
    proxy.stall()
    monkeypatch.setattr(timeouts, "CONNECT_TIMEOUT", 2)
    for parameters in ("", "&connect_timeout=2"):
        silent = invoke(tmp_path, "check", DATABASE_URL=proxy.url("postgres", parameters), **SETTINGS)
        assert (silent.returncode, rows(silent)["Database"]) == (1, "FAIL connection timeout expired")
        assert "Check that the server runs" in silent.stdout


@pytest.mark.proves("BA-6")
def test_a_token_is_judged_without_a_database(tmp_path: Path) -> None:
    """As beside `dev`, whose .env has the secret alone."""
    ended = invoke(tmp_path, "check", "--token", make(GOOD), BETTER_AUTH_SECRET=SECRET)
    assert ended.returncode == 1
    assert rows(ended)["Settings"] == "FAIL DATABASE_URL is not set"
    assert rows(ended)["Token"].startswith('ok For user "user", valid for another ')


@pytest.mark.posix
@pytest.mark.proves("BA-6")
def test_the_database_of_dev_is_checked(tmp_path: Path) -> None:
    """Beside `dev`, and after it."""
    with running(tmp_path, "dev") as dev:
        beside = run(tmp_path, "check", "--token", run(tmp_path, "token").stdout.strip())
        assert httpx2.get(f"{dev.base_url}/health").status_code == 200
        assert dev.stop() == 0
    for ended in (beside, run(tmp_path, "check")):
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "note  Settings   DATABASE_URL is not set, so `dev` has its own database\n" in ended.stdout
        assert "`todo-backend serve` needs it: paste the connection string from Neon" in ended.stdout
        assert rows(ended)["Schema"] == "ok The table public.tasks is up to date"
    assert rows(beside)["Token"].startswith('ok For user "dev-user"')
    shutil.rmtree(tmp_path / ".todo-backend" / "postgres")
    (tmp_path / ".todo-backend" / "postgres").write_text("in the way")
    broken = run(tmp_path, "check")
    assert (broken.returncode, broken.stderr) == (1, "")
    assert rows(broken)["Database"].startswith("FAIL The embedded PostgreSQL does not start: ")


@pytest.mark.proves("BA-6")
def test_bad_settings_are_told_and_the_token_is_not_judged(tmp_path: Path) -> None:
    ended = invoke(tmp_path, "check", "--token", make(GOOD), BETTER_AUTH_SECRET="short")
    assert ended.returncode == 1
    assert "FAIL  Settings   DATABASE_URL is not set\n" in ended.stdout
    assert "FAIL  Settings   BETTER_AUTH_SECRET is too short, 5 bytes\n" in ended.stdout
    assert (
        "      Paste the connection string from Neon, which starts with postgresql://, into .env.\n" in ended.stdout
    )
    assert rows(ended)["Token"] == "FAIL Not checked, because the settings are not valid"


@pytest.mark.proves("BA-6")
def test_a_missing_env_file_is_noted(tmp_path: Path) -> None:
    note = "note  .env       This folder has no .env\n"
    assert note in invoke(tmp_path, "check").stdout
    (tmp_path / ".env").touch()
    assert note not in invoke(tmp_path, "check").stdout


@pytest.mark.posix
@pytest.mark.proves("BA-6")
def test_it_is_coloured_on_a_terminal(tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    subprocess.run([PROGRAM, "check"], cwd=tmp_path, env=environment(TERM="xterm"), stdout=end, check=False)
    assert b"\x1b[31mFAIL\x1b[0m" in os.read(terminal, 65536)
    os.close(end)
    os.close(terminal)


@pytest.mark.proves("BA-6", "DATA-10")
def test_tls_and_channel_binding_as_neon_asks_for_them(tmp_path: Path, strict: Server) -> None:
    database = strict.new_database()
    with serving(tmp_path, strict.url(database)):
        both = rows(invoke(tmp_path, "check", DATABASE_URL=strict.url(database), **SETTINGS))
    assert both["Transport"] == "ok TLS, channel binding required and done"
    one = invoke(tmp_path, "check", DATABASE_URL=strict.url(database, "?sslmode=require"), **SETTINGS)
    assert (one.returncode, rows(one)["Transport"]) == (0, "ok TLS, channel binding not required")
    assert "Add channel_binding=require to DATABASE_URL" in one.stdout
    plain = strict.url(database, "?sslmode=disable&channel_binding=require")
    assert invoke(tmp_path, "check", DATABASE_URL=plain, **SETTINGS).returncode == 1


@pytest.mark.proves("BA-6")
def test_a_key_set_of_no_use_is_a_failure(
    tmp_path: Path, service: Service, url: Callable[[str], str], key_set: Callable[[object], str]
) -> None:
    empty = invoke(tmp_path, "check", DATABASE_URL=url("shared"), BETTER_AUTH_URL=key_set({"keys": []}), **SETTINGS)
    assert empty.returncode == 1
    assert rows(empty)["Key set"].endswith("no usable key")
