"""Load: clients that read and write until they are stopped, and record the expected state of each task."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.rig.http import Answer, Connection
from tests.service import Service

PAUSE = 0.02  # seconds between a client's requests, so that the machine is not overloaded
TASKS_A_USER = 20

# Description and completed of a task; None if there is no task.
State = tuple[str | None, bool] | None

_numbers = itertools.count(1)


class OutcomeUnknown(Exception):
    """It is unknown whether a write took effect."""


async def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # the condition depends on another process
            await asyncio.sleep(0.02)


@dataclass
class Load:
    """What the clients did.

    Attributes:
        answers: all responses.
        ledger: the possible states of each task, by user and title.
        pending: by client, when its running request began.
        served: by client, when its latest successful request began.
    """

    service: Service
    name: str
    answers: list[Answer] = field(default_factory=list)
    ledger: dict[tuple[str, str], set[State]] = field(default_factory=dict)
    pending: dict[int, float] = field(default_factory=dict)
    served: dict[int, float] = field(default_factory=dict)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    @property
    def acknowledged(self) -> int:
        return sum(answer.status in (200, 201) for answer in self.answers)

    def since(self, moment: float) -> list[Answer]:
        """Return the responses to requests that began after a moment."""
        return [answer for answer in self.answers if answer.began > moment]

    async def run(self, client: int) -> None:
        """Run one client: create, read, list, toggle, change and usually delete a task, in a loop."""
        for number in itertools.count():
            user, title = f"{self.name}-{client}-{number // TASKS_A_USER}", f"task-{number}"
            async with Connection(self.service, user) as connection:
                with contextlib.suppress(OutcomeUnknown):
                    await self._live(client, connection, user, title)

    async def _live(self, client: int, connection: Connection, user: str, title: str) -> None:
        """Do every operation on one task, up to the first write whose outcome is unknown."""
        states = self.ledger[user, title] = {None}

        async def ask(method: str, path: str, body: object, becomes: State) -> Answer:
            await asyncio.sleep(PAUSE)
            before = set(states)
            states.add(becomes)  # before the response: the statement may take effect at any moment
            self.pending[client] = time.monotonic()
            answer = await connection.ask(method, path, body)
            del self.pending[client]
            self.answers.append(answer)
            if answer.status not in (200, 201):
                assert answer.status in (0, 503), (method, path, answer)
                raise OutcomeUnknown
            if isinstance(answer.body, dict):
                told = (answer.body["description"], answer.body["completed"])
                assert told == (becomes or next(iter(before))), (method, path, answer)
            states.clear()
            states.add(becomes)
            self.served[client] = answer.began
            return answer

        created = await ask("POST", "/api/tasks", {"title": title}, (None, False))
        path = f"/api/tasks/{created.body['id']}"
        await ask("GET", path, None, (None, False))
        await ask("PATCH", f"{path}/complete", None, (None, True))
        listed = await ask("GET", "/api/tasks?status=completed", None, (None, True))
        assert title in [task["title"] for task in listed.body]
        await ask("PUT", path, {"description": title}, (title, True))
        if not title.endswith("0"):
            await ask("DELETE", path, None, None)

    async def verify(self, service: Service) -> None:
        """Compare the ledger with the tasks that the service returns."""
        for user, entries in itertools.groupby(sorted(self.ledger), lambda key: key[0]):
            async with Connection(service, user) as connection:
                answer = await connection.ask("GET", "/api/tasks")
            assert answer.status == 200, answer
            there = {task["title"]: (task["description"], task["completed"]) for task in answer.body}
            assert len(there) == len(answer.body), "a task was created twice"
            titles = {title for _, title in entries}
            assert there.keys() <= titles
            for title in titles:
                assert there.get(title) in self.ledger[user, title], (user, title)


@contextlib.asynccontextmanager
async def load(service: Service, *, clients: int = 8) -> AsyncIterator[Load]:
    """Run clients against a service, and stop them at the end of the block."""
    books = Load(service, f"load-{next(_numbers)}", served=dict.fromkeys(range(clients), 0.0))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(books.run(client)) for client in range(clients)]
        yield books
        for task in tasks:
            task.cancel()
    slow = [answer for answer in books.answers if answer.seconds > 10]
    assert not slow, slow


def assert_only_unavailable(answers: list[Answer]) -> None:
    """Check that every error response is a 503 with Retry-After."""
    for answer in answers:
        assert answer.status in (200, 201, 503), answer
        if answer.status == 503:
            assert answer.body == {"detail": "Database unavailable"}
            assert int(answer.retry_after or 0) >= 1


async def assert_recovers(books: Load, *, since: float, seconds: float = 5) -> None:
    """Check that every client is served again in time, and that no request fails after that."""
    await eventually(lambda: min(books.served.values()) > since, since + seconds - time.monotonic())
    settled = time.monotonic()
    await asyncio.sleep(1)
    assert {answer.status for answer in books.since(settled)} <= {200, 201}
