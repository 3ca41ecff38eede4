"""What a 422 says about the fields of a task: docs/spec.md, "Error Handling & Validation"."""

from todo_backend.tasks.models import DESCRIPTION_MAX_LENGTH, TITLE_MAX_LENGTH

# By field: the end of the sentence `The title must ...`.
RULES = {
    "title": f"have 1 to {TITLE_MAX_LENGTH} characters",
    "description": f"have at most {DESCRIPTION_MAX_LENGTH} characters",
    "status": "be all, pending or completed",
    "task_id": "be a whole number",
}

# By type of error, where a rule does not say enough.
SENTENCES = {
    "nothing_to_change": "A change needs a title or a description.",
    "completed_read_only": "A change needs a title or a description; "
    "completed is changed with PATCH /api/tasks/{{task_id}}/complete.",
}
