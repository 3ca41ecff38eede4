"""The report in Markdown, which is printed and written to docs/performance.md, and its chart."""

import itertools
import math
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import psutil
import pygal  # type: ignore[import-untyped]
from rich import box
from rich.console import Console
from rich.table import Table

from bench.measure import KEY_SET, Bench, lower_quartile
from bench.stacks import DRIZZLE, EMPTY, ONE_WORKER, OURS, POSTGRESJS, SQLMODEL, TWO_WORKERS, Stack
from bench.workload import BESIDE, KEY_SET_GET, OPERATIONS

BEGIN, END = "<!-- figures: written by make bench WRITE=1 -->", "<!-- end of the figures -->"
CHART = "![Processor time of a request, by operation and stack](performance.svg)"

# The share of another stack's processor time that a request to this service may take, by operation.
SHARES = {
    "2e93913": (0.40, 0.40, 0.95, 0.50, 0.45, 0.50),
    DRIZZLE.name: (0.55, 0.50, 0.25, 0.65, 0.60, 0.65),
    POSTGRESJS.name: (1.15, 0.75, 0.25, 1.25, 1.20, 1.25),
    SQLMODEL.name: (0.15, 0.12, 0.05, 0.12, 0.10, 0.12),
}
VERDICTS = ("not met", "met")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, without rows that have only a title; empty if there are no others."""
    grid = Table(*header, box=box.MARKDOWN)
    for row in rows:
        if any(row[1:]):
            grid.add_row(*row)
    console = Console(width=1000)
    with console.capture() as printed:
        console.print(grid)
    return printed.get().strip() if grid.row_count else ""


def write(page: Path, text: str) -> None:
    """Replace the figures of a page, which are between two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{CHART}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


