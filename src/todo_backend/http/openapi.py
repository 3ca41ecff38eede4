"""What the OpenAPI document adds to FastAPI's: error responses and the bearer scheme."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field


class ErrorResponse(BaseModel):
    """The body of every error response."""

    detail: str = Field(description="What is wrong, as a sentence to show.")


class FieldError(BaseModel):
    """One error of a request that is not valid."""

    loc: list[str | int] = Field(description="The path to the field.", examples=[["body", "title"]])
    msg: str = Field(
        description="The error, in words for developers.", examples=["String should have at least 1 character"]
    )
    type: str = Field(description="The error code.", examples=["string_too_short"])


class ValidationErrorResponse(ErrorResponse):
    """The body of the response to a request that is not valid."""

    errors: list[FieldError] = Field(description="Every error, for programs.")


_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The JWT of the Better Auth session; `todo-backend token` prints one to try things with.",
}

# By status, where the status alone says too little.
_ERROR_RESPONSES: dict[int, dict[str, Any]] = {
    401: {
        "description": "No token, or one that is not accepted",
        "headers": {"WWW-Authenticate": {"description": "The challenge of RFC 6750", "schema": {"type": "string"}}},
    },
    403: {"description": "Another user's task"},
    404: {"description": "No such task"},
    408: {"description": "A body that did not arrive in time"},
    413: {"description": "A body that is too large"},
    422: {"model": ValidationErrorResponse, "description": "A request that is not valid"},
    503: {
        "description": "Temporarily unavailable: `detail` says what",
        "headers": {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}}},
    },
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer with these statuses."""
    return {
        status: {
            "model": ErrorResponse,
            "description": HTTPStatus(status).phrase,
            **_ERROR_RESPONSES.get(status, {}),
        }
        for status in statuses
    }


def declare_bearer(app: FastAPI, *, prefix: str) -> None:
    """Make the document say that every operation under the prefix needs a bearer token.

    This follows https://fastapi.tiangolo.com/how-to/extending-openapi/. FastAPI's other way, a dependency on
    HTTPBearer, would parse the header in each request once more than AuthMiddleware does.
    """
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        document["components"]["securitySchemes"] = {"BearerAuth": _BEARER}
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [{"BearerAuth": []}] if path.startswith(prefix) else []
        return document

    app.openapi = openapi  # type: ignore[method-assign]
