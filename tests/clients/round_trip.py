"""Every operation by the client that openapi-python-client generates: python round_trip.py BACKEND TOKEN"""

import sys
from http import HTTPStatus

from tasks_client import AuthenticatedClient
from tasks_client.api.tasks import create_task, delete_task, get_task, list_tasks, toggle_task, update_task
from tasks_client.models import (
    ErrorResponse,
    ListTasksStatus,
    TaskCreate,
    TaskRead,
    TaskUpdate,
    ValidationErrorResponse,
)

client = AuthenticatedClient(sys.argv[1], sys.argv[2])

created = create_task.sync(client=client, body=TaskCreate("Buy milk"))
assert isinstance(created, TaskRead)
assert created.description is None
assert created.created_at.tzinfo is not None

described = update_task.sync(created.id, client=client, body=TaskUpdate(description="Two litres"))
assert isinstance(described, TaskRead)
assert described.description == "Two litres"
left = update_task.sync(created.id, client=client, body=TaskUpdate(title="Buy oat milk"))
assert isinstance(left, TaskRead)
assert left.description == "Two litres"
cleared = update_task.sync(created.id, client=client, body=TaskUpdate(description=None))
assert isinstance(cleared, TaskRead)
assert cleared.description is None

assert get_task.sync(created.id, client=client) == cleared
toggled = toggle_task.sync(created.id, client=client)
assert isinstance(toggled, TaskRead)
assert toggled.completed
assert list_tasks.sync(client=client, status=ListTasksStatus.COMPLETED) == [toggled]
assert delete_task.sync(created.id, client=client) == toggled

missing = get_task.sync_detailed(created.id, client=client)
assert missing.status_code is HTTPStatus.NOT_FOUND
assert isinstance(missing.parsed, ErrorResponse)
assert missing.parsed.detail == "Task not found"
invalid = create_task.sync(client=client, body=TaskCreate("", description=None))
assert isinstance(invalid, ValidationErrorResponse)
assert invalid.errors[0].loc == ["body", "title"]
