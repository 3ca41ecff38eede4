"""Stop signals. They are recorded from the start of the program on, because a requested stop exits with 0."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

# A terminal that is closed sends SIGHUP. Windows does not have it.
NUMBERS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]

stopping = threading.Event()


def watch() -> None:
    """Record stop signals. An exception in their place might be swallowed by the code that happens to run."""
    for number in NUMBERS:
        signal.signal(number, lambda *_: stopping.set())


def hand_over(handler: Callable[[int, FrameType | None], object]) -> None:
    """Pass stop signals to a server from now on, including one that was recorded before.

    uvicorn sets its own handlers while it runs, and raises the signal again, for these, when it has finished.
    """
    for number in NUMBERS:
        signal.signal(number, handler)
    if stopping.is_set():
        handler(signal.SIGTERM, None)


def stop_with_parent() -> None:
    """Stop this process, if it is a worker, when its parent process has ended, for example was killed.

    An orphaned worker would keep the port. Parent and worker both get SIGHUP: the parent handles it.
    """
    parent = multiprocessing.parent_process()
    if parent:
        if hasattr(signal, "SIGHUP"):  # pragma: no branch  # Windows has none
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        def wait() -> None:
            multiprocessing.connection.wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, daemon=True).start()
