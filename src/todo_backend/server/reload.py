"""Serving under `dev`: a change of the code restarts the service, a change of `.env` stops it."""

from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from socket import socket
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.supervisors.statreload import StatReload

from todo_backend.server.run import configure
from todo_backend.server.signals import hand_over, stopping
from todo_backend.settings import Settings, env_file

PACKAGE = Path(__file__).parents[1]
INTERVAL = 0.25  # seconds between checks of the files


class EnvFileChange:
    """Detects that `.env` has changed, once it is no longer being written."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Compare with the present file from now on."""
        self._known = self._last = _signature()

    def happened(self) -> bool:
        """Return whether the file differs from the known one, and has not changed since the last call.

        A file that is gone is waited for: without it, `dev` would make another secret and an empty database.
        """
        last, self._last = self._last, _signature()
        return last == self._last and self._last not in (None, self._known)

    def wait(self) -> None:
        """Wait for a change of the file, or for a stop signal."""
        while not (self.happened() or stopping.wait(INTERVAL)):
            pass


def _signature() -> tuple[int, int] | None:
    try:
        status = env_file.PATH.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class Reloader(StatReload):
    """uvicorn's reloader, which also watches `.env`, and reports when the service first listens.

    A change of `.env` stops it, because `dev` itself depends on the variables (database, secret). It is not the one
    of uvicorn with watchfiles, which calls `should_restart` only every 5 seconds while no code changes.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket],
        change: EnvFileChange,
        when_listening: Callable[[], None],
    ) -> None:
        self._listening, child = Pipe(duplex=False)
        config.callback_notify = partial(_notify, child)
        super().__init__(config, uvicorn.Server(config).run, sockets)
        self._change = change
        self._when_listening = when_listening

    def should_restart(self) -> list[Path] | None:
        if self.config.callback_notify and self._listening.poll():
            self.config.callback_notify = None
            self._when_listening()
        if self._change.happened():
            self.process.terminate()  # on Windows uvicorn expects that Ctrl-C has done so
            self.should_exit.set()
        return super().should_restart()

    def signal_handler(self, sig: int, frame: FrameType | None) -> None:
        super().signal_handler(sig, frame)
        if self.should_exit.is_set():  # pragma: no branch  # on Windows a restart makes a signal too
            stopping.set()


async def _notify(parent: Any) -> None:
    """Notify the parent that the service listens. uvicorn calls this periodically; the first call counts.

    Args:
        parent: a Connection, on Windows a PipeConnection.
    """
    if not parent.closed:
        parent.send_bytes(b"listening")
        parent.close()


def serve_reloading(
    settings: Settings, listeners: list[socket], change: EnvFileChange, when_listening: Callable[[], None]
) -> None:
    """Serve until a stop signal or a change of `.env`; restart when the code of this package changes."""
    access_log = settings.log_level in ("debug", "info")
    config = configure(
        settings, access_log=access_log, reload=True, reload_dirs=[str(PACKAGE)], reload_delay=INTERVAL
    )
    supervisor = Reloader(config, [listener.dup() for listener in listeners], change, when_listening)
    hand_over(supervisor.signal_handler)
    supervisor.run()
