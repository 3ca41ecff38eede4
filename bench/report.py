"""The report, in Markdown, as it is printed and as docs/performance.md holds it."""

import platform
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from bench import pgbench, tables
from bench.goals import goals
from bench.measure import Run
from bench.results import Results, ratio
from bench.stacks import OURS

BEGIN, END = "<!-- figures: written by make bench WRITE=1 -->", "<!-- end of the figures -->"
CHART = "![Processor time of a request, by endpoint and stack](performance.svg)"

FIGURES: tuple[tuple[str, str, Callable[[Run], float]], ...] = (
    ("processor time", "us", lambda run: run.processor),
    ("p50", "ms", lambda run: run.p50),
    ("p99", "ms", lambda run: run.p99),
)


def report(results: Results) -> str:
    """Return everything that was found."""
    sections = (tables.besides, tables.round_trips, tables.tails, tables.workers, tables.growth)
    parts = [
        _conditions(results),
        _shares(results),
        _ratios(results),
        *(section(results) for section in sections),
        _goals(results),
    ]
    return "\n\n".join(filter(None, parts))


def write(path: Path, text: str) -> None:
    """Put the figures into a page, between its marks, and leave the rest of it as it is."""
    before, _, rest = path.read_text().partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n\n{CHART}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


def _conditions(results: Results) -> str:
    memory = psutil.virtual_memory().total / 2**30
    machine = f"{psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"
    return "\n\n".join(
        [
            f"Measured on {machine}, Python {platform.python_version()}, one worker each.",
            *(f"Skipped: {word}." for word in results.skipped),
        ]
    )


def _lower_quartile(values: list[float]) -> float:
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


def _shares(results: Results) -> str:
    """Return the processor time, the lower quartile of the rounds, and this service's share of each stack's."""
    rows = []
    for clients in results.clients:
        for one in results.compared:
            cells = []
            for endpoint in results.endpoints:
                times = [
                    _lower_quartile([run.processor for run in runs])
                    for name in (one.name, OURS.name)
                    if (runs := results.comparison.runs.get((name, endpoint, clients)))
                ]
                cells.append(f"{times[0]:.0f} us, {times[1] / times[0]:.2f}" if times else "")
            rows.append([f"{one.title}, {clients} clients", *cells])
    return (
        "Processor time of a request, lower quartile of the rounds; and todo-backend's divided by it.\n\n"
        + tables.table(["", *results.endpoints], rows)
    )


def _ratios(results: Results) -> str:
    rows = [row for row in _rows(results) if any(row[1:])]
    if not rows:
        return ""
    header = ["", OURS.title, *(peer.title for peer in results.peers), pgbench.TITLE]
    return (
        "The first column is what this service takes. The others say how many times that each peer takes: the"
        " median of the rounds, with the least and the most of them.\n\n" + tables.table(header, rows)
    )


def _rows(results: Results) -> Iterator[list[str]]:
    for name, unit, figure in FIGURES:
        for clients in results.clients:
            for endpoint in results.endpoints:
                title = f"{name}, {endpoint}, {clients} clients"
                yield [title, *_figures(results, endpoint, clients, unit, figure), ""]
    for clients in results.clients:
        for endpoint in results.endpoints:
            title = f"requests a second, {endpoint}, {clients} clients"
            figures = _figures(results, endpoint, clients, "", lambda run: run.rate)
            yield [title, *figures, _limit(results, endpoint) if clients == results.clients[0] else ""]
    yield _simple(results, "memory", "MB", results.comparison.memory)
    starts = {name: statistics.median(seconds) for name, seconds in results.starts.items()}
    yield _simple(results, "first answer", "s", starts)


def _figures(results: Results, endpoint: str, clients: int, unit: str, figure: Callable[[Run], float]) -> list[str]:
    ours = results.median(OURS.name, endpoint, clients, figure)
    ratios = [results.against(peer.name, endpoint, clients, figure) for peer in results.peers]
    return [tables.quantity(ours, unit), *("" if one is None else str(one) for one in ratios)]


def _limit(results: Results, endpoint: str) -> str:
    limits = results.comparison.limits.get(endpoint)
    if not limits:
        return ""
    runs = results.comparison.runs[OURS.name, endpoint, results.clients[0]]
    return str(ratio([limit / run.rate for limit, run in zip(limits, runs, strict=True)]))


def _simple(results: Results, name: str, unit: str, values: dict[str, float]) -> list[str]:
    ours = values.get(OURS.name)
    ratios = [f"{values[peer.name] / ours:.2f}" if ours else "" for peer in results.peers]
    return [name, tables.quantity(ours, unit), *ratios, ""]


def _goals(results: Results) -> str:
    rows = [[goal.text, goal.figure, "met" if goal.met else "missed"] for goal in goals(results)]
    return tables.table(["goal", "figure", ""], rows) if rows else ""