def quantity(value: float, unit: str = "") -> str:
    """Return a quantity with about three digits; empty if it is NaN."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return "" if math.isnan(value) else f"{value:,.{digits}f} {unit}".strip()


def text(bench: Bench, compared: Sequence[Stack], operations: Sequence[str]) -> str:
    """Return the whole report."""

    def times(stack: Stack, operation: str, clients: int) -> str:
        p50, p99 = (quantity(bench.figure(stack, operation, clients, name)) for name in ("p50", "p99"))
        return f"{p50}, {p99} ms" if p50 else ""

    def share(stack: Stack, operation: str) -> str:
        if stack == OURS:
            return ""
        ratio = bench.figure(OURS, operation, 16) / bench.figure(stack, operation, 16)
        goal = dict(zip(OPERATIONS, SHARES.get(stack.name, ()), strict=False)).get(operation)
        return f"{ratio:.2f} (≤ {goal:.2f}: {VERDICTS[ratio <= goal]})" if goal and ratio > 0 else quantity(ratio)

    def trips(stack: Stack, operation: str) -> str:
        return quantity(bench.trips.get((stack.name, operation), math.nan))

    others: dict[str, Callable[[Stack], str]] = {
        "memory": lambda one: quantity(bench.memory.get(one.name, math.nan), "MB"),
        "first answer": lambda one: quantity(lower_quartile(bench.starts.get(one.name, [math.nan])), "s"),
        "get, 1 client": lambda one: times(one, "get", 1),
        "get, beside a list of 10,000": lambda one: times(one, BESIDE, 1),
    }

    def processor(name: str) -> Callable[[Stack, str], str]:
        return lambda one, operation: quantity(bench.figure(one, operation, 16, name), "us")

    sections: dict[str, tuple[Iterable[str], Callable[[Stack, str], str]]] = {
        "Processor time of a request, 16 clients:": (operations, processor("processor")),
        "The same of todo-backend, divided by that of each, and the goal:": (operations, share),
        "PostgreSQL's processor time for a request, 16 clients:": (operations, processor("postgres")),
        "p50 and p99, 64 clients:": (operations, lambda one, name: times(one, name, 64)),
        "Round trips to the database for an answer:": (operations, trips),
        "Memory after the load; start; p50 and p99:": (others, lambda one, name: others[name](one)),
    }
    machine = f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()}"
    parts = [f"Measured on {machine}, Python {platform.python_version()}."]
    for title, (columns, cell) in sections.items():
        rows = [[one.title, *(cell(one, column) for column in columns)] for one in (*compared, EMPTY)]
        if shown := table(["", *columns], rows):
            parts += [title, shown]
    return "\n\n".join([*parts, "The other goals:", table(["goal", "found", ""], list(_goals(bench)))])


def _goals(bench: Bench) -> Iterator[list[str]]:
    def goal(text: str, sign: str, limit: float, found: float, unit: str = "") -> Iterator[list[str]]:
        if not math.isnan(found):
            met = found >= limit if sign == "≥" else round(found, 2) <= limit
            yield [f"{text} {sign} {limit:g} {unit}".strip(), quantity(found, unit), VERDICTS[met]]

    trips = [trips for (name, _), trips in bench.trips.items() if name == OURS.name]
    yield from goal("round trips for an answer, the most", "≤", 1, max(trips, default=math.nan))
    for name in OPERATIONS:
        ratio = bench.figure(OURS, name, 64, "p99") / bench.figure(SQLMODEL, name, 64, "p99")
        yield from goal(f"p99 by {SQLMODEL.title}'s, 64 clients, {name}", "≤", 0.2, ratio)
    delay = bench.figure(OURS, BESIDE, 1, "p99") - bench.figure(OURS, "get", 1, "p99")
    yield from goal("delay of a get beside lists of 10,000, p99", "≤", 10, delay, "ms")
    for name in OPERATIONS:
        busiest = bench.figure(TWO_WORKERS, name, 64, "busiest")
        share = f"the busier has {busiest / bench.figure(TWO_WORKERS, name, 64):.0%} of the work"
        ratio = bench.figure(ONE_WORKER, name, 64, "busiest") / busiest
        yield from goal(f"requests of two workers by those of one, {name} ({share})", "≥", 1.8, ratio)
    ratio = bench.figure(KEY_SET, KEY_SET_GET, 16) / bench.figure(KEY_SET, "get", 16)
    yield from goal("get with a token of the key set by one with an HS256 token", "≤", 1.05, ratio)
    runs = [found for (name, _, clients), found in bench.runs.items() if name == OURS.name and clients > 1]
    requests = sum(one.requests for one in itertools.chain(*runs))
    memory = bench.memory.get(OURS.name, math.nan)
    yield from goal(f"memory of a worker after {requests:,} requests", "≤", 92, memory, "MB")
    starts = [lower_quartile(bench.starts.get(name, [math.nan])) for name in (OURS.name, EMPTY.name)]
    yield from goal("first answer by that of the empty application", "≤", 1.3, starts[0] / starts[1])


def chart(bench: Bench, compared: Sequence[Stack], operations: Sequence[str]) -> str:
    """Return an SVG: a group of bars for each operation, the longest of which has the full width."""
    grey = dict.fromkeys(("foreground", "foreground_strong", "foreground_subtle"), "#6e7781")  # light and dark
    clear = dict.fromkeys(("background", "plot_background"), "transparent")
    style = pygal.style.Style(**grey, **clear, font_family="sans-serif", value_font_size=11, label_font_size=13)
    drawing = pygal.HorizontalBar(style=style, js=[], no_prefix=True, width=860, height=700, truncate_legend=-1)
    drawing.config(legend_at_bottom=True, print_values=True, show_x_labels=False, show_y_guides=False)
    drawing.title = "Processor time of a request, 16 clients, by the longest of each operation"
    drawing.x_labels = operations[::-1]
    longest = {name: max(bench.figure(stack, name, 16) for stack in compared) for name in operations}
    for stack in compared:
        bars = []
        for name in drawing.x_labels:
            figure = bench.figure(stack, name, 16)
            bars.append({"value": figure / longest[name], "formatter": lambda _, us=figure: quantity(us, "us")})
        drawing.add(stack.title, bars)
    return str(drawing.render(is_unicode=True))
