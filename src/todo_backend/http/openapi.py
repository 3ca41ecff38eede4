"""The refusals as OpenAPI shows them: docs/spec.md, "Error Handling & Validation"."""

from typing import Any

from pydantic import BaseModel, Field


class Refusal(BaseModel):
    """Every answer that is not a success."""

    detail: str = Field(description="What is wrong, in a sentence.")


class Fault(BaseModel):
    """One fault of a request."""

    loc: list[str | int] = Field(description="Where it is.", examples=[["body", "title"]])
    msg: str = Field(description="What it is.", examples=["String should have at most 200 characters"])
    type: str = Field(description="Which kind it is of.", examples=["string_too_long"])


class InvalidRequest(Refusal):
    """A request that does not fit this document."""

    errors: list[Fault]


_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {
        "model": Refusal,
        "description": "No token, or one that is not accepted",
        "headers": {"WWW-Authenticate": {"description": "The challenge of RFC 6750", "schema": {"type": "string"}}},
    },
    403: {"model": Refusal, "description": "Another user's task"},
    404: {"model": Refusal, "description": "No such task"},
    408: {"model": Refusal, "description": "A body that did not arrive in time"},
    413: {"model": Refusal, "description": "A body that is too large"},
    422: {"model": InvalidRequest, "description": "A request that is not valid"},
    503: {
        "model": Refusal,
        "description": "The database, or Better Auth's key set, is unavailable; or the service is stopping",
        "headers": {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}}},
    },
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer these."""
    return {status: _REFUSALS[status] for status in statuses}
