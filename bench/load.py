"""The load generator, `python -m bench.load`, a process of its own.

It reads a Job as JSON from a line, warms the service up, prints an empty line, waits for one, puts load on the
service, prints a Load as JSON, and waits for the next Job. Each client of the closed loop sends its next request as
soon as its last answer is whole and checked. The first wrong answer ends it: a run with one does not count.
"""

import asyncio
import contextlib
import itertools
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass

import uvloop

from bench.workload import DataSet, Exchange, exchanges

PATIENCE = 60  # seconds to wait for the last answers


@dataclass
class Job:
    """What to ask of whom.

    Attributes:
        warm_up: seconds of load that is not measured.
        seconds: of load that is measured.
    """

    port: int
    endpoint: str
    data: str
    stride: int
    clients: int
    warm_up: float
    seconds: float


@dataclass
class Load:
    """What came of it.

    Attributes:
        seconds: from the first request to the last answer.
        p50, p99: microseconds from a request to its answer.
        processor: seconds of processor time that the load generator took itself.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    processor: float


class WrongAnswer(Exception):
    """It was not what was asked for."""


class Round:
    """Load for a number of seconds, by all clients together."""

    def __init__(self, seconds: float, clients: int) -> None:
        self.times: list[float] = []
        self.ends_at = time.perf_counter() + seconds
        self.waiting = clients
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(WrongAnswer(why))

    def leave(self) -> None:
        self.waiting -= 1
        if not self.waiting and not self.done.done():
            self.done.set_result(None)


class Client(asyncio.Protocol):
    """One connection, kept alive, with one request under way at most."""

    def __init__(self, requests: Iterator[Exchange]) -> None:
        self.requests = requests
        self.received = bytearray()
        self.body_at = self.end = 0
        self.round: Round | None = None
        self.under_way = False
        self.transport: asyncio.Transport

    def connection_lost(self, _: Exception | None) -> None:
        if self.round and self.under_way:
            self.round.fail("the connection was closed")

    def join(self, load: Round) -> None:
        self.round = load
        self.send(time.perf_counter())

    def send(self, now: float) -> None:
        assert self.round
        if now >= self.round.ends_at:
            self.round.leave()
            return
        self.exchange = next(self.requests)
        self.sent_at = now
        self.under_way = True
        self.transport.write(self.exchange.request)

    def data_received(self, data: bytes) -> None:
        assert self.round
        self.received += data
        if not self.end:
            self.read_head()
        if not self.end or len(self.received) < self.end:
            return
        now = time.perf_counter()
        self.round.times.append(now - self.sent_at)
        head, body = bytes(self.received[: self.body_at]), bytes(self.received[self.body_at : self.end])
        if len(self.received) > self.end or not self.exchange.accepts(head, body):
            self.round.fail(f"{self.exchange.request!r} was answered {head!r} {body[:500]!r}")
            return
        self.received.clear()
        self.end = 0
        self.under_way = False
        self.send(time.perf_counter())

    def read_head(self) -> None:
        self.body_at = self.received.find(b"\r\n\r\n") + 4
        if self.body_at == 3:
            return
        length = re.search(rb"\r\ncontent-length: *([0-9]+)\r\n", self.received, re.IGNORECASE)
        if length:
            self.end = self.body_at + int(length[1])
        elif self.round:
            self.round.fail(f"no Content-Length in {bytes(self.received)!r}")


async def put(clients: list[Client], seconds: float) -> Load:
    """Put load on the service."""
    processor, began = time.process_time(), time.perf_counter()
    load = Round(seconds, len(clients))
    for client in clients:
        client.join(load)
    async with asyncio.timeout(seconds + PATIENCE):
        await load.done
    times = sorted(load.times)
    p50, p99 = (times[int(len(times) * share)] * 1e6 for share in (0.5, 0.99))
    return Load(len(times), time.perf_counter() - began, p50, p99, time.process_time() - processor)


@contextlib.asynccontextmanager
async def connected(job: Job, requests: Iterator[Exchange]) -> AsyncIterator[list[Client]]:
    """Connect clients who share the requests among them."""
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(job.clients):
        transport, client = await loop.create_connection(lambda: Client(requests), "127.0.0.1", job.port)
        client.transport = transport
        clients.append(client)
    yield clients
    for client in clients:
        client.transport.close()


async def work(job: Job) -> None:
    """Do a job."""
    requests = itertools.cycle(exchanges(job.endpoint, DataSet(job.data, job.stride)))
    async with connected(job, requests) as clients:
        await put(clients, job.warm_up)
    # New connections for the load: a service may have closed those that were done early with the warm-up.
    async with connected(job, requests) as clients:
        sys.stdout.write("\n")
        sys.stdout.flush()
        sys.stdin.readline()
        load = await put(clients, job.seconds)
    sys.stdout.write(json.dumps(asdict(load)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        for line in sys.stdin:
            uvloop.run(work(Job(**json.loads(line))))
    except WrongAnswer as error:
        sys.exit(str(error))
