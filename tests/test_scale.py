"""Services beside one another: all state is in PostgreSQL, so it does not matter which of them answers."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.rig import pgbouncer
from tests.rig.http import Answer, Connection
from tests.rig.postgres import Server
from tests.service import SECRET, Service, start, wait_until
from todo_backend.database.migrations import VERSIONS

UP = "Application startup complete"
SECRETS = {"BETTER_AUTH_SECRET": SECRET}


@pytest.mark.proves("REL-2", "REL-9", "TASK-6", "DATA-1")
@pytest.mark.xdist_group("load")
def test_two_services_of_two_workers_are_one(tmp_path: Path, strict: Server) -> None:
    """Their four workers start at once on an empty database, through a pooler with four connections."""
    database = strict.new_database()

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
        port = stack.enter_context(pgbouncer.running(strict, pool_size=4))
        url = strict.url(database, "?sslmode=require", port=port)
        started = [start(tmp_path, "serve", "--workers", "2", **SECRETS, DATABASE_URL=url) for _ in range(2)]
        for service in started:
            stack.callback(service.stop)
        wait_until(lambda: all(service.log.read_text().count(UP) == 2 for service in started), 60)
        for service in started:
            service.base_url = service.wait_for_log(r"http://[\w.:]+")
        asyncio.run(play(started))
        assert not any("ERROR" in service.log.read_text() for service in started)
        assert pgbouncer.complaints(strict) == []
        assert strict.execute("SELECT version_num FROM todo_backend_version", database) == [(VERSIONS[-1],)]
        assert strict.execute("SELECT FROM pg_locks WHERE locktype = 'advisory'", database) == []
