"""The six operations, and who may do them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import psycopg
import pytest

from tests.service import WAITING, Service, bearer, wait_until
from todo_backend.database.executor import Executor
from todo_backend.tasks import ownership, store

OPERATIONS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/api/tasks/{}", None),
    ("PUT", "/api/tasks/{}", {"title": "taken over"}),
    ("PUT", "/api/tasks/{}", {}),
    ("PATCH", "/api/tasks/{}/complete", None),
    ("DELETE", "/api/tasks/{}", None),
]


def create(client: httpx2.Client, **fields: Any) -> dict[str, Any]:
    answer = client.post("/api/tasks", json={"title": "a task"} | fields)
    assert answer.status_code == 201
    task: dict[str, Any] = answer.json()
    return task


def moment(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


@pytest.mark.proves("TASK-1", "TASK-7")
def test_create(client: httpx2.Client, user: str) -> None:
    before = datetime.now(UTC)
    answer = client.post("/api/tasks", json={"title": "Buy milk", "description": "Two litres"})
    task = answer.json()
    assert answer.status_code == 201
    assert isinstance(task.pop("id"), int)
    created_at, updated_at = task.pop("created_at"), task.pop("updated_at")
    assert created_at == updated_at
    assert abs((moment(created_at) - before).total_seconds()) < 10
    assert task == {"user_id": user, "title": "Buy milk", "description": "Two litres", "completed": False}


@pytest.mark.proves("TASK-1")
def test_create_without_description(client: httpx2.Client) -> None:
    assert create(client)["description"] is None
    assert create(client, description=None)["description"] is None
    assert create(client, description="")["description"] == ""


@pytest.mark.proves("TASK-2")
def test_list(client: httpx2.Client, stranger: httpx2.Client) -> None:
    assert client.get("/api/tasks").json() == []
    create(stranger)
    ids = [create(client, title=str(number))["id"] for number in range(5)]
    for task_id in (ids[3], ids[0]):
        client.patch(f"/api/tasks/{task_id}/complete")

    def listed(status: str) -> list[int]:
        return [task["id"] for task in client.get("/api/tasks", params={"status": status}).json()]

    assert ids == sorted(ids)
    assert [task["id"] for task in client.get("/api/tasks").json()] == ids
    assert listed("all") == ids
    assert listed("completed") == [ids[0], ids[3]]
    assert listed("pending") == [ids[1], ids[2], ids[4]]


@pytest.mark.proves("TASK-2")
@pytest.mark.parametrize("status", ["", "done", "ALL", "pending,completed"])
def test_another_status_is_rejected(client: httpx2.Client, status: str) -> None:
    answer = client.get("/api/tasks", params={"status": status})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["query", "status"])
    assert answer.json()["detail"] == "The status must be all, pending or completed."


@pytest.mark.proves("TASK-3")
def test_get(client: httpx2.Client) -> None:
    task = create(client, description="x")
    answer = client.get(f"/api/tasks/{task['id']}")
    assert (answer.status_code, answer.json()) == (200, task)


@pytest.mark.proves("TASK-4", "TASK-7")
@pytest.mark.parametrize(
    "changes",
    [
        {"title": "new"},
        {"description": "new"},
        {"description": None},
        {"title": "new", "description": "new"},
        {"title": "old", "description": "old"},
    ],
)
def test_update(client: httpx2.Client, changes: dict[str, Any]) -> None:
    task = create(client, title="old", description="old")
    answer = client.put(f"/api/tasks/{task['id']}", json=changes)
    assert answer.status_code == 200
    assert moment(answer.json()["updated_at"]) > moment(task["updated_at"])
    assert answer.json() == task | changes | {"updated_at": answer.json()["updated_at"]}
    assert client.get(f"/api/tasks/{task['id']}").json() == answer.json()


@pytest.mark.proves("TASK-4")
def test_an_update_with_nothing_changes_nothing(client: httpx2.Client) -> None:
    task = create(client)
    answer = client.put(f"/api/tasks/{task['id']}", json={})
    assert (answer.status_code, answer.json()) == (200, task)


@pytest.mark.proves("TASK-10")
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"priority": 1}, "nothing_to_change"),
        ({"Title": "x", "id": 1}, "nothing_to_change"),
        ({"completed": True}, "completed_read_only"),
        ({"completed": None, "user_id": "x"}, "completed_read_only"),
    ],
)
def test_an_update_that_can_change_nothing_is_rejected(
    client: httpx2.Client, body: dict[str, Any], kind: str
) -> None:
    task = create(client)
    answer = client.put(f"/api/tasks/{task['id']}", json=body)
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["loc"], error["type"]) == (422, ["body"], kind)
    detail = "A change needs a title or a description"
    if kind == "completed_read_only":
        detail += "; completed is changed with PATCH /api/tasks/{task_id}/complete"
    assert answer.json()["detail"] == f"{detail}."
    assert client.get(f"/api/tasks/{task['id']}").json() == task


@pytest.mark.proves("ERR-3", "AUTH-1")
def test_a_trailing_slash_makes_no_difference(client: httpx2.Client, anonymous: httpx2.Client) -> None:
    created = client.post("/api/tasks/", json={"title": "x"})
    task = created.json()
    path = f"/api/tasks/{task['id']}"
    assert (created.status_code, client.get("/api/tasks/").json()) == (201, [task])
    assert client.get("/api/tasks/", params={"status": "completed"}).json() == []
    assert client.get(f"{path}/").json() == task
    assert client.put(f"{path}/", json={"title": "y"}).json()["title"] == "y"
    assert client.patch(f"{path}/complete/").json()["completed"] is True
    assert client.get("/api/tasks/x/").status_code == 422
    assert client.delete(f"{path}/").status_code == 200
    assert client.get(f"{path}/").status_code == 404
    for slashed in ("/api/tasks/", f"{path}/", f"{path}/complete/"):
        assert anonymous.get(slashed).status_code == 401


@pytest.mark.proves("TASK-5")
def test_delete(client: httpx2.Client) -> None:
    task = create(client)
    answer = client.delete(f"/api/tasks/{task['id']}")
    assert (answer.status_code, answer.json()) == (200, task)
    assert client.delete(f"/api/tasks/{task['id']}").status_code == 404
    assert client.get("/api/tasks").json() == []


@pytest.mark.proves("TASK-6", "TASK-7")
def test_toggle(client: httpx2.Client) -> None:
    task = create(client)
    path = f"/api/tasks/{task['id']}/complete"
    for completed, body in [(True, None), (False, b"{"), (True, b'{"completed": false}'), (False, b"\xff")]:
        answer = client.patch(path, content=body)
        assert answer.status_code == 200
        assert moment(answer.json()["updated_at"]) > moment(task["updated_at"])
        task |= {"completed": completed, "updated_at": answer.json()["updated_at"]}
        assert answer.json() == task


@pytest.mark.proves("TASK-6", "TASK-7")
def test_200_toggles_at_once_all_count(service: Service, client: httpx2.Client, user: str) -> None:
    task = create(client)

    async def toggle_at_once(times: int) -> list[dict[str, Any]]:
        async with httpx2.AsyncClient(base_url=service.base_url, headers=bearer(user), timeout=30) as clients:
            path = f"/api/tasks/{task['id']}/complete"
            answers = await asyncio.gather(*(clients.patch(path) for _ in range(times)))
        return [answer.json() for answer in answers]

    answers = asyncio.run(toggle_at_once(200))
    in_order = sorted(answers, key=lambda answer: answer["updated_at"])
    assert len({answer["updated_at"] for answer in answers}) == 200
    assert [answer["completed"] for answer in in_order] == [True, False] * 100
    assert client.get(f"/api/tasks/{task['id']}").json() == in_order[-1]
    asyncio.run(toggle_at_once(1))
    assert client.get(f"/api/tasks/{task['id']}").json()["completed"] is True


@pytest.mark.proves("TASK-7")
@pytest.mark.parametrize(("method", "path", "body"), [OPERATIONS[1], OPERATIONS[3]], ids=["update", "toggle"])
def test_updated_at_moves_forward_also_after_a_wait(
    url: Callable[[str], str], admin: psycopg.Connection, client: httpx2.Client, method: str, path: str, body: Any
) -> None:
    """A statement that began before the change it waits for ends after it."""
    task = create(client)
    with psycopg.connect(url("shared")) as other, ThreadPoolExecutor(1) as thread:
        other.execute("SELECT FROM tasks WHERE id = %s FOR UPDATE", [task["id"]])
        waiting = thread.submit(client.request, method, path.format(task["id"]), json=body)
        wait_until(lambda: admin.execute(WAITING).fetchone() == (1,))
        other.execute("UPDATE tasks SET updated_at = clock_timestamp() WHERE id = %s", [task["id"]])
        [changed_at] = other.execute("SELECT updated_at FROM tasks WHERE id = %s", [task["id"]]).fetchone() or ()
        other.commit()
        # A microsecond later would be the guard against clocks that go back, not the time of the change.
        assert moment(waiting.result().json()["updated_at"]) > changed_at + timedelta(microseconds=1)


@pytest.mark.proves("TASK-7")
def test_updated_at_moves_forward_even_if_the_clock_goes_back(
    url: Callable[[str], str], client: httpx2.Client
) -> None:
    task = create(client)
    with psycopg.connect(url("shared")) as other:
        other.execute("UPDATE tasks SET updated_at = '2999-01-01Z' WHERE id = %s", [task["id"]])
    answer = client.patch(f"/api/tasks/{task['id']}/complete")
    assert answer.json()["updated_at"] == "2999-01-01T00:00:00.000001Z"


@pytest.mark.proves("TASK-8")
def test_a_client_may_send_back_the_whole_task(client: httpx2.Client, user: str) -> None:
    task = create(client, id=-1, user_id="x", completed=True, created_at="2000-01-01Z", priority="high")
    assert task["id"] > 0
    assert (task["user_id"], task["completed"], task["created_at"] > "2026") == (user, False, True)
    sent = task | {"title": "new", "completed": True, "user_id": "x", "id": 1, "created_at": 5, "tags": [{}]}
    answer = client.put(f"/api/tasks/{task['id']}", json=sent).json()
    assert answer == task | {"title": "new", "updated_at": answer["updated_at"]}


@pytest.mark.proves("OWN-1")
@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
def test_another_users_task_is_refused(
    client: httpx2.Client, stranger: httpx2.Client, method: str, path: str, body: Any
) -> None:
    task = create(client)
    answer = stranger.request(method, path.format(task["id"]), json=body)
    assert (answer.status_code, answer.json()) == (403, {"detail": "You do not own this task"})
    assert client.get(f"/api/tasks/{task['id']}").json() == task
    assert stranger.get("/api/tasks").json() == []


@pytest.mark.proves("OWN-2")
@pytest.mark.parametrize(
    "task_id",
    ["0", "-1", "2147483648", str(2**53), str(2**63 - 1), str(2**63), str(-(2**63)), "9" * 40, "9" * 5000],
)
@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
def test_no_such_task(client: httpx2.Client, method: str, path: str, body: Any, task_id: str) -> None:
    answer = client.request(method, path.format(task_id), json=body)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Task not found"})


@pytest.mark.proves("TASK-3")
@pytest.mark.parametrize("task_id", [2**31, 2**53 - 1])
def test_an_id_may_be_large(client: httpx2.Client, user: str, url: Callable[[str], str], task_id: int) -> None:
    with psycopg.connect(url("shared"), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO tasks (id, user_id, title) OVERRIDING SYSTEM VALUE VALUES (%s, %s, 'x')", [task_id, user]
        )
    assert client.get(f"/api/tasks/{task_id}").json()["id"] == task_id
    assert client.delete(f"/api/tasks/{task_id}").status_code == 200


@pytest.mark.proves("OWN-2", "VAL-4")
@pytest.mark.parametrize(
    "task_id", ["abc", "1.0", "1.5", "1e3", "0x1", "1_0", "%201", "+1", "--1", "-", "٣", "null"]
)
@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
def test_not_an_integer(client: httpx2.Client, method: str, path: str, body: Any, task_id: str) -> None:
    answer = client.request(method, path.format(task_id), json=body)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["path", "task_id"])
    assert answer.json()["detail"] == "The task id must be a whole number."


def test_a_task_that_comes_between_is_not_found_by_its_owner() -> None:
    """The second statement, which tells a 403 from a 404, may see a new task; its owner does not get a 403."""
    answers = [b"", b"me"]

    class Scripted(Executor):
        def __init__(self) -> None:
            pass

        async def run(self, *_: object) -> bytes:
            return answers.pop(0)

    with pytest.raises(ownership.TaskNotFound):
        asyncio.run(store.get_task(Scripted(), "me", 1))
