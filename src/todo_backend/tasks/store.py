"""Tasks in PostgreSQL: one statement for each operation, in a transaction of its own.

Each filters by owner, see ownership.py.
"""

import logging
from typing import Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Text,
    bindparam,
    case,
    cast,
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

from todo_backend.database.executor import Executor, StatementRejected
from todo_backend.database.statement import Statement
from todo_backend.tasks.models import TaskCreate, TaskRead, TaskUpdate
from todo_backend.tasks.ownership import owned, owned_task, run_on_owned, tasks

log = logging.getLogger(__name__)

Status = Literal["all", "pending", "completed"]


def _json(column: Column[Any]) -> ColumnElement[Any]:
    """Return a column as JSON, as Pydantic writes it: times are in UTC, whatever the time zone of the database."""
    value: ColumnElement[Any] = column
    if isinstance(column.type, DateTime):
        utc = func.timezone(literal_column("'UTC'"), column)
        digits = func.to_char(utc, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""))
        value = func.replace(digits, literal_column("'.000000'"), literal_column("''"))
    json = func.to_json(value)
    return func.coalesce(cast(json, Text), literal_column("'null'")) if column.nullable else json


# The task as TaskRead has it. PostgreSQL lists 1,000 in 0.7 of the time of json_build_object() and json_agg().
_members = ",".join(f'"{name}":%s' for name in TaskRead.model_fields)
_task: ColumnElement[str] = func.format(
    literal_column(f"'{{{_members}}}'"), *(_json(tasks.c[name]) for name in TaskRead.model_fields)
)

# now() is the start of the transaction: a statement that waited for another would set an earlier time than that one
# did. And a clock may go back.
_later = func.greatest(func.clock_timestamp(), tasks.c.updated_at + text("interval '1 microsecond'"))

_tasks = func.string_agg(_task, aggregate_order_by(literal_column("','"), tasks.c.id))
_list = select(func.concat(literal_column("'['"), _tasks, literal_column("']'"))).where(owned)
LIST = Statement(_list)
LIST_BY_COMPLETED = Statement(_list.where(tasks.c.completed == bindparam("is_completed")))
GET = Statement(select(_task).where(owned_task))
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
    .where(owned_task)
    .values(
        title=case((bindparam("has_title"), bindparam("new_title")), else_=tasks.c.title),
        description=case((bindparam("has_description"), bindparam("new_description")), else_=tasks.c.description),
        updated_at=_later,
    )
    .returning(_task)
)
TOGGLE = Statement(
    update(tasks).where(owned_task).values(completed=~tasks.c.completed, updated_at=_later).returning(_task)
)
DELETE = Statement(delete(tasks).where(owned_task).returning(_task))


async def list_tasks(db: Executor, owner: str, status: Status) -> bytes:
    """Return the owner's tasks, oldest first."""
    if status == "all":
        return await db.run(LIST, {"owner": owner})
    return await db.run(LIST_BY_COMPLETED, {"owner": owner, "is_completed": status == "completed"})


async def create_task(db: Executor, owner: str, task: TaskCreate) -> bytes:
    """Return the new task.

    Raises:
        StatementRejected: a trigger or a rule keeps it from being inserted.
    """
    values = {"owner": owner, "new_title": task.title, "new_description": task.description}
    created = await db.run(CREATE, values)
    if not created:
        log.error("The new task was not inserted: look for a trigger or rule on the table that prevents it")
        raise StatementRejected
    return created


async def get_task(db: Executor, owner: str, task_id: int) -> bytes:
    """Return the task.

    Raises:
        TaskNotFound, TaskNotOwned: see ownership.py; the next three raise them, too, and StatementRejected.
    """
    return await run_on_owned(db, GET, owner, task_id)


async def update_task(db: Executor, owner: str, task_id: int, task: TaskUpdate) -> bytes:
    """Return the task with the given fields changed. Without any, nothing changes, nor does `updated_at`."""
    given = task.model_fields_set
    if not given:
        return await get_task(db, owner, task_id)
    values = {
        "has_title": "title" in given,
        "new_title": task.title,
        "has_description": "description" in given,
        "new_description": task.description,
    }
    return await run_on_owned(db, UPDATE, owner, task_id, values)


async def toggle_task(db: Executor, owner: str, task_id: int) -> bytes:
    """Return the task, completed if it was pending and the other way round; concurrent toggles all count."""
    return await run_on_owned(db, TOGGLE, owner, task_id)


async def delete_task(db: Executor, owner: str, task_id: int) -> bytes:
    """Return the task as it was."""
    return await run_on_owned(db, DELETE, owner, task_id)
