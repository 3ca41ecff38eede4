"""Run the application under uvicorn, for `serve` and `dev`."""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import socket
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from todo_backend.database.startup import open_database
from todo_backend.server.loop import SelectorEventLoop
from todo_backend.server.program import NAME, with_command
from todo_backend.server.signals import hand_over, stopping
from todo_backend.settings import CannotStart, Settings

log = logging.getLogger(__name__)

IPV6_LOOPBACK = "::1"

# Seconds until an idle connection is closed. Node's http agent, and so axios, closes an idle connection after 5 s.
# If the server did so too, it would reset a request that is sent at that moment.
KEEP_ALIVE_TIMEOUT = 75
SHUTDOWN_TIMEOUT = 8  # seconds for running requests to finish after a stop signal


class PortTaken(CannotStart):
    """The address cannot be listened on."""


class WorkersFailed(CannotStart):
    """No worker came up, though the database had been checked before."""


def listen(host: str, port: int) -> socket.socket:
    """Listen on the port, before anything else is started.

    Raises:
        PortTaken: the port is in use, or the address is not available.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as undo:
            listener = undo.enter_context(socket.socket(family, kind, protocol))
            if os.name == "posix":  # pragma: no branch  # elsewhere it would let two servers share the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
            undo.pop_all()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no such host"
        hint = "Try another --host or --port"
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            other = f"`{NAME} dev --port {port % 65535 + 1}`"
            hint = f"Is the service running already? If not, try another --port; in place of `make run`: {other}"
        raise PortTaken(f"Cannot listen on {host}, port {port}: {reason}. {hint}.") from error
    return listener


def listen_on_loopback(port: int) -> list[socket.socket]:
    """Take the port on 127.0.0.1, and on ::1 where this machine has it.

    `localhost` is ::1 first for browsers, Node and curl, which take another way only after that has failed.

    Raises:
        PortTaken: the port is in use on either.
    """
    listeners = [listen("127.0.0.1", port)]
    try:
        listeners.append(listen(IPV6_LOOPBACK, listeners[0].getsockname()[1]))
    except PortTaken as error:
        if getattr(error.__cause__, "errno", None) not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            listeners[0].close()
            raise
    return listeners


def base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class WithoutQuery(logging.Filter):
    """Keeps the query out of uvicorn's log of requests: some clients put their token there."""

    def filter(self, record: logging.LogRecord) -> bool:
        client, method, path, *rest = record.args  # type: ignore[misc]
        record.args = (client, method, str(path).partition("?")[0], *rest)
        return True


class MessageFormatter(logging.Formatter):
    """Writes commands so that they work where this program was started."""

    def format(self, record: logging.LogRecord) -> str:
        return with_command(super().format(record))


def configure(settings: Settings, *, access_log: bool = False, **options: Any) -> uvicorn.Config:
    """Return uvicorn's configuration, and set the log up.

    Args:
        access_log: log each request, and why it was rejected. Untrusted clients could fill the log of `serve`.
        options: uvicorn's.
    """
    gc.freeze()
    gc.enable()
    level = settings.log_level.upper()
    return uvicorn.Config(
        "todo_backend.main:app",
        loop="todo_backend.server.loop:ServerEventLoop",
        http="todo_backend.server.protocol:BoundedProtocol",
        ws="none",
        lifespan="on",
        access_log=access_log,
        server_header=False,
        proxy_headers=False,  # nothing here depends on where a request comes from
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT,
        # uvicorn's 5 seconds are too few for a worker that starts on a busy machine, or far from the database.
        timeout_worker_healthcheck=30,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
        log_config={
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"()": MessageFormatter, "fmt": "%(asctime)s %(levelname)s %(message)s"}},
            "filters": {"without query": {"()": WithoutQuery}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {
                "todo_backend": {"level": level},
                "todo_backend.http": {"level": "DEBUG" if access_log else level},
                "uvicorn": {"level": level},
                "uvicorn.access": {"filters": ["without query"]},
            },
        },
        **options,
    )


def check_database(settings: Settings) -> bool:
    """Bring the schema up to date, and report permanent errors before any worker starts. An outage is not one.

    Returns:
        Whether the database is available.

    Raises:
        PermanentDatabaseError: a retry will not help.
        CannotStart: the program was told to stop.
    """

    async def open_and_close() -> bool:
        url = settings.database_url.get_secret_value()
        async with open_database(url, pool_size=1, stopping=stopping) as database:
            return database.ready

    with asyncio.Runner(loop_factory=SelectorEventLoop) as runner:
        is_ready = runner.run(open_and_close())
    if stopping.is_set():
        raise CannotStart("Stopped before it listened.")
    return is_ready


def serve(settings: Settings, listener: socket.socket, *, workers: int) -> None:
    """Serve until a signal comes.

    Raises:
        PermanentDatabaseError, WorkersFailed: nothing was served.
    """
    # The log has the start and errors; requests are logged only at the level debug.
    config = configure(settings, workers=workers, access_log=settings.log_level == "debug")
    check_database(settings)
    log.info("Listening on %s, workers: %d", base_url(listener), workers)
    if workers == 1:
        server = uvicorn.Server(config)
        hand_over(server.handle_exit)
        server.run(sockets=[listener])
        return
    from uvicorn.supervisors import Multiprocess

    supervisor = Multiprocess(config, sockets=[listener])
    hand_over(lambda number, _: supervisor.signal_queue.append(number))
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise WorkersFailed("The workers do not start; the log says why.")
