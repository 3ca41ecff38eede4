"""What is asked of the figures."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from bench.results import Results, ratio
from bench.stacks import DRIZZLE, OURS, POSTGRESJS, SQLMODEL, Stack

# How many times the service's processor time a peer's has to be at least, and on which endpoints; None means all.
CHEAPER: tuple[tuple[Stack, float, tuple[str, ...] | None], ...] = (
    (SQLMODEL, 3, None),
    (DRIZZLE, 1, None),
    (POSTGRESJS, 1, ("list20", "list1000")),
)
TAIL_SHARE = 5  # times the service's p99 at most clients that the straightforward service's has to be at least
TAIL_DELAY = 20.0  # milliseconds
GROWTH = 1.2
SCALING = 1.8
MEMORY = 100.0  # megabytes
FIRST_ANSWER = 1.5  # seconds


@dataclass
class Goal:
    """A goal, the figure that was found, and whether it meets the goal."""

    text: str
    figure: str
    met: bool


def goals(results: Results) -> Iterator[Goal]:
    """Yield the goals that something was measured for."""
    yield from _cheaper(results)
    yield from _round_trips(results)
    yield from _tails(results)
    yield from _growth_and_workers(results)
    yield from _memory_and_start(results)


def _cheaper(results: Results) -> Iterator[Goal]:
    for peer, times, endpoints in CHEAPER:
        for endpoint in endpoints or results.endpoints:
            for clients in results.clients:
                found = results.against(peer.name, endpoint, clients, lambda run: run.processor)
                if found:
                    text = (
                        f"{endpoint}, {clients} clients: {peer.title} takes at least {times:g} times the processor"
                    )
                    yield Goal(text, str(found), found.median >= times)


def _round_trips(results: Results) -> Iterator[Goal]:
    for (stack, endpoint), trips in results.trips.items():
        if stack == OURS.name:
            yield Goal(f"{endpoint}: one round trip", f"{trips:.2f}", round(trips) == 1)


def _tails(results: Results) -> Iterator[Goal]:
    clients = max(results.clients)
    for endpoint in results.endpoints:
        found = results.against(SQLMODEL.name, endpoint, clients, lambda run: run.p99)
        if found:
            text = f"{endpoint}, {clients} clients: {SQLMODEL.title} has at least {TAIL_SHARE} times the p99"
            yield Goal(text, str(found), found.median >= TAIL_SHARE)
    if OURS.name in results.tails:
        delay = results.tails[OURS.name].delay
        text = f"a list of 10,000 delays another user's get by at most {TAIL_DELAY:g} ms at p99"
        yield Goal(text, f"{delay:.1f} ms", delay <= TAIL_DELAY)


def _growth_and_workers(results: Results) -> Iterator[Goal]:
    for endpoint, rounds in results.growth.items():
        found = ratio([one.ratio for one in rounds])
        yield Goal(f"{endpoint}: 5 million tasks cost at most {GROWTH} times", str(found), found.median <= GROWTH)
    if results.workers:
        for endpoint, pairs in results.workers.scaling.items():
            found = ratio([pair.ratio for pair in pairs])
            text = f"{endpoint}: two workers carry at least {SCALING} times what one does"
            yield Goal(text, str(found), found.median >= SCALING)


def _memory_and_start(results: Results) -> Iterator[Goal]:
    memory = results.comparison.memory.get(OURS.name)
    if memory:
        yield Goal(f"under {MEMORY:g} MB, one worker", f"{memory:.0f} MB", memory < MEMORY)
    if results.workers:
        each = results.workers.memory
        yield Goal(f"under {MEMORY:g} MB a worker, two workers", f"{each:.0f} MB", each < MEMORY)
    if results.starts:
        seconds = statistics.median(results.starts[OURS.name])
        text = f"the first answer within {FIRST_ANSWER} s"
        yield Goal(text, f"{seconds:.2f} s", seconds <= FIRST_ANSWER)
