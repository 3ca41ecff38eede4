"""The six operations of `/api/tasks`."""

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from todo_backend.auth.dependencies import CurrentUser
from todo_backend.database.executor import ExecutorDep
from todo_backend.http.body import StrictJSONRoute
from todo_backend.http.openapi import error_responses
from todo_backend.tasks import store
from todo_backend.tasks.models import MAX_ID, TaskCreate, TaskRead, TaskUpdate

router = APIRouter(
    prefix="/api/tasks",
    tags=["tasks"],
    route_class=StrictJSONRoute,
    responses=error_responses(401, 408, 413, 422, 503),
)
of_one_task = error_responses(403, 404)


def _parse_id(text: object) -> int:
    """Parse decimal digits. Pydantic itself would accept `1.0`, `1_0` and ` 1 ` too.

    An integer that is too large for an id becomes 0, which no task has, so that the response is a 404.
    """
    if not isinstance(text, str) or not re.fullmatch("-?[0-9]+", text):
        raise PydanticKnownError("int_parsing")
    number = int(text) if len(text) < 100 else 0  # int() raises ValueError for thousands of digits
    return number if abs(number) <= MAX_ID else 0


TaskId = Annotated[int, BeforeValidator(_parse_id), Path(description="The task's `id`.")]
Status = Annotated[store.Status, Query(description="Which tasks.")]


class TaskJSON(Response):
    """One task or many, in JSON that PostgreSQL has written in the form of `response_model`."""

    media_type = "application/json"


@router.get("", response_model=list[TaskRead])
async def list_tasks(user: CurrentUser, db: ExecutorDep, status: Status = "all") -> TaskJSON:
    """The user's tasks, oldest first."""
    return TaskJSON(await store.list_tasks(db, user["id"], status))


@router.post("", response_model=TaskRead, status_code=201)
async def create_task(user: CurrentUser, db: ExecutorDep, task: TaskCreate) -> TaskJSON:
    """A new task of the user's, not completed yet."""
    return TaskJSON(await store.create_task(db, user["id"], task), 201)


@router.get("/{task_id}", response_model=TaskRead, responses=of_one_task)
async def get_task(user: CurrentUser, db: ExecutorDep, task_id: TaskId) -> TaskJSON:
    """One task of the user's."""
    return TaskJSON(await store.get_task(db, user["id"], task_id))


@router.put("/{task_id}", response_model=TaskRead, responses=of_one_task)
async def update_task(user: CurrentUser, db: ExecutorDep, task_id: TaskId, task: TaskUpdate) -> TaskJSON:
    """Change the title, the description or both. A field that is left out stays; `description: null` clears it."""
    return TaskJSON(await store.update_task(db, user["id"], task_id, task))


@router.delete("/{task_id}", response_model=TaskRead, responses=of_one_task)
async def delete_task(user: CurrentUser, db: ExecutorDep, task_id: TaskId) -> TaskJSON:
    """Delete a task, and answer it as it was."""
    return TaskJSON(await store.delete_task(db, user["id"], task_id))


@router.patch("/{task_id}/complete", response_model=TaskRead, responses=of_one_task)
async def toggle_task(user: CurrentUser, db: ExecutorDep, task_id: TaskId) -> TaskJSON:
    """Complete a pending task, or reopen a completed one."""
    return TaskJSON(await store.toggle_task(db, user["id"], task_id))
