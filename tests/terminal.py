"""The picture of the terminal in README: `python -m tests.terminal` writes docs/terminal.svg.

It runs `todo-backend dev` in an empty folder and draws what that prints, with a shorter token.
"""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from todo_backend.settings import HINTS

assert sys.platform != "win32"  # which has no pseudo-terminals

PICTURE = Path(__file__).parent.parent / "docs" / "terminal.svg"
WIDTH = 116  # characters
LAST_LINE = "Ctrl-C stops the server."


def output_of_dev() -> str:
    """Return what `dev` prints in a terminal until it serves."""
    variables = {name: value for name, value in os.environ.items() if name not in HINTS}
    screen, terminal = pty.openpty()
    with tempfile.TemporaryDirectory() as folder, open(screen, encoding="utf-8") as output:
        command = [sys.executable, "-m", "todo_backend", "dev"]
        dev = subprocess.Popen(command, cwd=folder, env=variables, stdout=terminal)
        os.close(terminal)
        lines = []
        for line in output:
            lines.append(line)
            if LAST_LINE in line:
                break
        dev.send_signal(signal.SIGINT)
        dev.wait()
    return "".join(lines)


def draw(output: str) -> str:
    """Return the picture, as SVG, without the fonts that rich would load from a server."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print("$ make run", style="bold", highlight=False)
    console.print(Text.from_ansi(re.sub(r"(Bearer ey\w{6})[\w.-]+", r"\1...", output)))
    picture = console.export_svg(title="todo-backend", unique_id="terminal")
    return re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(draw(output_of_dev()))
