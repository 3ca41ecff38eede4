"""How the service does far from its database: `python -m tests.distance`, for docs/reliability.md.

A proxy before a PostgreSQL with TLS and SCRAM delays each round trip; the service has the default pool.
"""

import asyncio
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

from tests.proxy import Proxy
from tests.rig.http import Answer, Connection
from tests.rig.load import eventually
from tests.rig.postgres import Server, tls_postgres
from tests.service import Service, serving

POOL = 10  # the default


@dataclass
class Distance:
    """Seconds until an answer."""

    start: float  # from the start of the program to the first 200, on an empty database
    restart: float  # the same with a schema that is current
    after_sleep: float  # the first request after every connection was closed
    tenth: float  # the last of ten requests at once, after that
    wave: float  # the last of a hundred requests at once


async def at_once(service: Service, times: int) -> list[Answer]:
    """Send requests on connections of their own, and return the answers."""
    connections = [Connection(service, f"user-{number}") for number in range(times)]
    answers = await asyncio.gather(*(connection.ask("GET", "/api/tasks") for connection in connections))
    for connection in connections:
        connection.close()
    return answers


def slowest(answers: list[Answer]) -> float:
    assert {answer.status for answer in answers} == {200}, answers
    return max(answer.seconds for answer in answers)


def seconds_to_first_answer(folder: Path, url: str) -> float:
    began = time.monotonic()
    with serving(folder, url, healthy=False) as service, service.client("me") as client:
        assert client.get("/api/tasks").status_code == 200
        return time.monotonic() - began


async def measure_running(service: Service, proxy: Proxy) -> tuple[float, float, float]:
    await eventually(lambda: proxy.open_connections == POOL)
    proxy.cut()
    [first] = await at_once(service, 1)
    ten = await at_once(service, 10)
    await eventually(lambda: proxy.open_connections == POOL)
    return slowest([first]), slowest(ten), slowest(await at_once(service, 100))


def measure(server: Server, folder: Path, delay: float) -> Distance:
    """Measure at a distance of so many seconds a round trip."""
    with Proxy(server.port) as proxy:
        proxy.delay = delay
        url = server.url(server.new_database(), port=proxy.port)
        start, restart = seconds_to_first_answer(folder, url), seconds_to_first_answer(folder, url)
        with serving(folder, url) as service:
            return Distance(start, restart, *asyncio.run(measure_running(service, proxy)))


def main() -> None:
    print(
        "| round trip | first start | next start | first after sleep | tenth of ten after it | last of a hundred |"
    )
    print("|---|---|---|---|---|---|")
    with tls_postgres() as server, tempfile.TemporaryDirectory() as folder:
        for milliseconds in (0, 50, 300, 500):
            found = measure(server, Path(folder), milliseconds / 1000)
            cells = [f"{value:.2f} s" for value in astuple(found)]
            if milliseconds:
                cells[2:] = [
                    f"{cell} ({value * 1000 / milliseconds:.1f})"
                    for cell, value in zip(cells[2:], astuple(found)[2:], strict=True)
                ]
            print(f"| {milliseconds} ms |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
