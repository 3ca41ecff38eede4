"""SIGINT and SIGTERM: noted from the first moment on, because a stop that was asked for is a success."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM)

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
