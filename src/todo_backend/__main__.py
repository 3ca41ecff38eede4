"""The console program: `todo-backend`, or `python -m todo_backend`."""

import gc
import sys

from todo_backend import signals


def main() -> None:
    if {"dev", "serve"} & set(sys.argv):
        signals.watch()  # before all else is imported, which takes a second
        gc.disable()  # and a third longer with looking for garbage; server.configure() ends that

    from todo_backend.cli import run

    run()


if __name__ == "__main__":
    main()
