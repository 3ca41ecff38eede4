"""The console program: `todo-backend`, or `python -m todo_backend`."""

import gc
import sys

from todo_backend.server import signals


def main() -> None:
    if sys.argv[1:2] in (["dev"], ["serve"]):
        signals.watch()  # before all else is imported, which takes a second
        gc.disable()  # looking for garbage makes that a third longer; server.configure() ends this

    from todo_backend.cli.commands import run

    run()


if __name__ == "__main__":
    main()
