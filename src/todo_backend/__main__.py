"""The console program: `todo-backend`, or `python -m todo_backend`."""

from todo_backend import signals


def main() -> None:
    signals.watch()  # before all else is imported, which takes a second

    from todo_backend.cli import run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
