"""The service under `dev`: it restarts when its code changes, and ends when `.env` does."""

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
INTERVAL = 0.25  # seconds between two looks at the files


class EnvFileChange:
    """Tells whether `.env` has changed, and is not still being written."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: what is there now is known."""
        self._known = self._last = _signature()

    def happened(self) -> bool:
        """Return whether the file differs from what is known, and has been the same twice."""
        last, self._last = self._last, _signature()
        return last == self._last != self._known

    def wait(self) -> None:
        """Return when it has happened, or the program is told to stop."""
        while not (self.happened() or stopping.wait(INTERVAL)):
            pass


def _signature() -> tuple[int, int] | None:
    try:
        status = env_file.PATH.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class Reloader(StatReload):
    """uvicorn's reloader, which looks at `.env` too, and says when the service listens for the first time.

    What `.env` sets concerns this process as well: which database, which secret. So a change of it ends this.
    It is not the reloader by watchfiles, which looks up only every 5 seconds where nothing changes.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket],
        change: EnvFileChange,
        when_listening: Callable[[], None],
    ) -> None:
        self._listening, child = Pipe(duplex=False)
        config.callback_notify = partial(_tell, child)
        super().__init__(config, uvicorn.Server(config).run, sockets)
        self._change = change
        self._when_listening = when_listening

    def should_restart(self) -> list[Path] | None:
        if self.config.callback_notify and self._listening.poll():
            self.config.callback_notify = None
            self._when_listening()
        if self._change.happened():
            self.process.terminate()  # on Windows uvicorn leaves that to Ctrl-C, which nobody has pressed
            self.should_exit.set()
        return super().should_restart()

    def signal_handler(self, sig: int, frame: FrameType | None) -> None:
        super().signal_handler(sig, frame)
        if self.should_exit.is_set():  # pragma: no branch  # on Windows a restart makes a signal too
            stopping.set()


async def _tell(parent: Any) -> None:
    """Tell the parent that the service listens. uvicorn calls this now and then; once is enough.

    Args:
        parent: a Connection, on Windows a PipeConnection.
    """
    if not parent.closed:
        parent.send_bytes(b"listening")
        parent.close()


def serve_reloading(
    settings: Settings, listeners: list[socket], change: EnvFileChange, when_listening: Callable[[], None]
) -> None:
    """Serve until a signal comes or `.env` changes, and restart whenever the code of this package changes."""
    config = configure(settings, reload=True, reload_dirs=[str(PACKAGE)], reload_delay=INTERVAL)
    supervisor = Reloader(config, [listener.dup() for listener in listeners], change, when_listening)
    hand_over(supervisor.signal_handler)
    supervisor.run()
