"""The handle on a load generator: see load.py for the conversation."""

import json
import subprocess
import sys
from dataclasses import asdict
from types import TracebackType
from typing import Self

from bench.load import Job, Load

# Load generators that have done their job, and wait for another: each takes a third of a second to start.
_idle: list[subprocess.Popen[str]] = []


class RunFailed(Exception):
    """A run that does not count, because an answer was wrong or did not come."""


class Generator:
    """A load generator that has warmed the service up, and waits for `go`."""

    def __init__(self, job: Job) -> None:
        self.process = _idle.pop() if _idle else _start()
        self._say(json.dumps(asdict(job)))
        self._hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind:
            self.process.kill()
            self.process.communicate()
        else:
            _idle.append(self.process)

    def go(self) -> None:
        """Let the load begin."""
        self._say("")

    def result(self) -> Load:
        """Wait for the end of the load."""
        return Load(**json.loads(self._hear()))

    def _say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RunFailed("The load generator ended; it says why above.")
        return line


def _start() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.load"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end_all() -> None:
    """End the load generators that wait for a job."""
    while _idle:
        _idle.pop().communicate()
