"""All services on one database, in turns."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench import generator, pgbench, processes, stacks
from bench.measure import WARM_UP, Run, run
from bench.postgres import Postgres
from bench.stacks import Service, Stack
from bench.workload import SMALL

Progress = Callable[[str], None]


@dataclass
class Comparison:
    """What the runs found.

    Attributes:
        runs: by stack, endpoint and clients; one for each round.
        limits: pgbench's statements a second, by endpoint; one for each round.
        memory: the most megabytes that were resident, by stack.
    """

    runs: dict[tuple[str, str, int], list[Run]] = field(default_factory=lambda: defaultdict(list))
    limits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@contextlib.contextmanager
def all_running(postgres: Postgres, compared: Sequence[Stack]) -> Iterator[list[Service]]:
    """Start all stacks on the small database."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(stacks.running(one, postgres.url(one.database))) for one in compared]


def compare(
    postgres: Postgres,
    compared: Sequence[Stack],
    endpoints: Sequence[str],
    clients: Sequence[int],
    *,
    rounds: int,
    seconds: float,
    limit: bool,
    progress: Progress,
) -> Comparison:
    """Run everything so many times, each time in another order, after a round that does not count.

    Args:
        limit: whether pgbench runs too.
    """
    found = Comparison()
    with (
        all_running(postgres, compared) as services,
        processes.apart([service.pid for service in services], postgres.pid),
    ):
        for number in range(rounds + 1):
            for database in {one.database for one in compared}:
                postgres.tidy(database)
            for endpoint in endpoints:
                progress(f"round {number} of {rounds}: {endpoint}")
                first = number % len(services)
                for count in clients:
                    for service in services[first:] + services[:first]:
                        length = seconds if number else WARM_UP
                        one = run(service, postgres, SMALL, endpoint, clients=count, seconds=length)
                        if number:
                            found.runs[service.stack.name, endpoint, count].append(one)
                if limit and number:
                    rate = pgbench.rate(postgres, SMALL, endpoint, clients=clients[0], seconds=seconds)
                    found.limits[endpoint].append(rate)
                for service in services:
                    resident, _ = processes.memory(service.pid)
                    found.memory[service.stack.name] = max(found.memory[service.stack.name], resident)
    generator.end_all()  # those that come after may have all cores
    return found
