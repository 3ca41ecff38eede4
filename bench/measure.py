"""Puts load on the services in turn, from a separate process, and measures each service."""

import asyncio
import contextlib
import itertools
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.pool import Pool
from pathlib import Path

import psutil
import uvloop

from bench.stacks import EMPTY, OURS, Postgres, Service, Stack, running
from bench.workload import BESIDE, ISSUER, KEY_SET_GET, LIST_10000, Exchange, exchanges, key_set
from tests.proxy import Proxy

WARM_UP = 0.2  # seconds
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
LONGEST_ANSWER = 2**23  # bytes
KEY_SET = replace(OURS, name="key set")


async def _client(port: int, requests: Iterator[Exchange], begin: asyncio.Barrier, seconds: float) -> list[float]:
    """Send requests on one connection, one after another, check the responses, and return the seconds of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LONGEST_ANSWER)
    await begin.wait()
    times = []
    ends_at = time.perf_counter() + seconds
    while (sent_at := time.perf_counter()) < ends_at:
        exchange = next(requests)
        writer.write(exchange.request)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(LENGTH.findall(head)[0]))
        times.append(time.perf_counter() - sent_at)
        if not exchange.accepts(head, body):
            raise RuntimeError(f"{exchange.request!r} was answered {head!r} {body[:500]!r}")
    writer.close()
    return times


def put_load(port: int, operation: str, clients: int, seconds: float) -> list[float]:
    """Run `clients` clients for `seconds`, and return the sorted response times in seconds."""

    async def load() -> list[list[float]]:
        begin = asyncio.Barrier(clients + (operation == BESIDE))
        requests = itertools.cycle(exchanges(operation))
        asking = [_client(port, requests, begin, seconds) for _ in range(clients)]
        if operation == BESIDE:
            asking.append(_client(port, itertools.cycle(exchanges(LIST_10000)), begin, seconds))
        return (await asyncio.gather(*asking))[:clients]

    return sorted(itertools.chain(*uvloop.run(load())))


def processor_times(pid: int) -> dict[int, float]:
    """Return the seconds of processor time, user and system, of a process and its descendants."""
    process, times = psutil.Process(pid), {}
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # PostgreSQL's workers come and go
            times[one.pid] = sum(one.cpu_times()[:2])
    return times


def lower_quartile(values: Sequence[float]) -> float:
    """Return the lower quartile of the rounds: other work on the machine can only increase a figure."""
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


@dataclass
class Run:
    """One run of load.

    Attributes:
        processor, busiest, postgres: microseconds of processor time: the service, its busiest process, PostgreSQL
        p50, p99: milliseconds from a request to its answer.
    """

    requests: int
    processor: float
    busiest: float
    postgres: float
    p50: float
    p99: float


@dataclass
class Bench:
    """Measures the stacks, and keeps the results.

    Attributes:
        pool: the process that generates the load.
        rounds: the number of runs of each kind that count, each with `seconds` of load.
        runs: by name of the stack, operation and number of clients; one for each round.
        memory: the largest resident memory of a process after all runs, in megabytes, by stack.
        starts: seconds from the start to the first response, by stack; one for each round.
        trips: round trips to the database per request, by stack and operation.
    """

    postgres: Postgres
    pool: Pool
    rounds: int
    seconds: float
    log: Callable[[str], None]
    runs: dict[tuple[str, str, int], list[Run]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    trips: dict[tuple[str, str], float] = field(default_factory=dict)

    def figure(self, stack: Stack, operation: str, clients: int, name: str = "processor") -> float:
        """Return the lower quartile of a figure over the rounds; NaN if there are none."""
        runs = self.runs.get((stack.name, operation, clients))
        return lower_quartile([getattr(one, name) for one in runs]) if runs else float("nan")

    def run(self, service: Service, operation: str, clients: int, seconds: float) -> Run:
        """Warm a service up, and put load on it."""
        self.pool.apply(put_load, (service.port, operation, clients, min(WARM_UP, seconds / 2)))
        before = [processor_times(pid) for pid in (service.pid, self.postgres.pid)]
        times = self.pool.apply(put_load, (service.port, operation, clients, seconds))
        after = [processor_times(pid) for pid in (service.pid, self.postgres.pid)]
        changes = zip(before, after, strict=True)
        own, postgres = (
            [(last[pid] - first.get(pid, 0)) * 1e6 / len(times) for pid in last] for first, last in changes
        )
        p50, p99 = times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3
        return Run(len(times), sum(own), max(own), sum(postgres), p50, p99)

    def interleave(self, compared: Sequence[Stack], operations: Sequence[str], clients: Sequence[int]) -> None:
        """Put load on the stacks in turn, in rotating order; the first round does not count."""
        with contextlib.ExitStack() as stack:
            services = [stack.enter_context(running(one, self.postgres.host)) for one in compared]
            for number in range(self.rounds + 1):
                self.log(f"{', '.join(operations)}: round {number} of {self.rounds}")
                for database in {one.database for one in compared}:
                    self.postgres.tidy(database)
                first = number % len(services)
                for operation, count in itertools.product(operations, clients):
                    for service in (*services[first:], *services[:first]):
                        run = self.run(service, operation, count, self.seconds if number else WARM_UP)
                        if number:
                            self.runs[service.stack.name, operation, count].append(run)
            for service in services:
                resident = psutil.Process(service.pid).memory_info().rss / 1e6
                self.memory[service.stack.name] = max(resident, self.memory[service.stack.name])

    def round_trips(self, compared: Sequence[Stack], operations: Sequence[str]) -> None:
        """Count the round trips to the database per request."""
        for stack in compared:
            self.log(f"round trips: {stack.title}")
            with (
                Proxy(Path(self.postgres.host, ".s.PGSQL.5432")) as proxy,
                running(stack, "127.0.0.1", proxy.port) as service,
            ):
                for operation in operations:
                    self.pool.apply(put_load, (service.port, operation, 1, WARM_UP))
                    before = proxy.trips
                    times = self.pool.apply(put_load, (service.port, operation, 1, WARM_UP))
                    self.trips[stack.name, operation] = (proxy.trips - before) / len(times)

    def tokens(self) -> None:
        """Measure a get with a token of the key set, and with one of the shared secret."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "jwks").write_text(key_set())
            command = (sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, "0")
            with running(Stack("keys", "the key set", command), self.postgres.host) as keys:
                variables = {
                    "BETTER_AUTH_URL": ISSUER,
                    "BETTER_AUTH_JWKS_URL": f"http://127.0.0.1:{keys.port}/jwks",
                }
                self.interleave([replace(KEY_SET, variables=variables)], ["get", KEY_SET_GET], [16])

    def start(self, compared: Sequence[Stack]) -> None:
        """Measure the time to the first response; the first round does not count."""
        for number, stack in itertools.product(range(self.rounds + 1), (*compared, EMPTY)):
            self.log(f"start: round {number} of {self.rounds}, {stack.title}")
            with running(stack, self.postgres.host) as service:
                if number:
                    self.starts[stack.name].append(service.first_answer)
