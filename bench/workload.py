"""What is asked, and what the answer has to be."""

import functools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from todo_backend.auth import tokens

SECRET = "a-secret-for-benchmarks-that-guards-nothing"  # made up
ENDPOINTS = ("get", "list20", "list1000", "create", "put", "toggle")

PER_GROUP = 10_000  # tasks of all users of 20, of all users of 1,000, and of the user of 10,000
USERS = 500  # of 20 tasks each
BIG_USERS = 10  # of 1,000 tasks each
BIG_USERS_ASKED = 4
TASKS_ASKED = 2_000  # different ones, for the operations on one task
TOKEN_LIFETIME = 3600  # seconds

# Tells whether a decoded answer is the one that was asked for.
Check = Callable[[Any], bool]


@dataclass(frozen=True)
class DataSet:
    """A database of tasks, see postgres.FILL.

    Attributes:
        stride: one task in so many belongs to a user of 20 tasks.
    """

    name: str
    stride: int

    def ids(self, group: int, user: int, users: int) -> list[int]:
        """Return the ids of the tasks of one user of a group of so many, in order."""
        return [self.stride * (number + 1) + group for number in range(user, PER_GROUP, users)]


SMALL = DataSet("small", stride=3)  # 30,000 tasks
LARGE = DataSet("large", stride=500)  # 5,000,000 tasks of 100,000 users


class Exchange:
    """A request and the check of its answer.

    Attributes:
        verified: an answer that was checked. One that is equal to it byte for byte needs no other check.
    """

    __slots__ = ("check", "repeatable", "request", "status", "verified")

    def __init__(self, request: bytes, check: Check, *, status: int = 200, repeatable: bool = False) -> None:
        self.request = request
        self.check = check
        self.status = f"HTTP/1.1 {status} ".encode()
        self.repeatable = repeatable
        self.verified = b""

    def accepts(self, head: bytes, body: bytes) -> bool:
        """Tell whether this is the answer."""
        if not head.startswith(self.status):
            return False
        if self.repeatable and body == self.verified:
            return True
        if not self.check(json.loads(body)):
            return False
        self.verified = body
        return True


def exchanges(endpoint: str, data: DataSet) -> list[Exchange]:
    """Return what to ask one after the other, over and over, in an order that is random and always the same."""
    made = _makers[endpoint](data)
    random.Random(5).shuffle(made)
    return made


@functools.cache
def _token(user: str) -> str:
    return tokens.sign(user, secret=SECRET.encode(), lifetime=TOKEN_LIFETIME)


def _request(method: str, path: str, user: str, body: dict[str, str] | None = None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    fields = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    head = (
        f"{method} /api/tasks{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {_token(user)}\r\n{fields}\r\n"
    )
    return head.encode() + content


def _is_task(task: Any, user: str, title: str, task_id: int | None = None) -> bool:
    return (
        isinstance(task, dict)
        and task["user_id"] == user
        and task["title"] == title
        and (isinstance(task["id"], int) if task_id is None else task["id"] == task_id)
        and isinstance(task["completed"], bool)
        and "description" in task
        and all(task[name].endswith("Z") and "T" in task[name] for name in ("created_at", "updated_at"))
    )


def _list(data: DataSet, group: int, names: dict[int, str], users: int) -> list[Exchange]:
    def make(number: int, user: str) -> Exchange:
        ids = data.ids(group, number, users)

        def check(tasks: Any) -> bool:
            return [task["id"] for task in tasks] == ids and all(
                _is_task(task, user, f"Task {task['id']}", task["id"]) for task in tasks
            )

        return Exchange(_request("GET", "", user), check, repeatable=True)

    return [make(number, user) for number, user in names.items()]


def _owned(data: DataSet, remainder: int) -> list[tuple[str, int]]:
    """Return tasks to ask for, with their owners: users of even numbers are read, those of odd ones written."""
    found = [
        (f"user-{user}", task_id) for user in range(remainder, USERS, 2) for task_id in data.ids(0, user, USERS)
    ]
    return random.Random(7).sample(found, TASKS_ASKED)


def _get(data: DataSet) -> list[Exchange]:
    def make(user: str, task_id: int) -> Exchange:
        request = _request("GET", f"/{task_id}", user)
        return Exchange(request, lambda task: _is_task(task, user, f"Task {task_id}", task_id), repeatable=True)

    return [make(*one) for one in _owned(data, 0)]


def _create(_: DataSet) -> list[Exchange]:
    seen: set[int] = set()

    def make(number: int) -> Exchange:
        user, title = f"new-{number % USERS}", f"New task {number}"

        def check(task: Any) -> bool:
            is_new = task["id"] not in seen
            seen.add(task["id"])
            return is_new and _is_task(task, user, title) and task["completed"] is False

        body = {"title": title, "description": "Described in a few words, as people do"}
        return Exchange(_request("POST", "", user, body), check, status=201)

    return [make(number) for number in range(TASKS_ASKED)]


def _put(data: DataSet) -> list[Exchange]:
    def make(number: int, user: str, task_id: int) -> Exchange:
        title = f"Task {task_id}, changed to {number}"
        request = _request("PUT", f"/{task_id}", user, {"title": title})
        return Exchange(request, lambda task: _is_task(task, user, title, task_id))

    return [make(number, *one) for number, one in enumerate(_owned(data, 1))]


def _toggle(data: DataSet) -> list[Exchange]:
    completed: dict[int, bool] = {}

    def make(user: str, task_id: int) -> Exchange:
        def check(task: Any) -> bool:
            before = completed.get(task_id)
            completed[task_id] = task["completed"]
            return _is_task(task, user, task["title"], task_id) and task["completed"] is not before

        return Exchange(_request("PATCH", f"/{task_id}/complete", user), check)

    return [make(*one) for one in _owned(data, 1)]


_makers: dict[str, Callable[[DataSet], list[Exchange]]] = {
    "get": _get,
    "list20": lambda data: _list(data, 0, {user: f"user-{user}" for user in range(0, USERS, 2)}, USERS),
    "list1000": lambda data: _list(data, 1, {user: f"big-{user}" for user in range(BIG_USERS_ASKED)}, BIG_USERS),
    "list10000": lambda data: _list(data, 2, {0: "huge"}, 1),
    "create": _create,
    "put": _put,
    "toggle": _toggle,
}
