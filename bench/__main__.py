"""The benchmark's command line: `make bench OPTIONS="--help"`."""

import multiprocessing
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from typer import Option

from bench import report
from bench.measure import Bench
from bench.stacks import FASTIFY, ONE_WORKER, OTHER_CORES, OURS, ROOT, STACKS, TWO_WORKERS, build, pin, postgres
from bench.workload import BESIDE, OPERATIONS

PARTS = ("start", "load", "trips", "beside", "workers", "tokens")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    against: Annotated[str, Option(help="Commits whose builds run beside today's, with commas.")] = "",
    stacks: Annotated[str, Option(help="Some of these, and commits.")] = ",".join(STACKS),
    operations: Annotated[str, Option(help="Some of these.")] = ",".join(OPERATIONS),
    parts: Annotated[str, Option(help=f"Some of {','.join(PARTS)}; all, or load with --operations.")] = "",
    clients: Annotated[str, Option(help="Numbers of clients for the load.")] = "16,64",
    rounds: Annotated[int, Option(help="Rounds that count.")] = 7,
    seconds: Annotated[float, Option(help="Seconds of load in a run.")] = 0.5,
    quick: Annotated[bool, Option("--quick", help="Few short rounds.")] = False,
    write: Annotated[bool, Option("--write", help="Write docs/performance.md and its chart.")] = False,
) -> None:
    """Measure this service beside others, and print figures and goals. On standard error: what goes on."""
    if quick:
        rounds, seconds = 2, 0.2
    names = dict.fromkeys([OURS.name, *filter(None, against.split(",")), *stacks.split(",")])
    asked = [STACKS.get(name) or build(name) for name in names]
    compared = [stack for stack in asked if stack.command[0] != "node" or (FASTIFY / "node_modules").exists()]
    chosen = operations.split(",")
    if unknown := set(chosen) - set(OPERATIONS):
        raise typer.BadParameter(f"Unknown operations: {', '.join(unknown)}.")
    default = ",".join(PARTS) if chosen == [*OPERATIONS] else "load"

    pin(OTHER_CORES)
    with postgres() as server, multiprocessing.get_context("spawn").Pool(1) as pool:
        bench = Bench(server, pool, rounds, seconds, Console(stderr=True, log_path=False).log)
        for stack in {stack.database: stack for stack in reversed(compared)}.values():
            server.create(stack)
        measurements: dict[str, Callable[[], None]] = {
            "start": lambda: bench.start(compared),
            "load": lambda: bench.interleave(compared, chosen, [int(number) for number in clients.split(",")]),
            "trips": lambda: bench.round_trips(compared, chosen),
            "beside": lambda: bench.interleave(compared, ["get", BESIDE], [1]),
            "workers": lambda: bench.interleave([ONE_WORKER, TWO_WORKERS], ["get", "list20"], [64]),
            "tokens": bench.tokens,
        }
        for part in (parts or default).split(","):
            measurements[part]()
    without = [f"Without {stack.title}: it is not installed." for stack in asked if stack not in compared]
    text = "\n\n".join([*without, report.text(bench, compared, chosen)])
    print(text)
    if write:
        report.write(ROOT / "docs" / "performance.md", text)
        (ROOT / "docs" / "performance.svg").write_text(report.chart(bench, compared, chosen))


if __name__ == "__main__":
    app()
