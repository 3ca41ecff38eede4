"""More clients than the database can serve, and clients that do not wait for their answers."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.rig.http import Answer, Connection
from tests.rig.load import assert_only_unavailable, eventually
from tests.service import WAITING, Service, serving

pytestmark = pytest.mark.xdist_group("load")

CLIENTS = 500
POOL = 10
SLOW = """
    CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION be_slow();
"""


def megabytes(service: Service) -> float:
    return psutil.Process(service.process.pid).memory_info().rss / 2**20


@pytest.mark.proves("REL-7", "DATA-5")
def test_a_wave_of_clients(tmp_path: Path, database: str, url: Callable[[str], str]) -> None:
    """A write takes half a second, so ten connections do twenty a second, and most of the clients get nothing."""
    answers: list[Answer] = []

    async def insist(service: Service, number: int, end: float) -> None:
        async with Connection(service, f"user-{number}") as connection:
            while time.monotonic() < end:
                answers.append(await connection.ask("POST", "/api/tasks", {"title": "x"}))
                await asyncio.sleep(int(answers[-1].retry_after or 0))

    async def play(service: Service) -> tuple[float, float]:
        end = time.monotonic() + 3
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(insist(service, number, end))
                await asyncio.sleep(0.005)
            await eventually(lambda: len(answers) >= POOL)
            before = megabytes(service)
        after = megabytes(service)
        async with Connection(service, "user-0") as connection:
            answer = await connection.ask("GET", "/api/tasks")
        assert (answer.status, answer.seconds < 1) == (200, True)
        return before, after

    with serving(tmp_path, url(database), DATABASE_POOL_SIZE=str(POOL)) as service:
        with psycopg.connect(url(database)) as connection:
            connection.execute(SLOW)
        before, after = asyncio.run(play(service))
        assert after - before < 30
        assert "Traceback" not in service.log.read_text()
        with psycopg.connect(url(database)) as connection:
            written = connection.execute("SELECT count(*) FROM tasks").fetchall()[0][0]
    assert_only_unavailable(answers)
    assert max(answer.seconds for answer in answers) < 10
    served = sum(answer.status == 201 for answer in answers)
    assert served >= 100
    assert served <= written <= served + POOL * 2
    assert len(answers) - served >= CLIENTS / 2


@pytest.mark.proves("REL-8", "DATA-9")
def test_a_thousand_clients_hang_up(
    tmp_path: Path, database: str, url: Callable[[str], str], admin: psycopg.Connection
) -> None:
    """Half of them in the middle of their body, half while their statement waits for a lock."""
    tasks = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'"

    def waiting() -> int:
        found: int = admin.execute(f"{WAITING} AND datname = '{database}'".encode()).fetchall()[0][0]
        return found

    async def hang_up(service: Service, number: int, path: str) -> None:
        async with Connection(service, "me") as connection:
            if number % 2:
                await connection.send("PATCH", path)
            else:
                await connection.send("POST", "/api/tasks", {"title": "x"}, unsent=5)
            await asyncio.sleep(0.1)

    async def play(service: Service, locked: psycopg.Connection) -> None:
        async with contextlib.AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(Connection(service, "me")) for _ in range(POOL)]
            paths = [
                f"/api/tasks/{(await connection.ask('POST', '/api/tasks', {'title': 'x'})).body['id']}/complete"
                for connection in connections
            ]
            locked.execute("SELECT FROM tasks FOR UPDATE")
            for start in range(0, 1000, 100):
                numbers = range(start, start + 100)
                await asyncio.gather(*(hang_up(service, number, paths[number % POOL]) for number in numbers))
            locked.rollback()
            await eventually(lambda: waiting() == 0)

            locked.execute("SELECT FROM tasks FOR UPDATE")
            slow = [
                asyncio.create_task(connection.ask("PATCH", path))
                for connection, path in zip(connections, paths, strict=True)
            ]
            await eventually(lambda: waiting() == POOL, 5)
            locked.rollback()
            assert {(await answer).status for answer in slow} == {200}

    with serving(tmp_path, url(database), DATABASE_POOL_SIZE=str(POOL)) as service:
        with psycopg.connect(url(database)) as locked:
            asyncio.run(play(service, locked))
        assert admin.execute(tasks.encode()).fetchall()[0][0] <= POOL
        assert "Traceback" not in service.log.read_text()
