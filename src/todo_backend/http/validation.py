"""Validation errors (422), as sentences and as a list: docs/spec.md, "Error Handling & Validation".

What each field of a task must be is in tasks/messages.py.
"""

from collections.abc import Mapping

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from todo_backend.http.openapi import FieldError, ValidationErrorResponse

# By type of error: Pydantic's, or one of our own.
_SENTENCES = {
    "missing": "The {field} is missing.",
    "string_type": "The {field} must be text.",
    "string_nul": "The {field} has a character that cannot be stored.",
    "string_unicode": "The {field} has a character that cannot be stored.",
    "json_invalid": "The {field} is not valid JSON.",
    "content_type": "The {field} must have the Content-Type application/json.",
}


class ValidationErrorHandler:
    """Responds with a 422 to a request that is not valid. The response never repeats the input.

    Args:
        rules: by field, what its value must do: the end of the sentence `The {field} must {rule}.`
        sentences: by type of error, a whole sentence; `{field}` in it is the name of the field.
    """

    def __init__(self, rules: Mapping[str, str], sentences: Mapping[str, str]) -> None:
        self._rules = {"body": "be a JSON object", **rules}
        self._sentences = {**_SENTENCES, **sentences}

    async def __call__(self, _: Request, error: RequestValidationError) -> JSONResponse:
        errors = [FieldError(**details) for details in error.errors()]
        if isinstance(error.body, bytes):
            # FastAPI hands on the raw bytes, and an unclear error, where the content type is not JSON.
            errors = [FieldError(loc=["body"], msg="Content-Type must be application/json", type="content_type")]
        elif errors[0].type == "json_invalid":
            # FastAPI names a position where the others name a field.
            errors = [FieldError(loc=["body"], msg="Not valid JSON", type="json_invalid")]
        detail = " ".join(map(self._sentence, errors))
        return JSONResponse(ValidationErrorResponse(detail=detail, errors=errors).model_dump(), 422)

    def _sentence(self, error: FieldError) -> str:
        name = str(error.loc[-1])
        field = "request body" if name == "body" else name.replace("_", " ")
        sentence = self._sentences.get(error.type, "The {field} must {rule}.")
        return sentence.format(field=field, rule=self._rules.get(name, "be valid"))
