"""What each step gains: processor time of the usual way and of this service's, in one process.

`python -m bench.steps` prints it. A way's time is the least of many short runs, in turns, so that what else the
machine does is left out.
"""

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPBearer
from pydantic import TypeAdapter
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from bench import pgbench, postgres
from bench.workload import SECRET, SMALL
from todo_backend.auth.tokens import sign
from todo_backend.auth.verifier import Verifier
from todo_backend.database.executor import Executor
from todo_backend.database.startup import Database, open_database
from todo_backend.tasks import store
from todo_backend.tasks.models import Task, TaskRead

Way = Callable[[], Awaitable[Any]]
BATCHES, BATCH = 30, 60
QUIET = {"tracing": False, "metrics": False, "logs": False}
TASK_ID = SMALL.stride
OWNER = "user-0"


async def compare(name: str, usual: Way, ours: Way) -> None:
    """Print what either way takes."""
    least = [float("inf"), float("inf")]
    for _ in range(BATCHES):
        for number, way in enumerate((usual, ours)):
            began = time.process_time()
            for _ in range(BATCH):
                await way()
            least[number] = min(least[number], (time.process_time() - began) / BATCH * 1e6)
    print(f"| {name:<72} | {least[0]:6.0f} us | {least[1]:6.0f} us | {least[0] / least[1]:6.1f} |", flush=True)


def request_to(app: FastAPI, path: str = "/", token: str = "x.y.z", database: Database | None = None) -> Way:
    """Return a GET request to an application, with no server in between."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        pass

    return lambda: app({**scope, "state": {"database": database}}, receive, send)


def application(dependency: Any = None, telemetry: Any = None) -> FastAPI:
    app = FastAPI(telemetry=telemetry)

    async def usual() -> dict[str, str]:
        return {}

    app.add_api_route("/", usual, dependencies=[Depends(dependency)] if dependency else None)
    return app


async def generator() -> Any:
    yield None


async def coroutine(request: Request) -> None:
    pass


async def http_steps() -> None:
    plain = request_to(application(telemetry=QUIET))
    await compare("FastAPI looks for OpenTelemetry, or not", request_to(application()), plain)
    bearer = request_to(application(HTTPBearer(), QUIET))
    await compare("HTTPBearer as a dependency, or said in OpenAPI alone", bearer, plain)
    ways = (request_to(application(one, QUIET)) for one in (generator, coroutine))
    await compare("a dependency that is a generator, or a coroutine", *ways)


async def token_steps() -> None:
    token = sign(OWNER, secret=SECRET.encode(), lifetime=3600)

    async def verify() -> None:
        await Verifier(SECRET.encode()).verify(token)

    known = Verifier(SECRET.encode())
    await compare("a token verified, or remembered", verify, lambda: known.verify(token))


async def database_steps(database: Database) -> None:
    from todo_backend.main import app  # which is made, and reads its settings, when it is imported

    one = select(Task).where(
        Task.id == bindparam("id"),  # type: ignore[arg-type]
        Task.user_id == bindparam("owner"),  # type: ignore[arg-type]
    )
    many = select(Task).where(Task.user_id == bindparam("owner")).order_by(Task.id)  # type: ignore[arg-type]
    reader = TypeAdapter(list[TaskRead])

    async def by_session() -> Task | None:
        async with AsyncSession(database.engine) as db:
            return (await db.execute(one, {"id": TASK_ID, "owner": OWNER})).scalar_one()

    async def list_by_session() -> bytes:
        async with AsyncSession(database.engine) as db:
            found = (await db.execute(many, {"owner": OWNER})).scalars().all()
            return reader.dump_json(reader.validate_python(found, from_attributes=True))

    db = Executor(database, asyncio.get_running_loop().time() + 3600)
    values = {"task_id": TASK_ID, "owner": OWNER}
    whole = request_to(app, f"/api/tasks/{TASK_ID}", sign(OWNER, secret=SECRET.encode(), lifetime=3600), database)
    await compare("this service without uvicorn, or its statement alone", whole, lambda: db.run(store.GET, values))
    await compare("a task through the session, or on its driver", by_session, lambda: db.run(store.GET, values))
    await compare(
        "20 tasks as models and Pydantic's JSON, or as PostgreSQL's",
        list_by_session,
        lambda: db.run(store.LIST, {"owner": OWNER}),
    )


def prepared(server: postgres.Postgres) -> None:
    """Print what preparing statements by name would gain, with no service in between."""
    rates: dict[str, list[float]] = {"extended": [], "prepared": []}
    for _ in range(5):
        for protocol, found in rates.items():
            found.append(pgbench.rate(server, SMALL, "get", clients=16, seconds=1, protocol=protocol))
    gain = max(rates["prepared"]) / max(rates["extended"])
    print(f"\npgbench, get, 16 clients: prepared by name, PostgreSQL answers {gain:.2f} times as many.")


async def main(server: postgres.Postgres) -> None:
    """Run every step."""
    async with open_database(server.url(SMALL.name), pool_size=10) as database:
        server.fill(SMALL)
        gc.freeze()
        print(f"| {'step':<72} | usual     | here      | ratio  |\n|{'-' * 74}|-----------|-----------|--------|")
        await http_steps()
        await token_steps()
        await database_steps(database)


if __name__ == "__main__":
    with postgres.running() as running:
        os.environ.update(DATABASE_URL=running.url(SMALL.name), BETTER_AUTH_SECRET=SECRET)
        uvloop.run(main(running))
        prepared(running)
