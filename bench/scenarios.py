"""What one service at a time is asked: its start, round trips, the tail, workers, five million tasks."""

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench import processes, proxy, stacks
from bench.compare import Progress, all_running
from bench.generator import Generator
from bench.load import Job
from bench.measure import WARM_UP, Run, run
from bench.postgres import Postgres
from bench.stacks import OURS, Service, Stack
from bench.workload import LARGE, SMALL

TRIP = 0.02  # seconds
GROWTH_ROUNDS = 3  # at most: each endpoint runs twice in one


def starts(postgres: Postgres, compared: Sequence[Stack], rounds: int) -> dict[str, list[float]]:
    """Return the seconds from the start to the first answer, by stack."""
    found = defaultdict(list)
    for _ in range(rounds):
        for one in compared:
            with stacks.running(one, postgres.url(one.database)) as service:
                found[one.name].append(service.first_answer)
    return found


def round_trips(
    postgres: Postgres, compared: Sequence[Stack], endpoints: Sequence[str], progress: Progress
) -> dict[tuple[str, str], float]:
    """Return how many round trips to the database an answer waits for, by stack and endpoint.

    That is the time that an answer to a single client takes longer when the database is one TRIP away, in TRIPs.
    """
    found = {}
    for one in compared:
        progress(f"round trips: {one.title}")
        with (
            stacks.running(one, postgres.url(one.database)) as near,
            proxy.distant(postgres, one.database, TRIP) as url,
            stacks.running(one, url) as far,
        ):
            for endpoint in endpoints:
                fast, slow = (
                    run(service, postgres, SMALL, endpoint, clients=1, seconds=seconds)
                    for service, seconds in ((near, 0.3), (far, 0.6))
                )
                found[one.name, endpoint] = (slow.p50 - fast.p50) / (TRIP * 1000)
    return found


@dataclass
class Tail:
    """Milliseconds from a get to its answer, alone and while another user lists 10,000 tasks over and over.

    Attributes:
        lists: how many of those lists were answered a second.
    """

    alone: tuple[float, float]
    beside: tuple[float, float]
    lists: float

    @property
    def delay(self) -> float:
        """By how many milliseconds the slowest hundredth is later."""
        return self.beside[1] - self.alone[1]


def tails(postgres: Postgres, compared: Sequence[Stack], seconds: float, progress: Progress) -> dict[str, Tail]:
    """Return the tail of each stack: p50 and p99."""
    found = {}
    with all_running(postgres, compared) as services:
        for service in services:
            progress(f"tail: {service.stack.title}")
            alone = run(service, postgres, SMALL, "get", clients=1, seconds=seconds)
            endless = Job(service.port, "list10000", SMALL.name, SMALL.stride, 1, WARM_UP, seconds + 2)
            with Generator(endless) as lister:
                lister.go()
                beside = run(service, postgres, SMALL, "get", clients=1, seconds=seconds)
                lists = lister.result()
            found[service.stack.name] = Tail(
                (alone.p50, alone.p99), (beside.p50, beside.p99), lists.requests / lists.seconds
            )
    return found


@dataclass
class Scaling:
    """One worker against two.

    The cores are the load generator's and PostgreSQL's too, so what two workers would carry on two cores of their
    own is told by their processor time: the one that is busiest limits it.
    """

    one: Run
    two: Run

    @property
    def ratio(self) -> float:
        """How many times as much two workers would carry, each on a core of its own."""
        return self.one.busiest / self.two.busiest

    @property
    def measured(self) -> float:
        """How many times as much they did carry here."""
        return self.two.rate / self.one.rate


@dataclass
class Workers:
    """What one and two workers do, by endpoint, and how many megabytes each of the two takes."""

    scaling: dict[str, list[Scaling]]
    memory: float


def workers(postgres: Postgres, rounds: int, seconds: float, progress: Progress) -> Workers:
    """Run one worker and two in turns."""
    found: dict[str, list[Scaling]] = defaultdict(list)
    url = postgres.url(SMALL.name)
    with stacks.running(OURS, url) as one, stacks.running(OURS, url, "--workers", "2") as two:
        for endpoint in ("get", "list20"):
            for number in range(rounds):
                progress(f"workers, round {number + 1} of {rounds}: {endpoint}")
                pair = [
                    run(service, postgres, SMALL, endpoint, clients=64, seconds=seconds) for service in (one, two)
                ]
                found[endpoint].append(Scaling(*pair))
        _, shared = processes.memory(two.pid)
    return Workers(found, shared / 2)


@dataclass
class Growth:
    """The small database against the large one."""

    small: Run
    large: Run

    @property
    def ratio(self) -> float:
        """How many times the processor time, PostgreSQL's included."""
        return (self.large.processor + self.large.postgres) / (self.small.processor + self.small.postgres)

    @property
    def service_ratio(self) -> float:
        """How many times the service's processor time."""
        return self.large.processor / self.small.processor


def growth(
    postgres: Postgres, endpoints: Sequence[str], rounds: int, seconds: float, progress: Progress
) -> dict[str, list[Growth]]:
    """Fill the large database, and run the service on it and on the small one in turns."""
    found: dict[str, list[Growth]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        progress("five million tasks: filling")
        services: dict[str, Service] = {
            data.name: stack.enter_context(stacks.running(OURS, postgres.url(data.name))) for data in (SMALL, LARGE)
        }
        postgres.fill(LARGE)
        rounds = min(rounds, GROWTH_ROUNDS)
        for number in range(rounds + 1):
            progress(f"five million tasks: round {number} of {rounds}")
            for endpoint in endpoints:
                pair = [
                    run(services[data.name], postgres, data, endpoint, clients=16, seconds=seconds)
                    for data in (SMALL, LARGE)
                ]
                if number:
                    found[endpoint].append(Growth(*pair))
    return found
