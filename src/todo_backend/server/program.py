"""The command that runs this program, for messages: it works in the shell and folder where they are printed."""

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "todo-backend"
IS_WINDOWS = sys.platform == "win32"


def with_command(text: str) -> str:
    """Replace `todo-backend` at the beginning of each command in a message by what runs it here."""
    begin = f"`{NAME} "
    return text.replace(begin, f"`{command()} ") if begin in text else text


def command() -> str:
    """Return the shortest command that runs this program in the user's shell and working folder."""
    suffix = ".exe" if IS_WINDOWS else ""
    path = Path(sys.executable).with_name(NAME + suffix)
    if not path.exists():
        return f"{_quote(sys.executable)} -m todo_backend"
    # `uv run` changes the path only for the command that it runs.
    found = "UV_RUN_RECURSION_DEPTH" not in os.environ and shutil.which(NAME)
    if found and os.path.samefile(found, path):
        return NAME
    here = Path.cwd()
    return _quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _quote(path: str) -> str:
    if IS_WINDOWS:
        return f'"{path}"' if " " in path else path
    return shlex.quote(path)
