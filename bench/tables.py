"""The tables of everything but the comparison: what the load took, round trips, the tail, workers, growth."""

import statistics
from collections.abc import Callable, Iterable

from bench.measure import Run
from bench.results import Results, ratio
from bench.stacks import OURS


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table, its columns aligned for those who read it as it is."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    ruler = ["-" * width for width in widths]
    lines = [" | ".join(map(str.ljust, row, widths)) for row in (header, ruler, *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def quantity(value: float | None, unit: str) -> str:
    """Return a quantity with three digits or more, or nothing."""
    if value is None:
        return ""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}".strip()


def besides(results: Results) -> str:
    """What the load on the service took besides its own processor time."""
    figures: tuple[tuple[str, Callable[[Run], float]], ...] = (
        ("load generator", lambda run: run.generator),
        ("PostgreSQL", lambda run: run.postgres),
    )
    rows = []
    for clients in results.clients:
        for endpoint in results.endpoints:
            busy = results.median(OURS.name, endpoint, clients, lambda run: run.processor * run.rate / 1e6)
            if busy is not None:
                others = [quantity(results.median(OURS.name, endpoint, clients, get), "us") for _, get in figures]
                rows.append([f"{endpoint}, {clients} clients", f"{busy:.0%}", *others])
    if not rows:
        return ""
    return (
        f"Of one core, {OURS.title} was busy for this share of the time; and a request to it took so much processor"
        " time of the others:\n\n" + table(["", "busy", *(name for name, _ in figures)], rows)
    )


def round_trips(results: Results) -> str:
    """How many round trips each endpoint waits for."""
    if not results.trips:
        return ""
    rows = [
        [stack.title, *(f"{results.trips[stack.name, endpoint]:.2f}" for endpoint in results.endpoints)]
        for stack in results.compared
    ]
    return "Round trips to the database that an answer waits for:\n\n" + table(["", *results.endpoints], rows)


def tails(results: Results) -> str:
    """What a list of 10,000 does to another user's get."""
    if not results.tails:
        return ""
    rows = [
        [stack.title, *(f"{value:.1f}" for value in (*tail.alone, *tail.beside, tail.lists))]
        for stack in results.compared
        if (tail := results.tails.get(stack.name))
    ]
    header = ["ms of a get", "p50 alone", "p99 alone", "p50 beside", "p99 beside", "lists a second"]
    return "A get, alone and beside another user who lists 10,000 tasks over and over:\n\n" + table(header, rows)


def workers(results: Results) -> str:
    """What two workers carry."""
    if not results.workers:
        return ""
    rows = []
    for endpoint, pairs in results.workers.scaling.items():
        capacity, measured = ratio([pair.ratio for pair in pairs]), ratio([pair.measured for pair in pairs])
        rows.append([endpoint, str(capacity), str(measured), f"{_others(pair.two for pair in pairs):.0%}"])
    header = ["two workers against one", "by processor time", "requests a second here", "others' share"]
    return (
        "Two workers against one. The two cores are PostgreSQL's and the load generator's too (the others' share of"
        " the processor time), so the workers are compared by the requests that the busiest one carries in a second"
        " of its processor time.\n\n" + table(header, rows)
    )


def _others(runs: Iterable[Run]) -> float:
    return statistics.median(
        (run.postgres + run.generator) / (run.processor + run.postgres + run.generator) for run in runs
    )


def growth(results: Results) -> str:
    """What five million tasks cost."""
    if not results.growth:
        return ""
    rows = [
        [endpoint, str(ratio([one.ratio for one in rounds])), str(ratio([one.service_ratio for one in rounds]))]
        for endpoint, rounds in results.growth.items()
    ]
    header = ["", "with PostgreSQL's", "the service's alone"]
    return "5 million tasks against 30,000, in processor time:\n\n" + table(header, rows)
