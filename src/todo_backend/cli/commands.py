"""The console program: `todo-backend dev`, `serve`, `token`, `adopt` and `check`.

Each command imports what only it needs, so that `token` imports neither FastAPI nor SQLAlchemy.
"""

import re
import sys
import textwrap
from typing import Annotated

import typer

from todo_backend.auth import tokens
from todo_backend.cli.token import DEV_USER, sign
from todo_backend.server import signals
from todo_backend.server.program import NAME, with_command
from todo_backend.settings import HINTS, CannotStart, Settings, TokenSettings, env_file

UNITS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}  # in seconds

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The todo backend for Next.js, Better Auth and Neon.",
)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]


def run() -> None:
    try:
        app(prog_name=NAME)
    except CannotStart as error:
        if signals.stopping.is_set():  # PostgreSQL's own programs get the terminal's Ctrl-C too
            sys.exit(0)
        typer.echo(with_command(str(error)), err=True)
        sys.exit(error.exit_code)


@app.command()
def dev(context: typer.Context, host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run the service for development; it needs no configuration.

    Writes .env with a new BETTER_AUTH_SECRET when there is none. Without DATABASE_URL it starts an embedded
    PostgreSQL, whose data stay in .todo-backend/, so that tasks survive a restart. Restarts when the code or .env
    changes. Listens on ::1 too, where there is one and --host is not given.
    """
    from todo_backend.cli.dev import dev

    _warn_of_unreadable_lines()
    if env_file.NEXTJS_PATH.exists():
        typer.echo(f"{env_file.NEXTJS_PATH} is not read here: put what this service needs into .env", err=True)
    source = context.get_parameter_source("host")
    dev(host if source and source.name == "COMMANDLINE" else None, port)


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Run the service with a complete configuration.

    DATABASE_URL, and BETTER_AUTH_SECRET or a key set, must be set, in the environment or in .env.
    """
    _warn_of_unreadable_lines()
    settings = Settings.load()

    from todo_backend.server import run as server

    with server.listen(host, port) as listener:
        server.serve(settings, listener, workers=workers)


@app.command()
def token(
    user: Annotated[str, typer.Option(metavar="ID", help="The user: the token's sub claim.")] = DEV_USER,
    expires: Annotated[str, typer.Option(metavar="TIME", help="How long it is valid: 30s, 15m, 12h, 7d.")] = "15m",
) -> None:
    """Print a token signed with BETTER_AUTH_SECRET."""
    form = re.fullmatch("([0-9]{1,9})([smhd])", expires)
    if not form:
        raise typer.BadParameter("give a number and s, m, h or d, such as 15m", param_hint="--expires")
    if not tokens.is_user_id(user):
        raise typer.BadParameter("give 1 to 255 characters, no control characters", param_hint="--user")
    typer.echo(sign(TokenSettings.load(), user, lifetime=int(form[1]) * UNITS[form[2]]))


@app.command()
def adopt(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Take over the rows of a table `tasks` that another backend made.

    Prints a plan and asks before it changes anything. The old table is kept as tasks_before_adopt.
    """
    from todo_backend.cli.adopt import adopt

    adopt(Settings.load().database_url.get_secret_value(), yes=yes)


@app.command()
def check(
    token: Annotated[
        str | None, typer.Option(metavar="JWT", help="A token to check, as the frontend sends it.")
    ] = None,
) -> None:
    """Find what is wrong, and print how to fix it.

    Checks the settings, the database, Better Auth's key set and, if one is given, a token.
    """
    import asyncio

    from todo_backend.cli.check import run_checks
    from todo_backend.cli.check_result import CheckResult
    from todo_backend.server.loop import SelectorEventLoop

    async def report() -> list[CheckResult]:
        results = []
        async for result in run_checks(token):
            mark, colour = (
                ("note", "yellow") if result.note else ("ok  ", "green") if result.ok else ("FAIL", "red")
            )
            typer.echo(f"{typer.style(mark, fg=colour)}  {result.subject:<9}  {result.text}")
            if result.hint:
                typer.echo("\n" + textwrap.indent(with_command(result.hint), " " * 6) + "\n")
            results.append(result)
        return results

    with asyncio.Runner(loop_factory=SelectorEventLoop) as runner:
        results = runner.run(report())
    if not all(result.ok for result in results):
        raise typer.Exit(1)


def _warn_of_unreadable_lines() -> None:
    """Print the unreadable lines of .env whose variables the environment sets."""
    for line in env_file.unreadable_lines(HINTS, overridden=True).values():
        typer.echo(f"{line} (the environment sets it)", err=True)
