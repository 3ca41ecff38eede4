"""Services beside one another: all state is in PostgreSQL, so it does not matter which of them answers."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.rig.http import Answer, Connection
from tests.service import Service, serving, wait_until


@pytest.mark.proves("REL-9", "TASK-6", "DATA-1")
@pytest.mark.xdist_group("load")
def test_two_services_of_two_workers_are_one(tmp_path: Path, database: str, url: Callable[[str], str]) -> None:
    async def play(services: list[Service]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(Connection(service, "me")) for service in services for _ in range(8)
            ]

            async def each(times: int, method: str, path: str, body: object = None) -> list[Answer]:
                async def ask(connection: Connection) -> list[Answer]:
                    return [await connection.ask(method, path, body) for _ in range(times)]

                return [answer for answers in await asyncio.gather(*map(ask, connections)) for answer in answers]

            created = [answer.body for answer in await each(5, "POST", "/api/tasks", {"title": "x"})]
            created.sort(key=lambda task: task["id"])
            assert all(answer.body == created for answer in await each(1, "GET", "/api/tasks"))

            path = f"/api/tasks/{created[0]['id']}"
            toggled = [answer.body for answer in await each(5, "PATCH", f"{path}/complete")]
            assert sum(task["completed"] for task in toggled) == len(toggled) / 2
            latest = max(toggled, key=lambda task: task["updated_at"])
            assert len({task["updated_at"] for task in toggled}) == len(toggled)
            assert latest["completed"] is False
            assert all(answer.body == latest for answer in await each(1, "GET", path))

            deleted = [answer.status for answer in await each(1, "DELETE", path)]
            assert sorted(deleted) == [200] + [404] * (len(connections) - 1)

    with contextlib.ExitStack() as stack:
        services = [
            stack.enter_context(serving(tmp_path, url(database), "--workers", "2", healthy=False)) for _ in range(2)
        ]
        up = "Application startup complete"
        wait_until(lambda: all(service.log.read_text().count(up) == 2 for service in services))
        asyncio.run(play(services))
        assert not any("ERROR" in service.log.read_text() for service in services)
    with psycopg.connect(url(database)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
