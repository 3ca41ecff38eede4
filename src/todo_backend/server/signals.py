"""Signals to stop: noted from the first moment on, because a stop that was asked for is a success."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

# SIGHUP is what a terminal sends that is closed; Windows has none.
NUMBERS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]

stopping = threading.Event()


def watch() -> None:
    """Note a signal, rather than raise an exception that whatever code happens to run might swallow."""
    for number in NUMBERS:
        signal.signal(number, lambda *_: stopping.set())


def hand_over(handler: Callable[[int, FrameType | None], object]) -> None:
    """Let a server have the signals from now on, and the one that may have come.

    uvicorn sets its own handlers while it runs, and raises the signal again, for these, when it has finished.
    """
    for number in NUMBERS:
        signal.signal(number, handler)
    if stopping.is_set():
        handler(signal.SIGTERM, None)


def stop_with_parent() -> None:
    """Stop this process, if it is a worker, when the process that started it is gone, killed for example.

    Workers that were left behind would keep the port. A terminal that is closed tells both: the parent decides.
    """
    parent = multiprocessing.parent_process()
    if parent:
        if hasattr(signal, "SIGHUP"):  # pragma: no branch  # Windows has none
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        def wait() -> None:
            multiprocessing.connection.wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, daemon=True).start()
