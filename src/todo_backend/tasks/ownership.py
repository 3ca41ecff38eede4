"""Ownership: a user reads and changes only their own tasks. Another user's task is a 403, a missing one a 404.

Every statement filters by owner with `owned`, except OWNER, which only tells a 403 from a 404.
"""

import logging
from collections.abc import Mapping
from typing import Any, NoReturn

from sqlalchemy import Table, bindparam, select

from todo_backend.database.executor import Executor, StatementRejected
from todo_backend.database.statement import Statement
from todo_backend.http.errors import TodoError
from todo_backend.tasks.models import Task

log = logging.getLogger(__name__)


class TaskNotFound(TodoError):
    status = 404
    detail = "Task not found"


class TaskNotOwned(TodoError):
    status = 403
    detail = "You do not own this task"


tasks: Table = Task.metadata.tables["tasks"]

owned = tasks.c.user_id == bindparam("owner")
owned_task = (tasks.c.id == bindparam("task_id")) & owned

OWNER = Statement(select(tasks.c.user_id).where(tasks.c.id == bindparam("task_id")))


async def run_on_owned(
    db: Executor, statement: Statement, owner: str, task_id: int, values: Mapping[str, Any] | None = None
) -> bytes:
    """Run a statement that filters by `owned_task`, and return its task.

    Args:
        owner: the id of the user who asks.
        values: the parameters of the statement besides the task and its owner.

    Raises:
        TaskNotFound: no task has this id.
        TaskNotOwned: another user has this task.
        StatementRejected: a trigger, a rule or a policy on the table prevents the change.
    """
    task = await db.run(statement, {"task_id": task_id, "owner": owner, **(values or {})})
    return task or await _raise_error(db, statement, owner, task_id)


async def _raise_error(db: Executor, statement: Statement, owner: str, task_id: int) -> NoReturn:
    found = (await db.run(OWNER, {"task_id": task_id})).decode()
    if found != owner:
        raise TaskNotOwned if found else TaskNotFound
    if statement.is_read:
        raise TaskNotFound  # it was inserted after the first query
    # Or it was inserted just now, and the client guessed its id. Running the statement again would tell, but also
    # run the trigger again, whatever that does.
    log.error("Task %d was not changed: look for a trigger, rule or policy on the table that prevents it", task_id)
    raise StatementRejected
