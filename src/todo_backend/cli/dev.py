"""`todo-backend dev`: prepares what the service needs and serves; starts again when `.env` changes."""

import os
import secrets
import sys
from contextlib import ExitStack
from functools import partial
from socket import socket

import dotenv
import typer

from todo_backend.cli.token import DEV_USER, sign
from todo_backend.database.embedded import DEV_FOLDER, embedded_server
from todo_backend.server import run as server
from todo_backend.server.program import with_command
from todo_backend.server.reload import EnvFileChange, serve_reloading
from todo_backend.server.signals import stopping
from todo_backend.settings import HINTS, CannotStart, InvalidSettings, Settings, TokenSettings, env_file

DEV_TOKEN_LIFETIME = 24 * 60 * 60  # seconds


def dev(host: str | None, port: int) -> None:
    """Serve until a stop signal.

    Args:
        host: the address to listen on; None for both loopback addresses.

    Raises:
        CannotStart: the first start failed. If a later one fails, it prints why, and waits for a change of `.env`.
    """
    with ExitStack() as stack:
        listeners = [server.listen(host, port)] if host else server.listen_on_loopback(port)
        for listener in listeners:
            stack.enter_context(listener)
        change = EnvFileChange()
        _serve(listeners, change)
        while not stopping.is_set():
            typer.echo(f"\n{env_file.PATH} has changed.")
            change.forget()
            try:
                _serve(listeners, change)
            except CannotStart as error:
                typer.echo(f"{with_command(str(error))}\nWaiting for a change of {env_file.PATH} ...", err=True)
                change.wait()


def _serve(listeners: list[socket], change: EnvFileChange) -> None:
    """Serve until a stop signal or a change of `.env`."""
    if lines := env_file.unreadable_lines(HINTS):
        raise InvalidSettings("\n".join(lines.values()))
    if not _is_set("BETTER_AUTH_SECRET"):
        _write_secret()
        change.forget()
    TokenSettings.load()  # reports a bad secret before PostgreSQL starts
    with ExitStack() as stack:
        database = f"as DATABASE_URL in {_source('DATABASE_URL')} says"
        if not _is_set("DATABASE_URL"):
            typer.echo("Starting PostgreSQL ...")
            database = f"embedded PostgreSQL, its data in {DEV_FOLDER}/"
            # For the server, which is another process. embedded_server() restores the environment.
            os.environ["DATABASE_URL"] = stack.enter_context(embedded_server(DEV_FOLDER))
        settings = Settings.load()
        state = "is ready" if server.check_database(settings) else "waits for the database, see above"
        introduce = partial(_introduce, settings, server.base_url(listeners[0]), database, state)
        serve_reloading(settings, listeners, change, introduce)


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name) or dotenv.dotenv_values(env_file.PATH).get(name))


def _source(name: str) -> str:
    return "the environment" if os.environ.get(name) else str(env_file.PATH)


def _write_secret() -> None:
    try:
        dotenv.set_key(env_file.PATH, "BETTER_AUTH_SECRET", secrets.token_hex(32), quote_mode="never")
    except OSError as error:
        raise CannotStart(f".env cannot be written: {error.strerror}") from error
    typer.echo("Wrote a new BETTER_AUTH_SECRET to .env")


def _introduce(settings: Settings, base_url: str, database: str, state: str) -> None:
    """Print the addresses, the database and the secret, and a curl line to paste."""
    unused = ", ".join(env_file.overridden_variables(HINTS))
    same = "" if settings.issuer else "; give Better Auth the same"
    # The code of docs/frontend.md takes port 8000 if it is told no other.
    here = "" if base_url.endswith(":8000") else f", with NEXT_PUBLIC_API_URL={base_url}"
    rows = {
        "API": f"{base_url}/api/tasks",
        "Docs": f"{base_url}/docs",
        "Database": database,
        "Secret": f"BETTER_AUTH_SECRET in {_source('BETTER_AUTH_SECRET')}{same}",
        **({"Key set": settings.issuer.jwks_url} if settings.issuer else {}),
        "Frontend": ", ".join(settings.cors_origins) + here,
        **({"Not used": f"{unused} of {env_file.PATH}: the environment has another value"} if unused else {}),
    }
    typer.secho(f"\ntodo-backend {state}\n", bold=True)
    for name, value in rows.items():
        typer.echo("  " + typer.style(f"{name:<10}", fg="cyan") + value)
    typer.echo(f"\nTry it as {DEV_USER} (the token is valid for a day):\n")
    token = sign(settings, DEV_USER, lifetime=DEV_TOKEN_LIFETIME)
    typer.secho(_curl(f"{base_url}/api/tasks", token) + "\n", fg="green")
    typer.echo("Ctrl-C stops the server.\n")


def _curl(url: str, token: str) -> str:
    """Return a line to paste into a terminal."""
    if sys.platform == "win32":
        # In PowerShell `curl` is another program, and quotes in JSON are escaped in another way than in cmd.exe.
        return f'curl.exe "{url}" -H "Authorization: Bearer {token}"'
    body = '{"title": "Buy milk"}'
    return f"curl '{url}' -H 'Content-Type: application/json' -d '{body}' -H 'Authorization: Bearer {token}'"
