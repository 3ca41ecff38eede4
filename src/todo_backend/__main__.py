"""`python -m todo_backend` is the console program `todo-backend`."""

from todo_backend.cli import main

main()
