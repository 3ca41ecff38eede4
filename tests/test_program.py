"""Commands in messages, as they work where the message is read."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import PROGRAM, SECRET, environment
from todo_backend.server import program

HERE = Path(PROGRAM).parent


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell without this environment on its path, in a folder that has nothing to do with it."""
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.posix
@pytest.mark.proves("CLI-12")
def test_the_command_that_a_message_names_works(tmp_path: Path) -> None:
    """Here by its whole path, in a folder that makes quotation marks necessary."""
    tmp_path = tmp_path / "it's my folder"
    tmp_path.mkdir()
    variables = environment(PATH="/usr/bin", DATABASE_URL="postgresql:///x", BETTER_AUTH_SECRET=SECRET)
    line = f"cd {shlex.quote(str(tmp_path))} && {program.command()} token"
    done = subprocess.run(line, shell=True, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.count(".") == 2


@pytest.mark.posix
@pytest.mark.proves("CLI-12")
def test_the_command_is_the_shortest_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    assert program.command() == PROGRAM
    monkeypatch.chdir(HERE.parent.parent)
    assert program.command() == f"{HERE.parent.name}/bin/todo-backend"
    monkeypatch.setenv("PATH", f"/usr/bin:{HERE}")
    assert program.command() == "todo-backend"
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert program.command() == f"{HERE.parent.name}/bin/todo-backend"


@pytest.mark.posix
@pytest.mark.proves("CLI-12")
def test_the_command_is_the_module_where_there_is_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "my python"))
    assert program.command() == f"'{tmp_path}/my python' -m todo_backend"


@pytest.mark.posix
@pytest.mark.proves("CLI-12")
def test_the_command_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its paths are written with slashes here; PowerShell and cmd.exe know no single quotation marks."""
    monkeypatch.setattr(program, "IS_WINDOWS", True)
    scripts = tmp_path / ".venv" / "Scripts"
    scripts.mkdir(parents=True)
    (scripts / "todo-backend.exe").touch()
    monkeypatch.setattr(sys, "executable", str(scripts / "python.exe"))
    assert program.command() == ".venv/Scripts/todo-backend.exe"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "my python.exe"))
    assert program.command() == f'"{tmp_path}/my python.exe" -m todo_backend'


@pytest.mark.proves("CLI-12")
def test_messages_name_it() -> None:
    assert program.with_command("Run `todo-backend adopt`.") == f"Run `{PROGRAM} adopt`."
    assert program.with_command('pip install "todo-backend[dev]"') == 'pip install "todo-backend[dev]"'
