"""SQL that converts the rows of another program's `tasks` to ours, and never fails on a value.

A value that cannot be converted is a fault of its row. A failed cast would abort the statement, and all of `adopt`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.sql import Identifier

from todo_backend.auth.tokens import MAX_USER_ID_LENGTH
from todo_backend.database.schema import Schema
from todo_backend.tasks.models import DESCRIPTION_MAX_LENGTH, MAX_ID, TITLE_MAX_LENGTH

# How other programs name our columns: in lower case, without underscores, the preferred name first.
_NAMES = {
    "id": ("id",),
    "user_id": ("userid", "ownerid"),
    "title": ("title",),
    "description": ("description",),
    "completed": ("completed", "iscompleted"),
    "created_at": ("createdat",),
    "updated_at": ("updatedat",),
}
COLUMNS = tuple(_NAMES)

_INTEGERS = ("smallint", "integer", "bigint")
_NUMBERS = (*_INTEGERS, "numeric", "real", "double precision")

_TRUE = "'t', 'true', 'y', 'yes', 'on', '1'"
_FALSE = "'f', 'false', 'n', 'no', 'off', '0'"

# Unicode's white space, which is what Pydantic trims from a title.
_WHITE_SPACE = (
    r"E'\t\n\u000B\f\r \u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A"
    r"\u2028\u2029\u202F\u205F\u3000'"
)
# The characters that a `sub` claim may not have. PostgreSQL's text holds neither NUL nor surrogates.
_CONTROL = r"'[\u0001-\u001F\u007F-\u009F]'"

# An existing day in ISO 8601, from the year 1 on, with an optional time and time zone.
_LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DAY = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
_ZONE = "(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)"
_TIME = f"[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?( ?{_ZONE})?"
_ISO_8601 = f"'^(?!0000)([0-9]{{4}}-{_DAY}|{_LEAP_YEAR}-02-29)({_TIME})?$'"
_HAS_ZONE = f"'[0-9] ?{_ZONE}$'"

# Those of which `new Date()` reads what the service answers.
_YEARS = "'0001-01-01 00:00+00' AND '9999-12-31 23:59:59.999999+00'"
_DATES = "'0001-01-01' AND '9999-12-31'"

# The first condition that is true for a row is its fault.
FAULTS = {
    "no owner": "user_id IS NULL OR user_id = ''",
    "an owner that is not a user id": f"length(user_id) > {MAX_USER_ID_LENGTH} OR user_id ~ {_CONTROL}",
    "a blank title": "title IS NULL OR title = ''",
    f"a title over {TITLE_MAX_LENGTH} characters": f"length(title) > {TITLE_MAX_LENGTH}",
    f"a description over {DESCRIPTION_MAX_LENGTH} characters": f"length(description) > {DESCRIPTION_MAX_LENGTH}",
    "a completed that is neither true nor false": "has_completed AND completed IS NULL",
    "a created_at that is not a time": f"has_created_at AND (created_at BETWEEN {_YEARS}) IS NOT TRUE",
    "an updated_at that is not a time": f"has_updated_at AND (updated_at BETWEEN {_YEARS}) IS NOT TRUE",
}


@dataclass(frozen=True)
class OldRows:
    """How the columns of an old table become ours.

    Attributes:
        sources: for each of our columns the old one, or None if there is none.
        types: the types of the old columns.
        has_unique_ids: whether the id is the primary key.
    """

    sources: Mapping[str, str | None]
    types: Mapping[str, str]
    has_unique_ids: bool

    @classmethod
    def of(cls, found: Schema) -> "OldRows":
        sources = {column: _source(column, found.columns) for column in COLUMNS}
        types = {name: re.sub(r"\([\d,-]+\)", "", column[0]) for name, column in found.columns.items()}
        return cls(sources, types, found.primary_key == [sources["id"]])

    @property
    def keeps_ids(self) -> bool:
        return self._type("id") in _INTEGERS

    def select(self, table: str, *, at_once: bool = False) -> str:
        """Return the statement that reads the rows from a table.

        It returns our columns, with a null `id` if the row needs a new one; `old_id`; `place`, the row's ctid; and
        `fault`, null if the row can be taken over.

        Args:
            at_once: compute each value once per row, not once per fault. This is for queries that need all rows:
                PostgreSQL applies their conditions only after it.
        """
        text = self._text
        faults = " ".join(f"WHEN {condition} THEN '{fault}'" for fault, condition in FAULTS.items())
        return f"""
            SELECT id, user_id, title, description, coalesce(completed, false) AS completed,
                coalesce(created_at, now()) AS created_at, coalesce(updated_at, now()) AS updated_at,
                old_id, place, CASE {faults} END AS fault
            FROM (SELECT {self._id()} AS id, {text("user_id")} AS user_id,
                    btrim({text("title")}, {_WHITE_SPACE}) AS title, {text("description")} AS description,
                    {self._completed()} AS completed, {self._given("completed")} AS has_completed,
                    {self._time("created_at")} AS created_at, {self._given("created_at")} AS has_created_at,
                    {self._time("updated_at")} AS updated_at, {self._given("updated_at")} AS has_updated_at,
                    {self._old_id()} AS old_id, old.ctid AS place
                FROM {table} AS old {"OFFSET 0" if at_once else ""}) AS read
        """

    def _type(self, column: str) -> str | None:
        source = self.sources[column]
        return self.types[source] if source else None

    def _value(self, column: str) -> str:
        source = self.sources[column]
        return f"old.{Identifier(source).as_string()}" if source else "NULL"

    def _text(self, column: str) -> str:
        return f"{self._value(column)}::text"

    def _given(self, column: str) -> str:
        return f"{self._value(column)} IS NOT NULL"

    def _old_id(self) -> str:
        return self._value("id") if self.keeps_ids else self._text("id")

    def _id(self) -> str:
        if not self.keeps_ids:
            return "NULL::bigint"
        value = self._value("id")
        condition = f"{value} BETWEEN 1 AND {MAX_ID}"
        if not self.has_unique_ids:  # of several rows with the same id, the first keeps it
            condition += f" AND row_number() OVER (PARTITION BY {value} ORDER BY old.ctid) = 1"
        return f"CASE WHEN {condition} THEN {value}::bigint END"

    def _completed(self) -> str:
        value = self._value("completed")
        if self._type("completed") in _NUMBERS:
            return f"{value} <> 0"
        word = f"lower(btrim({value}::text))"
        return f"CASE WHEN {word} IN ({_TRUE}) THEN true WHEN {word} IN ({_FALSE}) THEN false END"

    def _time(self, column: str) -> str:
        value = self._value(column)
        match self._type(column):
            case "timestamp with time zone":
                return value
            case "timestamp without time zone":
                return f"{value} AT TIME ZONE 'UTC'"
            case "date":
                return f"CASE WHEN {value} BETWEEN {_DATES} THEN {value}::timestamp AT TIME ZONE 'UTC' END"
        zone = f"CASE WHEN {value}::text ~* {_HAS_ZONE} THEN '' ELSE ' UTC' END"
        return f"CASE WHEN {value}::text ~* {_ISO_8601} THEN ({value}::text || {zone})::timestamptz END"


def _source(column: str, names: Mapping[str, object]) -> str | None:
    def rank(name: str) -> tuple[int, bool]:
        return _NAMES[column].index(_plain(name)), "_" not in name

    return min((name for name in names if _plain(name) in _NAMES[column]), key=rank, default=None)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
