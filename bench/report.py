"""The tables, in Markdown, as they are printed and as docs/performance.md holds them."""

import platform
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from bench import pgbench
from bench.goals import goals
from bench.measure import Run
from bench.results import Results, ratio
from bench.stacks import OURS

BEGIN, END = "<!-- figures: written by make bench WRITE=1 -->", "<!-- end of the figures -->"

# Name, unit and value of what a run found; times of the same unit can be compared across rows.
FIGURES: tuple[tuple[str, str, Callable[[Run], float]], ...] = (
    ("processor time", "us", lambda run: run.processor),
    ("requests a second", "", lambda run: run.rate),
    ("p50", "ms", lambda run: run.p50),
    ("p99", "ms", lambda run: run.p99),
)


def report(results: Results) -> str:
    """Return everything that was found."""
    parts = [_conditions(results), _ratios(results), _scenarios(results), _goals(results)]
    return "\n\n".join(part for part in parts if part)


def write(path: Path, text: str) -> None:
    """Put the figures into a page, between its marks, and leave the rest of it as it is."""
    before, _, rest = path.read_text().partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table, its columns aligned for those who read it as it is."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    ruler = ["-" * width for width in widths]
    lines = [" | ".join(map(str.ljust, row, widths)) for row in (header, ruler, *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _conditions(results: Results) -> str:
    memory = psutil.virtual_memory().total / 2**30
    machine = (
        f"{psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"
    )
    return "\n".join([f"Measured on {machine}.", *(f"Skipped: {word}." for word in results.skipped)])


def _ratios(results: Results) -> str:
    rows = [row for row in _rows(results) if any(row[1:])]
    if not rows:
        return ""
    header = [
        "",
        OURS.title,
        *(peer.title for peer in results.peers),
        *([pgbench.TITLE] * bool(results.comparison.limits)),
    ]
    return (
        "The first column is what this service takes; the others say how many times that each peer takes, the"
        " median of the rounds with the least and the most of them.\n\n" + table(header, rows)
    )


def _rows(results: Results) -> Iterator[list[str]]:
    for name, unit, figure in FIGURES:
        for clients in results.clients:
            for endpoint in results.endpoints:
                ours = results.median(OURS.name, endpoint, clients, figure)
                row = [f"{name}, {endpoint}, {clients} clients", _absolute(ours, unit)]
                row += [str(results.against(peer.name, endpoint, clients, figure) or "") for peer in results.peers]
                if results.comparison.limits:
                    row.append(
                        _limit(results, endpoint)
                        if figure is FIGURES[1][2] and clients == results.clients[0]
                        else ""
                    )
                yield row
    yield _simple(results, "memory", "MB", dict(results.comparison.memory))
    yield _simple(
        results, "first answer", "s", {name: statistics.median(one) for name, one in results.starts.items()}
    )


def _absolute(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}".strip()


def _limit(results: Results, endpoint: str) -> str:
    ours = results.comparison.runs.get((OURS.name, endpoint, results.clients[0]), [])
    limits = results.comparison.limits[endpoint]
    return str(ratio([limit / one.rate for limit, one in zip(limits, ours, strict=True)])) if ours else ""


def _simple(results: Results, name: str, unit: str, values: dict[str, float]) -> list[str]:
    ours = values.get(OURS.name)
    cells = [f"{values[peer.name] / ours:.2f}" if ours and peer.name in values else "" for peer in results.peers]
    return [name, _absolute(ours, unit), *cells, *([""] * bool(results.comparison.limits))]


def _scenarios(results: Results) -> str:
    parts = []
    if results.trips:
        rows = [
            [stack.title, *(f"{results.trips[stack.name, endpoint]:.2f}" for endpoint in results.endpoints)]
            for stack in results.compared
        ]
        parts.append(
            "Round trips to the database that an answer waits for:\n\n" + table(["", *results.endpoints], rows)
        )
    if results.tails:
        rows = [
            [stack.title, *(f"{value:.1f}" for value in (*tail.alone, *tail.beside, tail.lists))]
            for stack in results.compared
            if (tail := results.tails.get(stack.name))
        ]
        header = ["ms of a get", "p50 alone", "p99 alone", "p50 beside", "p99 beside", "lists a second"]
        parts.append(
            "A get, alone and beside another user who lists 10,000 tasks over and over:\n\n" + table(header, rows)
        )
    parts += [_workers(results), _growth(results)]
    return "\n\n".join(filter(None, parts))


def _workers(results: Results) -> str:
    if not results.workers:
        return ""
    rows = []
    for endpoint, pairs in results.workers.scaling.items():
        two = [pair.two for pair in pairs]
        others = statistics.median(
            (run.postgres + run.generator) / (run.processor + run.postgres + run.generator) for run in two
        )
        capacity, measured = ratio([pair.ratio for pair in pairs]), ratio([pair.measured for pair in pairs])
        rows.append([endpoint, str(capacity), str(measured), f"{others:.0%}"])
    header = [
        "two workers against one",
        "by processor time",
        "requests a second here",
        "PostgreSQL's and the generator's share",
    ]
    return (
        "The two cores are PostgreSQL's and the load generator's too. So the workers are compared by the requests"
        " that the busiest one carries in a second of its processor time, times their number.\n\n"
        + table(header, rows)
    )


def _growth(results: Results) -> str:
    if not results.growth:
        return ""
    rows = [
        [endpoint, str(ratio([one.ratio for one in rounds])), str(ratio([one.service_ratio for one in rounds]))]
        for endpoint, rounds in results.growth.items()
    ]
    return "5 million tasks against 10,000, in processor time:\n\n" + table(
        ["", "with PostgreSQL's", "the service's alone"], rows
    )


def _goals(results: Results) -> str:
    rows = [[goal.text, goal.figure, "met" if goal.met else "missed"] for goal in goals(results)]
    return table(["goal", "figure", ""], rows) if rows else ""
