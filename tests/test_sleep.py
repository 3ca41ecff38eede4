"""Computes that fall asleep: their connections are gone at any moment at which no request is under way."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.rig.http import Connection
from tests.service import Service, serving

NIGHTS = 1000
POOL = 4
OTHERS = "FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()"


@pytest.mark.proves("REL-3", "DATA-4")
@pytest.mark.xdist_group("load")
def test_a_thousand_nights(
    tmp_path: Path, database: str, url: Callable[[str], str], admin: psycopg.Connection
) -> None:
    """Every backend of the service is killed between two requests, and no request notices."""
    others = OTHERS.format(database)
    found, terminate = f"SELECT pid {others} AND state = 'idle'", f"SELECT pid, pg_terminate_backend(pid) {others}"
    killed = 0

    async def play(service: Service) -> None:
        nonlocal killed
        connections = [Connection(service, f"user-{number}") for number in range(4)]
        for night in range(NIGHTS):
            # Most times one connection of the pool is in use, sometimes several.
            asked = connections if night % 50 == 0 else connections[:1]
            answers = await asyncio.gather(
                *(connection.ask("POST", "/api/tasks", {"title": str(night)}) for connection in asked)
            )
            assert {answer.status for answer in answers} == {201}, night
            # All of them: the pool opens those in the background that the night before has closed.
            while len(admin.execute(found.encode()).fetchall()) < POOL:
                pass
            await connections[0].ask("GET", "/health")  # so that the service knows of them
            backends = admin.execute(terminate.encode()).fetchall()
            # One that has left pg_stat_activity may be about to close its connection.
            while any(psutil.pid_exists(pid) for pid, _ in backends):
                pass
            killed += len(backends)
        for connection in connections:
            titles = [task["title"] for task in (await connection.ask("GET", "/api/tasks")).body]
            step = 1 if connection is connections[0] else 50
            assert titles == [str(night) for night in range(0, NIGHTS, step)]
            connection.close()

    with serving(tmp_path, url(database), DATABASE_POOL_SIZE=str(POOL)) as service:
        asyncio.run(play(service))
        assert killed >= NIGHTS
        assert "unavailable" not in service.log.read_text()
