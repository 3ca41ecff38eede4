"""What the state of the schema is called, and what is to be done about it: each state in full."""

from typing import Any

import pytest

from todo_backend.database.migrations import VERSIONS
from todo_backend.database.schema import Schema, Status

# As the catalogue has them: type, NOT NULL, identity, default.
OURS: dict[str, list[Any]] = {
    "id": ["bigint", True, "d", None],
    "user_id": ["text", True, "", None],
    "title": ["character varying(200)", True, "", None],
    "description": ["character varying(1000)", False, "", None],
    "completed": ["boolean", True, "", "false"],
    "created_at": ["timestamp with time zone", True, "", "now()"],
    "updated_at": ["timestamp with time zone", True, "", "now()"],
}
NEWEST = VERSIONS[-1]
INCOMPLETE = (
    "If it was renamed, rename it back. If not, run `todo-backend adopt`: it makes the table anew, takes the rows"
    " over, and keeps the old table."
)
ADOPT = "Run `todo-backend adopt`: it takes the rows over, and keeps the old table."
TABLE = "The table public.tasks"


def found(version: str | None = NEWEST, **changes: Any) -> Schema:
    return Schema(
        **{
            "name": "public",
            "kind": "r",
            "columns": OURS,
            "primary_key": ["id"],
            "version": version,
            "missing_privileges": [],
        }
        | changes
    )


def with_column(name: str, *column: Any) -> dict[str, list[Any]]:
    return OURS | {name: list(column)}


def without(name: str) -> dict[str, list[Any]]:
    return {other: column for other, column in OURS.items() if other != name}


@pytest.mark.proves("SCHEMA-2", "SCHEMA-3")
@pytest.mark.parametrize(
    ("schema", "status", "summary", "hint"),
    [
        (found(), Status.CURRENT, f"{TABLE} is up to date", ""),
        (
            found("9"),
            Status.LATER,
            f"{TABLE} has the schema version 9 of a later release, and can be served",
            "",
        ),
        (
            found(None, kind=None, columns={}, primary_key=[]),
            Status.EMPTY,
            "There is no table public.tasks yet",
            "Start the service: it makes the table.",
        ),
        (
            found(kind=None, columns={}, primary_key=[]),
            Status.LOST,
            f"{TABLE} is gone",
            "Restore it from a backup if there is one. Start the service: it makes the table again, if need be.",
        ),
        (
            found(VERSIONS[0]),
            Status.EARLIER,
            f"{TABLE} has the schema version {VERSIONS[0]}, not {NEWEST}",
            "Start the service: it applies the migrations.",
        ),
        (
            found(None),
            Status.UNVERSIONED,
            f"{TABLE} has no schema version",
            "Start the service: it takes the table over.",
        ),
        (found(None, kind="v"), Status.FOREIGN, f"{TABLE} was made by another program", ADOPT),
        (found(None, primary_key=[]), Status.FOREIGN, f"{TABLE} was made by another program", ADOPT),
        (
            found(None, columns=with_column("title", "text", True, "", None)),
            Status.FOREIGN,
            f"{TABLE} was made by another program",
            ADOPT,
        ),
        (found(columns=without("title")), Status.INCOMPLETE, f"{TABLE} lacks the column title, text", INCOMPLETE),
        (
            found("9", columns=without("completed")),
            Status.TOO_LATE,
            f"{TABLE}, schema version 9 of a later release, lacks the column completed, boolean",
            "Install the release that made it, or a later one.",
        ),
        (
            found(name=None),
            Status.NOWHERE,
            "The search path has no schema that this role can use",
            "`todo-backend check` prints the statement that adds one.",
        ),
    ],
)
def test_each_state(schema: Schema, status: Status, summary: str, hint: str) -> None:
    assert (schema.status, schema.summary, schema.hint) == (status, summary, hint)
    assert schema.is_served is (status in (Status.CURRENT, Status.LATER))


@pytest.mark.proves("SCHEMA-5")
@pytest.mark.parametrize(
    ("column", "kinds"),
    [
        ("id", ["bigint", "integer"]),
        *(
            (name, ["text", "character varying", "character varying(20)"])
            for name in ("user_id", "title", "description")
        ),
        ("completed", ["boolean"]),
        ("created_at", ["timestamp with time zone", "timestamp(3) with time zone"]),
        ("updated_at", ["timestamp with time zone"]),
    ],
)
def test_the_types_that_can_be_served(column: str, kinds: list[str]) -> None:
    _, *rest = OURS[column]
    for kind in kinds:
        assert found(columns=with_column(column, kind, *rest)).is_served, kind
    other = found(columns=with_column(column, "bytea", *rest))
    assert not other.is_served
    assert other.problem.endswith(f"lacks the column {column}, {kinds[0]} (it is bytea)")


@pytest.mark.proves("SCHEMA-5")
def test_the_defaults_that_are_needed() -> None:
    assert found(columns=with_column("id", "bigint", True, "", "nextval('tasks_id_seq'::regclass)")).is_served
    for name in ("id", "created_at", "updated_at"):
        kind, *_ = OURS[name]
        bare = found(columns=with_column(name, kind, True, "", None))
        assert bare.status is Status.INCOMPLETE
        assert bare.problem == f"the table public.tasks lacks the column {name} with a default (it has none)"
