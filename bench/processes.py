"""Processor time and memory of a service's processes."""

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
