"""The error responses as OpenAPI shows them: docs/spec.md, "Error Handling & Validation"."""

from typing import Any

from pydantic import BaseModel, Field


class ErrorResponse(BaseModel):
    """The body of every error response."""

    detail: str = Field(description="What is wrong, as a sentence to show.")


class FieldError(BaseModel):
    """One error of a request that is not valid."""

    loc: list[str | int] = Field(description="The path to the field.", examples=[["body", "title"]])
    msg: str = Field(
        description="The error, in words for developers.", examples=["String should have at most 200 characters"]
    )
    type: str = Field(description="The error code.", examples=["string_too_long"])


class ValidationErrorResponse(ErrorResponse):
    """The body of the response to a request that is not valid."""

    errors: list[FieldError] = Field(description="Every error, for programs.")


_ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {
        "model": ErrorResponse,
        "description": "No token, or one that is not accepted",
        "headers": {"WWW-Authenticate": {"description": "The challenge of RFC 6750", "schema": {"type": "string"}}},
    },
    403: {"model": ErrorResponse, "description": "Another user's task"},
    404: {"model": ErrorResponse, "description": "No such task"},
    408: {"model": ErrorResponse, "description": "A body that did not arrive in time"},
    413: {"model": ErrorResponse, "description": "A body that is too large"},
    422: {"model": ValidationErrorResponse, "description": "A request that is not valid"},
    503: {
        "model": ErrorResponse,
        "description": "Temporarily unavailable: `detail` says what",
        "headers": {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}}},
    },
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer these."""
    return {status: _ERROR_RESPONSES[status] for status in statuses}
