"""One run: load on one service, and what it took."""

from dataclasses import dataclass

from bench import processes
from bench.generator import Generator
from bench.load import Job
from bench.postgres import Postgres
from bench.stacks import Service
from bench.workload import DataSet

WARM_UP = 0.2  # seconds


@dataclass
class Run:
    """What one run found.

    Attributes:
        processor: microseconds of processor time, per request, of the service's processes.
        busiest: the same of the one of its processes that took the most.
        postgres: the same of PostgreSQL's.
        generator: the same of the load generator's.
        rate: requests a second.
        p50, p99: milliseconds from a request to its answer.
    """

    processor: float
    busiest: float
    postgres: float
    generator: float
    rate: float
    p50: float
    p99: float


def run(service: Service, postgres: Postgres, data: DataSet, endpoint: str, *, clients: int, seconds: float) -> Run:
    """Put load on a service.

    Raises:
        RunFailed: an answer was wrong.
    """
    job = Job(service.port, endpoint, data.name, data.stride, clients, WARM_UP, seconds)
    with Generator(job) as generator:
        servers, databases = processes.processor(service.pid), processes.processor(postgres.pid)
        generator.go()
        load = generator.result()
    per_request = 1e6 / load.requests
    server = [taken - servers.get(pid, 0) for pid, taken in processes.processor(service.pid).items()]
    database = [taken - databases.get(pid, 0) for pid, taken in processes.processor(postgres.pid).items()]
    return Run(
        processor=sum(server) * per_request,
        busiest=max(server) * per_request,
        postgres=sum(database) * per_request,
        generator=load.processor * per_request,
        rate=load.requests / load.seconds,
        p50=load.p50 / 1e3,
        p99=load.p99 / 1e3,
    )
