"""The benchmark's command line: `python -m bench --help`."""

import argparse
import sys
import time
from pathlib import Path

from bench import chart, generator, pgbench, postgres, report, scenarios, stacks
from bench.compare import compare
from bench.postgres import Postgres
from bench.results import Results
from bench.workload import ENDPOINTS, SMALL

PARTS = ("compare", "starts", "trips", "tails", "workers", "growth")
DOCS = Path(__file__).parent.parent / "docs"

_began = time.monotonic()


def parse() -> argparse.Namespace:
    """Read the command line."""

    def names(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument(
        "--operations",
        "--only",
        dest="only",
        type=names,
        default=list(ENDPOINTS),
        help=f"endpoints: {','.join(ENDPOINTS)}",
    )
    every = [*stacks.STACKS, pgbench.NAME]
    parser.add_argument("--stacks", "--peers", dest="peers", type=names, help=f"{','.join(every)} and commits; all")
    parser.add_argument("--against", type=names, default=[], help="commits whose builds run beside today's")
    parser.add_argument("--parts", type=names, help=f"{','.join(PARTS)}; all, or with --only or --peers compare")
    parser.add_argument("--clients", type=names, default=["16", "64"], help="numbers of clients: 16,64")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--seconds", type=float, default=0.6, help="seconds of load in a run")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its chart")
    arguments = parser.parse_args()
    if arguments.peers is None:
        arguments.peers = every
    for name in arguments.peers:
        if name not in (*every, *arguments.against):
            arguments.against.append(name)
    if arguments.parts is None:
        narrowed = arguments.only != list(ENDPOINTS) or arguments.peers != every
        arguments.parts = ["compare"] if narrowed else list(PARTS)
    return arguments


def progress(text: str) -> None:
    """Say on standard error what is going on."""
    print(f"{time.monotonic() - _began:6.0f} s  {text}", file=sys.stderr, flush=True)


def run_parts(server: Postgres, arguments: argparse.Namespace, results: Results) -> None:
    """Run the parts that were asked for, and put what they find into the results."""
    parts, rounds, seconds = arguments.parts, arguments.rounds, arguments.seconds
    compared, endpoints = results.compared, results.endpoints
    if "starts" in parts:
        progress("starts")
        results.starts = scenarios.starts(server, compared, rounds)
    if "compare" in parts:
        limit = pgbench.NAME in arguments.peers
        results.comparison = compare(
            server,
            compared,
            endpoints,
            results.clients,
            rounds=rounds,
            seconds=seconds,
            limit=limit,
            progress=progress,
        )
    if "trips" in parts:
        results.trips = scenarios.round_trips(server, compared, endpoints, progress)
    if "tails" in parts:
        results.tails = scenarios.tails(server, compared, 5 * seconds, progress)
    if "workers" in parts:
        results.workers = scenarios.workers(server, rounds, seconds, progress)
    if "growth" in parts:
        results.growth = scenarios.growth(server, endpoints, rounds, seconds, progress)


def main() -> None:
    """Run the benchmark, and print what it finds."""
    arguments = parse()
    builds = [stacks.build(commit) for commit in arguments.against]
    asked = [stack for name, stack in stacks.STACKS.items() if name in arguments.peers or stack == stacks.OURS]
    asked[1:1] = builds
    compared = [stack for stack in asked if not stacks.missing(stack)]
    skipped = [f"{stack.title}, {word}" for stack in asked if (word := stacks.missing(stack))]
    results = Results(compared, arguments.only, [int(number) for number in arguments.clients], skipped)
    with postgres.running() as server:
        with stacks.running(stacks.OURS, server.url(SMALL.name)):
            pass  # it makes the table
        server.fill(SMALL)
        for one in builds:
            server.execute("postgres", f"CREATE DATABASE {one.database}")
            with stacks.running(one, server.url(one.database)):
                pass
            server.fill(SMALL, one.database)
        run_parts(server, arguments, results)
    generator.end_all()
    text = report.report(results)
    print(text)
    if arguments.write:
        report.write(DOCS / "performance.md", text)
        (DOCS / "performance.svg").write_text(chart.draw(results))


if __name__ == "__main__":
    main()
