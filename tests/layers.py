"""Prints what each layer of a get costs in processor time, and what it costs to wait for PostgreSQL.

Run `.venv/bin/python -W ignore -m tests.layers`. Each server has one more layer than the one before. The load, and
the way to measure it, are the benchmark's.
"""

import logging
import multiprocessing
import os
import sys
from itertools import pairwise
from typing import Any

import psutil

from bench.measure import Bench, lower_quartile, put_load
from bench.stacks import OTHER_CORES, OURS, UVICORN, Stack, pin, postgres, running
from bench.workload import USERS
from todo_backend.database.pool import ConnectionPool
from todo_backend.tasks import store

ROUNDS = 7
SECONDS = 0.5
CLIENTS = 16
TASK = (
    b'{"id":%d,"user_id":"user-%d","title":"Task %d","description":"Described in a few words, as people do",'
    b'"completed":false,"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}'
)

_pools: list[ConnectionPool] = []


async def _respond(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _asked(scope: Any) -> tuple[int, int]:
    """Return the id of the task, and the number of its user."""
    task_id = int(scope["path"].rpartition("/")[2])
    return task_id, (task_id // 3 - 1) % USERS


async def made_up(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that makes the response up."""
    if scope["type"] == "http":
        task_id, user = _asked(scope)
        await _respond(send, TASK % (task_id, user, task_id))


async def stored(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that reads the task with the service's statement."""
    if scope["type"] == "http":
        if not _pools:
            _pools.append(ConnectionPool(os.environ["DATABASE_URL"], size=10))
        task_id, user = _asked(scope)
        connection = await _pools[0].acquire()
        try:
            body = await store.GET.run_on(connection, {"task_id": task_id, "owner": f"user-{user}"})
        finally:
            _pools[0].release(connection)
        await _respond(send, body)


def bounded(app: str) -> tuple[str, ...]:
    """Return the command that serves an application with the service's HTTP protocol and event loop."""
    options = {
        "http": "todo_backend.server.protocol:BoundedProtocol",
        "loop": "todo_backend.server.loop:ServerEventLoop",
    }
    return sys.executable, "-c", f"import uvicorn; uvicorn.run({app!r}, port=0, access_log=False, **{options!r})"


LAYERS = [
    Stack(
        "uvicorn",
        "uvicorn, httptools and uvloop",
        (sys.executable, "-m", "uvicorn", *UVICORN, "tests.layers:made_up"),
    ),
    Stack("limits", "with the limits of `BoundedProtocol`", bounded("tests.layers:made_up")),
    Stack("statement", "with a statement on a connection of the pool", bounded("tests.layers:stored")),
    Stack("ours", "with FastAPI, the middleware, the token and the endpoint: the service", OURS.command),
]


def print_layers(bench: Bench) -> None:
    bench.interleave(LAYERS, ["get"], [CLIENTS])
    times = [bench.figure(layer, "get", CLIENTS) for layer in LAYERS]
    print("| a get by | processor time | more |\n|---|---|---|")
    for layer, (before, own) in zip(LAYERS, pairwise([0, *times]), strict=True):
        print(f"| {layer.title} | {own:.0f} us | {own - before:.0f} us |")


def print_waits(bench: Bench) -> None:
    """Print how often the service sleeps, because it has nothing to do, beside the processor time of a request."""
    print("\n| operation | clients | sleeps for a request | processor time |\n|---|---|---|---|")
    with running(OURS, bench.postgres.host) as service:
        process = psutil.Process(service.pid)
        for operation, clients in (("get", 1), ("get", 4), ("get", CLIENTS), ("list20", CLIENTS)):
            found = []
            for _ in range(ROUNDS):
                sleeps, busy = process.num_ctx_switches().voluntary, sum(process.cpu_times()[:2])
                count = len(bench.pool.apply(put_load, (service.port, operation, clients, SECONDS)))
                sleeps, busy = process.num_ctx_switches().voluntary - sleeps, sum(process.cpu_times()[:2]) - busy
                found.append((busy * 1e6 / count, sleeps / count))
            times, often = (lower_quartile(values) for values in zip(*found[1:], strict=True))
            print(f"| {operation} | {clients} | {often:.2f} | {times:.0f} us |")


def main() -> None:
    logging.disable()
    pin(OTHER_CORES)
    with postgres() as server, multiprocessing.get_context("spawn").Pool(1) as pool:
        server.create(OURS)
        bench = Bench(server, pool, ROUNDS, SECONDS, logging.info)
        print_layers(bench)
        print_waits(bench)


if __name__ == "__main__":
    main()
