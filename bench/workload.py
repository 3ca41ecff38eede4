"""The workload: the data, the requests, and the expected responses."""

import functools
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

SECRET = "a-secret-for-benchmarks-that-guards-nothing"  # made up
SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(b"a key for benchmarks, made up!!!")
ISSUER = "http://bench"
OPERATIONS = ("get", "list20", "list1000", "create", "toggle", "put")
# A get with a token of the key set, a get beside the next, and the list of a user with 10,000 tasks.
KEY_SET_GET, BESIDE, LIST_10000 = "get, token of the key set", "get beside list10000", "list10000"

# A third of the tasks belong to users with 20 tasks each, a third to users with 1,000, a third to one user. Owners
# alternate, so that the tasks of one user are scattered over the table.
GROUP = 10_000
USERS, BIG_USERS = GROUP // 20, GROUP // 1000
LISTS = {  # the users of a list: name, remainder of their ids, number of users, and those who send requests
    "list20": ("user", 0, USERS, range(0, USERS, 2)),
    "list1000": ("big", 1, BIG_USERS, range(4)),
    LIST_10000: ("huge", 2, 1, range(1)),
}
TASKS_ASKED = 2_000  # different tasks, for the operations on one task
FILL = f"""
    INSERT INTO tasks (id, user_id, title, description, completed)
    SELECT id,
        CASE id % 3 WHEN 0 THEN 'user-' || (id / 3 - 1) % {USERS} WHEN 1 THEN 'big-' || (id / 3 - 1) % {BIG_USERS}
            ELSE 'huge-0' END,
        'Task ' || id, CASE WHEN id % 2 = 0 THEN 'Described in a few words, as people do' END, id % 5 = 0
    FROM generate_series(3, 3 * {GROUP + 1} - 1) AS id
"""
FIELDS = {"id", "user_id", "title", "description", "completed", "created_at", "updated_at"}


@dataclass
class Exchange:
    """A request of a user, and the expected fields of the task, or of each task of a list."""

    request: bytes
    user: str
    expected: dict[str, Any] | list[dict[str, Any]]
    verified: bytes = b""  # the last checked response; an equal one is not checked again

    def accepts(self, head: bytes, body: bytes) -> bool:
        """Tell whether the response is the expected one."""
        if not head.startswith(b"HTTP/1.1 201 " if self.request.startswith(b"POST") else b"HTTP/1.1 200 "):
            return False
        if self.request.startswith(b"GET") and body == self.verified:
            return True
        self.verified = body
        found, expected = json.loads(body), self.expected
        if isinstance(expected, dict):
            found, expected = [found], [expected]
        return len(found) == len(expected) and all(
            task.keys() == FIELDS and task.items() >= fields.items() and task["user_id"] == self.user
            for task, fields in zip(found, expected, strict=True)
        )


def exchanges(operation: str) -> list[Exchange]:
    """Return the requests, to be sent in a loop, in a random order that is always the same."""
    made = list(_make(operation))
    return random.Random(5).sample(made, len(made))


def _make(operation: str) -> Iterator[Exchange]:
    if operation in LISTS:
        name, remainder, users, asked = LISTS[operation]
        for number in asked:
            ids = (3 * (task + 1) + remainder for task in range(number, GROUP, users))
            expected = [{"id": one, "title": f"Task {one}"} for one in ids]
            yield _exchange("GET", "", f"{name}-{number}", None, expected)
    elif operation == "create":
        for number in range(TASKS_ASKED):
            body = {"title": f"New task {number}", "description": "Described in a few words, as people do"}
            yield _exchange("POST", "", f"new-{number % USERS}", body, body | {"completed": False})
    else:
        # Users of even numbers are read, those of odd ones written.
        tasks = range(operation in ("put", "toggle"), GROUP, 2)
        for task in random.Random(7).sample(tasks, TASKS_ASKED):
            yield _about_one(operation, 3 * (task + 1), f"user-{task % USERS}")


def _about_one(operation: str, task_id: int, user: str) -> Exchange:
    if operation == "toggle":
        return _exchange("PATCH", f"/{task_id}/complete", user, None, {"id": task_id})
    if operation == "put":
        body = {"title": f"Task {task_id}, changed"}
        return _exchange("PUT", f"/{task_id}", user, body, body | {"id": task_id})
    expected = {"id": task_id, "title": f"Task {task_id}"}
    return _exchange("GET", f"/{task_id}", user, None, expected, of_key_set=operation == KEY_SET_GET)


def _exchange(
    method: str, path: str, user: str, body: dict[str, str] | None, expected: Any, *, of_key_set: bool = False
) -> Exchange:
    content = json.dumps(body).encode() if body else b""
    fields = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if body else ""
    fields += f"Authorization: Bearer {_token(user, of_key_set)}\r\n"
    head = f"{method} /api/tasks{path} HTTP/1.1\r\nHost: bench\r\n{fields}\r\n"
    return Exchange(head.encode() + content, user, expected)


@functools.cache
def _token(user: str, of_key_set: bool) -> str:
    claims = {"sub": user, "iss": ISSUER, "aud": ISSUER, "exp": int(time.time()) + 3600}
    if of_key_set:
        return jwt.encode(claims, SIGNING_KEY, "EdDSA", headers={"kid": "bench"})
    return jwt.encode(claims, SECRET, "HS256")


def key_set() -> str:
    """Return the key set that has the key of those tokens."""
    key = OKPAlgorithm.to_jwk(SIGNING_KEY.public_key(), as_dict=True)
    return json.dumps({"keys": [key | {"kid": "bench", "alg": "EdDSA"}]})
