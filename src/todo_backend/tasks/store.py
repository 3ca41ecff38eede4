"""Tasks in PostgreSQL: one statement an operation, and a second one only to tell why there was nothing to do.

Every statement but OWNER, which only tells a 403 from a 404, names the owner, so that none can touch another user's
task; and each is its own transaction.
"""

from collections.abc import Sequence
from typing import Any, Literal, NoReturn

from sqlalchemy import Executable, Row, Table, bindparam, case, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from todo_backend.database.session import run
from todo_backend.errors import TodoError
from todo_backend.tasks.models import Task, TaskCreate, TaskUpdate

Status = Literal["all", "pending", "completed"]


class TaskNotFound(TodoError):
    status = 404
    detail = "Task not found"


class TaskNotOwned(TodoError):
    status = 403
    detail = "You do not own this task"


tasks: Table = Task.metadata.tables["tasks"]

_owned = (tasks.c.id == bindparam("task_id")) & (tasks.c.user_id == bindparam("owner"))

# now() is when the transaction began, which may be before the change that this one waited for was made;
# and no clock is trusted not to go back.
_later = func.greatest(func.clock_timestamp(), tasks.c.updated_at + text("interval '1 microsecond'"))

LIST = select(tasks).where(tasks.c.user_id == bindparam("owner")).order_by(tasks.c.id)
LIST_BY_COMPLETED = LIST.where(tasks.c.completed == bindparam("is_completed"))
GET = select(tasks).where(_owned)
CREATE = (
    insert(tasks)
    .values(user_id=bindparam("owner"), title=bindparam("new_title"), description=bindparam("new_description"))
    .returning(*tasks.c)
)
UPDATE = (
    update(tasks)
    .where(_owned)
    .values(
        title=case((bindparam("has_title"), bindparam("new_title")), else_=tasks.c.title),
        description=case((bindparam("has_description"), bindparam("new_description")), else_=tasks.c.description),
        updated_at=_later,
    )
    .returning(*tasks.c)
)
TOGGLE = update(tasks).where(_owned).values(completed=~tasks.c.completed, updated_at=_later).returning(*tasks.c)
DELETE = delete(tasks).where(_owned).returning(*tasks.c)
OWNER = select(tasks.c.user_id).where(tasks.c.id == bindparam("task_id"))


async def list_tasks(db: AsyncSession, owner: str, status: Status) -> Sequence[Row[Any]]:
    """Return the owner's tasks, oldest first."""
    if status == "all":
        return await run(db, LIST, {"owner": owner})
    return await run(db, LIST_BY_COMPLETED, {"owner": owner, "is_completed": status == "completed"})


async def create_task(db: AsyncSession, owner: str, task: TaskCreate) -> Row[Any]:
    """Return the new task."""
    values = {"owner": owner, "new_title": task.title, "new_description": task.description}
    return (await run(db, CREATE, values))[0]


async def get_task(db: AsyncSession, owner: str, task_id: int) -> Row[Any]:
    """Return the task.

    Raises:
        TaskNotFound, TaskNotOwned: so do the three below.
    """
    return await _run_on_owned(db, GET, owner, task_id)


async def update_task(db: AsyncSession, owner: str, task_id: int, task: TaskUpdate) -> Row[Any]:
    """Return the task with the given fields changed. Where none is given, nothing is, `updated_at` included."""
    given = task.model_fields_set
    if not given:
        return await get_task(db, owner, task_id)
    values = {
        "has_title": "title" in given,
        "new_title": task.title,
        "has_description": "description" in given,
        "new_description": task.description,
    }
    return await _run_on_owned(db, UPDATE, owner, task_id, values)


async def toggle_task(db: AsyncSession, owner: str, task_id: int) -> Row[Any]:
    """Return the task, completed if it was pending and the other way round; concurrent toggles all count."""
    return await _run_on_owned(db, TOGGLE, owner, task_id)


async def delete_task(db: AsyncSession, owner: str, task_id: int) -> Row[Any]:
    """Return the task as it was."""
    return await _run_on_owned(db, DELETE, owner, task_id)


async def _run_on_owned(
    db: AsyncSession, statement: Executable, owner: str, task_id: int, values: dict[str, Any] | None = None
) -> Row[Any]:
    rows = await run(db, statement, {"task_id": task_id, "owner": owner, **(values or {})})
    return rows[0] if rows else await _refuse(db, owner, task_id)


async def _refuse(db: AsyncSession, owner: str, task_id: int) -> NoReturn:
    rows = await run(db, OWNER, {"task_id": task_id})
    # The owner's own, if it is there, has come since: it was not found.
    raise TaskNotOwned if rows and rows[0].user_id != owner else TaskNotFound
