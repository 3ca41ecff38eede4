"""Processor time and memory of a service's processes."""

import contextlib
import os
from collections.abc import Iterator, Sequence

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def processor(pid: int) -> dict[int, float]:
    """Return the seconds of processor time, of user and system, that each process of a tree has taken."""
    taken = {}
    for process in tree(pid):
        times = process.cpu_times()
        taken[process.pid] = times.user + times.system
    return taken


def memory(pid: int) -> tuple[float, float]:
    """Return the megabytes of a tree: resident, and with what processes share divided among them."""
    parts = [process.memory_full_info() for process in tree(pid)]
    # Other systems than Linux do not say what is shared.
    shares = [getattr(part, "pss", part.uss) for part in parts]
    return sum(part.rss for part in parts) / 1e6, sum(shares) / 1e6


@contextlib.contextmanager
def apart(pids: Sequence[int], others: int) -> Iterator[None]:
    """Give the services, and their threads, a core that they share with nobody; the others have the rest.

    So nothing that they wait for takes their time away meanwhile. Only Linux can do so.
    """
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    if len(cores) < 2:
        yield
        return
    one = {min(cores)}
    for pid in pids:
        _move(pid, one)
    for pid in (others, os.getpid()):
        _move(pid, cores - one)
    try:
        yield
    finally:
        for pid in (*pids, others, os.getpid()):
            _move(pid, cores)


def _move(pid: int, cores: set[int]) -> None:
    """Move a process and its children, or this process alone: its children are the others."""
    for process in [psutil.Process()] if pid == os.getpid() else tree(pid):
        for thread in process.threads():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread.id, cores)
