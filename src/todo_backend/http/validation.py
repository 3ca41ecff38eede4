"""Validation errors (422), as sentences and as a list: docs/spec.md, "Error Handling & Validation"."""

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from todo_backend.http.openapi import FieldError, ValidationErrorResponse
from todo_backend.tasks.models import DESCRIPTION_MAX_LENGTH, TITLE_MAX_LENGTH

_NAMES = {"body": "request body", "task_id": "task id"}  # other fields are called by their own names

# What a field must do; the end of the sentence about every error that has none of its own below.
_RULES = {
    "title": f"have 1 to {TITLE_MAX_LENGTH} characters",
    "description": f"have at most {DESCRIPTION_MAX_LENGTH} characters",
    "status": "be all, pending or completed",
    "task_id": "be a whole number",
    "body": "be a JSON object",
}

# By type of error: Pydantic's, or one of our own.
_SENTENCES = {
    "missing": "The {field} is missing.",
    "string_type": "The {field} must be text.",
    "string_nul": "The {field} has a character that cannot be stored.",
    "string_unicode": "The {field} has a character that cannot be stored.",
    "json_invalid": "The {field} is not valid JSON.",
    "content_type": "The {field} must have the Content-Type application/json.",
    "nothing_to_change": "A change needs a title or a description.",
    "completed_read_only": "A change needs a title or a description; "
    "completed is changed with PATCH /api/tasks/{{task_id}}/complete.",
}


async def handle_invalid_request(_: Request, error: RequestValidationError) -> JSONResponse:
    """Return the 422 for a request that is not valid. It never repeats the input."""
    errors = [FieldError(**details) for details in error.errors()]
    if isinstance(error.body, bytes):
        # FastAPI hands on the raw bytes, and an unclear error, where the content type is not JSON.
        errors = [FieldError(loc=["body"], msg="Content-Type must be application/json", type="content_type")]
    elif errors[0].type == "json_invalid":
        # FastAPI names a position where the others name a field.
        errors = [FieldError(loc=["body"], msg="Not valid JSON", type="json_invalid")]
    detail = " ".join(map(_sentence, errors))
    return JSONResponse(ValidationErrorResponse(detail=detail, errors=errors).model_dump(), 422)


def _sentence(error: FieldError) -> str:
    name = str(error.loc[-1])
    sentence = _SENTENCES.get(error.type, "The {field} must {rule}.")
    return sentence.format(field=_NAMES.get(name, name), rule=_RULES.get(name, "be valid"))
