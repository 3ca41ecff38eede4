"""The console program: `todo-backend`, or `python -m todo_backend`."""

import gc
import sys

from todo_backend.server import signals


def main() -> None:
    if sys.argv[1:2] in (["dev"], ["serve"]):
        signals.watch()  # before all else is imported, which takes a second
        gc.disable()  # garbage collection makes that a third longer; server/run.py, configure(), enables it again

    from todo_backend.cli.commands import run

    run()


if __name__ == "__main__":
    main()
