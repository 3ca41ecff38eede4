"""Two users do random things, and the service agrees with a plain dict at every step."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.service import Service

titles = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
descriptions = st.none() | titles
users = st.sampled_from(["ada", "bob"])


def trimmed(title: str) -> str:
    return title.strip(WHITE_SPACE)


# Unicode's White_Space, by which pydantic trims; str.strip() takes four control characters more.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
)
WHITE_SPACE += "\u202f\u205f\u3000"


class Users(RuleBasedStateMachine):
    clients: dict[str, httpx2.Client]

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[int, dict[str, Any]] = {}
        for client in self.clients.values():
            for task in client.get("/api/tasks").json():
                client.delete(f"/api/tasks/{task['id']}")

    def ask(self, user: str, method: str, path: str, body: object = None) -> httpx2.Response:
        return self.clients[user].request(method, path, json=body)

    def expect(self, answer: httpx2.Response, user: str, task_id: int) -> dict[str, Any] | None:
        """Return the model's task if the answer has to be a success; check the error response if not."""
        task = self.tasks.get(task_id)
        if task is None:
            assert (answer.status_code, answer.json()) == (404, {"detail": "Task not found"})
        elif task["user_id"] != user:
            assert (answer.status_code, answer.json()) == (403, {"detail": "You do not own this task"})
        else:
            assert answer.status_code == 200
            return task
        return None

    @rule(target=ids, user=users, title=titles, description=descriptions)
    def create(self, user: str, title: str, description: str | None) -> int:
        answer = self.ask(user, "POST", "/api/tasks", {"title": title, "description": description})
        if not trimmed(title):
            assert answer.status_code == 422
            return 0
        task = answer.json()
        expected = {"user_id": user, "title": trimmed(title), "description": description, "completed": False}
        assert answer.status_code == 201
        assert task == task | expected
        assert task["id"] > max(self.tasks, default=0)
        self.tasks[task["id"]] = task
        return int(task["id"])

    @rule(user=users, task_id=ids)
    def get(self, user: str, task_id: int) -> None:
        answer = self.ask(user, "GET", f"/api/tasks/{task_id}")
        if task := self.expect(answer, user, task_id):
            assert answer.json() == task

    @rule(
        user=users,
        task_id=ids,
        changes=st.fixed_dictionaries({}, optional={"title": titles, "description": descriptions}),
    )
    def update(self, user: str, task_id: int, changes: dict[str, Any]) -> None:
        answer = self.ask(user, "PUT", f"/api/tasks/{task_id}", changes)
        if "title" in changes and not trimmed(changes["title"]):
            assert answer.status_code == 422
        elif task := self.expect(answer, user, task_id):
            if "title" in changes:
                changes = changes | {"title": trimmed(changes["title"])}
            self.moved_on(task, answer.json(), changes)

    @rule(user=users, task_id=ids)
    def toggle(self, user: str, task_id: int) -> None:
        answer = self.ask(user, "PATCH", f"/api/tasks/{task_id}/complete")
        if task := self.expect(answer, user, task_id):
            self.moved_on(task, answer.json(), {"completed": not task["completed"]})

    def moved_on(self, before: dict[str, Any], after: dict[str, Any], changes: dict[str, Any]) -> None:
        assert (after["updated_at"] > before["updated_at"]) == bool(changes)
        assert after == before | changes | {"updated_at": after["updated_at"]}
        self.tasks[before["id"]] = after

    @rule(user=users, task_id=ids)
    def delete(self, user: str, task_id: int) -> None:
        answer = self.ask(user, "DELETE", f"/api/tasks/{task_id}")
        if self.expect(answer, user, task_id):
            assert answer.json() == self.tasks.pop(task_id)

    @rule(user=users, status=st.sampled_from(["all", "pending", "completed"]))
    def list(self, user: str, status: str) -> None:
        kinds = {"all": (True, False), "pending": (False,), "completed": (True,)}[status]
        own = [task for task in self.tasks.values() if task["user_id"] == user and task["completed"] in kinds]
        assert self.ask(user, "GET", f"/api/tasks?status={status}").json() == own


@pytest.fixture
def clients(service: Service) -> Iterator[dict[str, httpx2.Client]]:
    with service.client("ada") as ada, service.client("bob") as bob:
        yield {"ada": ada, "bob": bob}


@pytest.mark.proves("TASK-9", "VAL-1", "OWN-1")
def test_the_service_agrees_with_a_model(clients: dict[str, httpx2.Client]) -> None:
    Users.clients = clients
    run_state_machine_as_test(
        Users,
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
