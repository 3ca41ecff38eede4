"""Tasks in PostgreSQL: one statement an operation, and a second one only to tell why there was nothing to do.

Every statement but OWNER, which only tells a 403 from a 404, names the owner, so that none can touch another user's
task; and each is its own transaction.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal, NoReturn

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Table,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from todo_backend.database.executor import Executor
from todo_backend.database.statement import Statement
from todo_backend.http.errors import TodoError
from todo_backend.tasks.models import Task, TaskCreate, TaskRead, TaskUpdate

Status = Literal["all", "pending", "completed"]


class TaskNotFound(TodoError):
    status = 404
    detail = "Task not found"


class TaskNotOwned(TodoError):
    status = 403
    detail = "You do not own this task"


tasks: Table = Task.metadata.tables["tasks"]


def _json(column: Column[Any]) -> ColumnElement[Any]:
    """A column as Pydantic writes it. Times are in UTC, whatever the time zone of the database."""
    if not isinstance(column.type, DateTime):
        return column
    utc = func.timezone(literal_column("'UTC'"), column)
    digits = func.to_char(utc, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""))
    return func.replace(digits, literal_column("'.000000'"), literal_column("''"))


# The task as every answer holds it, which is TaskRead, written by PostgreSQL.
_task = func.json_build_object(
    *chain(*((literal_column(f"'{name}'"), _json(tasks.c[name])) for name in TaskRead.model_fields))
)
_owned = (tasks.c.id == bindparam("task_id")) & (tasks.c.user_id == bindparam("owner"))

# now() is when the transaction began, which may be before the change that this one waited for was made;
# and no clock is trusted not to go back.
_later = func.greatest(func.clock_timestamp(), tasks.c.updated_at + text("interval '1 microsecond'"))

_list = select(func.json_agg(aggregate_order_by(_task, tasks.c.id))).where(tasks.c.user_id == bindparam("owner"))
LIST = Statement(_list)
LIST_BY_COMPLETED = Statement(_list.where(tasks.c.completed == bindparam("is_completed")))
GET = Statement(select(_task).where(_owned))
CREATE = Statement(
    insert(tasks)
    .values(
        user_id=bindparam("owner"),
        title=bindparam("new_title"),
        description=bindparam("new_description"),
        completed=false(),
    )
    .returning(_task)
)
UPDATE = Statement(
    update(tasks)
    .where(_owned)
    .values(
        title=case((bindparam("has_title"), bindparam("new_title")), else_=tasks.c.title),
        description=case((bindparam("has_description"), bindparam("new_description")), else_=tasks.c.description),
        updated_at=_later,
    )
    .returning(_task)
)
TOGGLE = Statement(
    update(tasks).where(_owned).values(completed=~tasks.c.completed, updated_at=_later).returning(_task)
)
DELETE = Statement(delete(tasks).where(_owned).returning(_task))
OWNER = Statement(select(tasks.c.user_id).where(tasks.c.id == bindparam("task_id")))


async def list_tasks(db: Executor, owner: str, status: Status) -> bytes:
    """Return the owner's tasks, oldest first."""
    if status == "all":
        return await db.run(LIST, {"owner": owner}) or b"[]"
    return await db.run(LIST_BY_COMPLETED, {"owner": owner, "is_completed": status == "completed"}) or b"[]"


async def create_task(db: Executor, owner: str, task: TaskCreate) -> bytes:
    """Return the new task."""
    values = {"owner": owner, "new_title": task.title, "new_description": task.description}
    return await db.run(CREATE, values)


async def get_task(db: Executor, owner: str, task_id: int) -> bytes:
    """Return the task.

    Raises:
        TaskNotFound, TaskNotOwned: so do the three below.
    """
    return await _run_on_owned(db, GET, owner, task_id)


async def update_task(db: Executor, owner: str, task_id: int, task: TaskUpdate) -> bytes:
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


async def toggle_task(db: Executor, owner: str, task_id: int) -> bytes:
    """Return the task, completed if it was pending and the other way round; concurrent toggles all count."""
    return await _run_on_owned(db, TOGGLE, owner, task_id)


async def delete_task(db: Executor, owner: str, task_id: int) -> bytes:
    """Return the task as it was."""
    return await _run_on_owned(db, DELETE, owner, task_id)


async def _run_on_owned(
    db: Executor, statement: Statement, owner: str, task_id: int, values: Mapping[str, Any] | None = None
) -> bytes:
    task = await db.run(statement, {"task_id": task_id, "owner": owner, **(values or {})})
    return task or await _refuse(db, owner, task_id)


async def _refuse(db: Executor, owner: str, task_id: int) -> NoReturn:
    found = (await db.run(OWNER, {"task_id": task_id})).decode()
    # If the caller owns it, it was inserted after the first query.
    raise TaskNotOwned if found and found != owner else TaskNotFound
