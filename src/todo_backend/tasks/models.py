"""The table `tasks`, and the models of request and response bodies."""

from datetime import datetime
from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import BigInteger, DateTime, Identity, Index, Text, func, text
from sqlmodel import Field, SQLModel

TITLE_MAX_LENGTH = 200
DESCRIPTION_MAX_LENGTH = 1000
MAX_ID = 2**53 - 1  # the largest integer that JavaScript holds


def _without_nul(value: str) -> str:
    """PostgreSQL's text holds every character but this one."""
    if "\x00" in value:
        raise PydanticCustomError("string_nul", "String should not contain the NUL character")
    return value


# For OpenAPI alone: no NUL, and something that is not Unicode's white space, which is what Pydantic strips.
_WHITE_SPACE = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_TITLE_PATTERN = rf"^[^\u0000]*[^\u0000{_WHITE_SPACE}][^\u0000]*$"
_DESCRIPTION_PATTERN = r"^[^\u0000]*$"

Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_MAX_LENGTH),
    AfterValidator(_without_nul),
    pydantic.Field(json_schema_extra={"pattern": _TITLE_PATTERN}),
]
Description = Annotated[
    str,
    StringConstraints(max_length=DESCRIPTION_MAX_LENGTH),
    AfterValidator(_without_nul),
    pydantic.Field(json_schema_extra={"pattern": _DESCRIPTION_PATTERN}),
]


EXAMPLE: dict[str, Any] = {"title": "Buy milk", "description": "Two litres"}
READ_EXAMPLE = {
    "id": 1,
    "user_id": "N8rMAtNHXwCS7j2GxWvSaEXAMPLEuser",
    **EXAMPLE,
    "completed": False,
    "created_at": "2026-01-31T09:30:00.123456Z",
    "updated_at": "2026-01-31T09:30:00.123456Z",
}


class TaskCreate(SQLModel):
    """A new task. Other members are ignored."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    title: Title
    description: Description | None = None


class TaskUpdate(SQLModel):
    """What to change: a member that is left out stays as it is. Other members are ignored."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"title": "Buy oat milk"}],
            # A body that is not empty has one of the two, as _reject_without_effect says.
            "if": {"minProperties": 1},
            "then": {"anyOf": [{"required": ["title"]}, {"required": ["description"]}]},
        }
    }

    # A default that is never used (see model_fields_set) where None would make null valid and OpenAPI say so.
    title: Title = Field(default_factory=str)
    description: Description | None = None

    @model_validator(mode="before")
    @classmethod
    def _reject_without_effect(cls, body: Any) -> Any:
        """Reject a body whose members cannot be changed. An empty object is accepted, and changes nothing."""
        if isinstance(body, dict) and body and body.keys().isdisjoint(cls.model_fields):
            kind = "completed_read_only" if "completed" in body else "nothing_to_change"
            raise PydanticCustomError(kind, "Body should contain title or description")
        return body


class TaskRead(SQLModel):
    """A task in a response."""

    model_config = {"json_schema_extra": {"examples": [READ_EXAMPLE]}}

    id: int
    user_id: str
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


class Task(SQLModel, table=True):
    """A row. The database makes the id and the times: it has the one clock that all workers share."""

    __tablename__ = "tasks"
    # Serves a user's list in its order, without a sort.
    __table_args__ = (Index("ix_tasks_user_id_id", "user_id", "id"),)

    id: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(maxvalue=MAX_ID)]
    )
    # The user's id in Better Auth, without a foreign key, because Better Auth owns its tables.
    user_id: str = Field(sa_type=Text)
    title: str = Field(max_length=TITLE_MAX_LENGTH)
    description: str | None = Field(default=None, max_length=DESCRIPTION_MAX_LENGTH)
    completed: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    created_at: datetime | None = Field(
        default=None,
        nullable=False,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )
    updated_at: datetime | None = Field(
        default=None,
        nullable=False,
        sa_type=DateTime(timezone=True),
        sa_column_kwargs={"server_default": func.now()},
    )
