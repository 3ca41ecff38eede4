"""The state of the schema: whether there is a table `tasks`, who made it, and whether it can be served."""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, text

from todo_backend.database.migrations import VERSION_TABLE, VERSIONS


class Status(enum.Enum):
    """The states of the schema. The comments say what a start does."""

    CURRENT = enum.auto()  # serve it
    LATER = enum.auto()  # a later release's, with every column that is used: serve it, with a warning
    EMPTY = enum.auto()  # no table and no version: make the table
    LOST = enum.auto()  # a version without its table: make the table again
    EARLIER = enum.auto()  # an earlier release's: apply the migrations
    UNVERSIONED = enum.auto()  # exactly ours, without a version: take it over
    FOREIGN = enum.auto()  # another program's: end with one line
    INCOMPLETE = enum.auto()  # a known version, but a column is missing: end with one line
    TOO_LATE = enum.auto()  # an unknown version, and a column is missing: end with one line
    NOWHERE = enum.auto()  # no schema in which a table could be: end with one line


# The problem, and the fix.
_EXPLANATIONS = {
    Status.CURRENT: ("the table {table} is up to date", ""),
    Status.LATER: ("the table {table} has the schema version {version} of a later release, and can be served", ""),
    Status.EMPTY: ("there is no table {table} yet", "Start the service: it makes the table."),
    Status.LOST: (
        "the table {table} is gone",
        "Restore it from a backup if there is one. Start the service: it makes the table again, if need be.",
    ),
    Status.EARLIER: (
        "the table {table} has the schema version {version}, not {newest}",
        "Start the service: it applies the migrations.",
    ),
    Status.UNVERSIONED: ("the table {table} has no schema version", "Start the service: it takes the table over."),
    Status.FOREIGN: (
        "the table {table} was made by another program",
        "Run `todo-backend adopt`: it takes the rows over, and keeps the old table.",
    ),
    Status.INCOMPLETE: (
        "the table {table} lacks the column {lacking}",
        "If it was renamed, rename it back. If not, run `todo-backend adopt`: it makes the table anew, takes the"
        " rows over, and keeps the old table.",
    ),
    Status.TOO_LATE: (
        "the table {table}, schema version {version} of a later release, lacks the column {lacking}",
        "Install the release that made it, or a later one.",
    ),
    Status.NOWHERE: (
        "the search path has no schema that this role can use",
        "`todo-backend check` prints the statement that adds one.",
    ),
}

# Type, NOT NULL, identity and default of each column, as migration 0001 creates it.
_CREATED = {
    "id": ["bigint", True, "d", None],
    "user_id": ["text", True, "", None],
    "title": ["character varying(200)", True, "", None],
    "description": ["character varying(1000)", False, "", None],
    "completed": ["boolean", True, "", "false"],
    "created_at": ["timestamp with time zone", True, "", "now()"],
    "updated_at": ["timestamp with time zone", True, "", "now()"],
}
# What a table without a version must be to be ours. A migration that changes a column adds its form of it, such as
# `_CREATED | {"title": ["character varying(300)", True, "", None]}`.
_OURS = [_CREATED]
# The types, without length, that the statements work with. A later release may have changed a column to another.
_TEXT = ("text", "character varying")
_SERVED = {
    "id": ("bigint", "integer"),
    "user_id": _TEXT,
    "title": _TEXT,
    "description": _TEXT,
    "completed": ("boolean",),
    "created_at": ("timestamp with time zone",),
    "updated_at": ("timestamp with time zone",),
}
# The columns for which the statements give no value. After `pg_restore -t tasks` the id has no identity.
_MADE_BY_DATABASE = ("id", "created_at", "updated_at")

# Statements use the first `tasks` of the search path, so that table's schema counts; if there is none, the version
# table's; without either, the one in which tables are created.
_CATALOGUE = f"""
    SELECT quote_ident(namespace.nspname) AS name,
        tasks.relkind::text AS kind,
        (SELECT json_object_agg(attname, json_build_array(format_type(atttypid, atttypmod), attnotnull,
                attidentity::text || attgenerated::text, pg_get_expr(adbin, adrelid)) ORDER BY attnum)
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = tasks.oid AND attnum > 0 AND NOT attisdropped) AS columns,
        (SELECT json_agg(attname) FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
            WHERE indrelid = tasks.oid AND indisprimary) AS primary_key,
        (SELECT json_agg(privilege) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
            WHERE NOT has_table_privilege(tasks.oid, privilege)) AS missing_privileges,
        (SELECT oid FROM pg_class WHERE relnamespace = namespace.oid AND relname = '{VERSION_TABLE}') AS versions
    FROM (SELECT coalesce(
            (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('tasks')),
            (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('{VERSION_TABLE}')),
            (SELECT oid FROM pg_namespace WHERE nspname = current_schema())) AS oid) AS home
        LEFT JOIN pg_namespace AS namespace USING (oid)
        LEFT JOIN pg_class AS tasks ON tasks.oid = to_regclass('tasks')
"""
# Usually one row. Without a row there is no version; several rows are an unknown version.
_VERSION = f"SELECT string_agg(version_num, ', ' ORDER BY version_num) AS version FROM {{}}{VERSION_TABLE}"
_BOTH = f"""
    SELECT * FROM ({_CATALOGUE}) AS catalogue, ({_VERSION.format("")}) AS version
    WHERE versions = to_regclass('{VERSION_TABLE}')
"""


@dataclass(frozen=True)
class Schema:
    """What the catalogue and the version table contain.

    Attributes:
        name: the schema of the table, or the one in which it would be created, quoted for SQL; None if there
            is none.
        kind: pg_class.relkind of `tasks`, `r` for a table; None if there is none.
        columns: for each column of `tasks`, in order: its type, whether it is NOT NULL, `d` for GENERATED BY
            DEFAULT AS IDENTITY, and its default.
        version: the content of the version table.
        missing_privileges: privileges on `tasks` that the statements need and this role lacks.
    """

    name: str | None
    kind: str | None
    columns: Mapping[str, list[Any]]
    primary_key: list[str]
    version: str | None
    missing_privileges: list[str]

    @property
    def table(self) -> str:
        """The table with its schema, as SQL names it."""
        return f"{self.name}.tasks"

    @property
    def status(self) -> Status:
        if self.name is None:
            return Status.NOWHERE
        if self.version is None:
            return self._status_without_version
        if self.version not in VERSIONS:
            return Status.TOO_LATE if self._lacking else Status.LATER
        if self.kind is None:
            return Status.LOST
        if self._lacking:
            return Status.INCOMPLETE
        return Status.CURRENT if self.version == VERSIONS[-1] else Status.EARLIER

    @property
    def _status_without_version(self) -> Status:
        if self.kind is None:
            return Status.EMPTY
        is_ours = self.kind == "r" and self.columns in _OURS and self.primary_key == ["id"]
        return Status.UNVERSIONED if is_ours else Status.FOREIGN

    @property
    def is_served(self) -> bool:
        """Whether the service can run on it without a change."""
        return self.status in (Status.CURRENT, Status.LATER)

    @property
    def problem(self) -> str:
        """What the status means, as a part of a sentence that names the table; also of a current one."""
        return self._fill(_EXPLANATIONS[self.status][0])

    @property
    def summary(self) -> str:
        """The same as a sentence of its own, without a full stop."""
        return self.problem[0].upper() + self.problem[1:]

    @property
    def hint(self) -> str:
        """The fix; empty if there is nothing to fix."""
        return self._fill(_EXPLANATIONS[self.status][1])

    @property
    def _lacking(self) -> str:
        """The first column that is missing, or has an unsuitable type or no default; empty if there is none."""
        for name, types in _SERVED.items():
            found = self.columns[name][0] if name in self.columns else None
            if re.sub(r"\(\d+\)", "", found or "") not in types:
                return f"{name}, {types[0]}" + (f" (it is {found})" if found else "")
        for name in _MADE_BY_DATABASE:
            _, _, identity, default = self.columns[name]
            if not identity and default is None:
                return f"{name} with a default (it has none)"
        return ""

    def _fill(self, words: str) -> str:
        return words.format(table=self.table, version=self.version, newest=VERSIONS[-1], lacking=self._lacking)


def read(connection: Connection) -> Schema:
    """Return the state of the schema, with two queries."""
    row = connection.execute(text(_CATALOGUE)).one()
    version = connection.scalar(text(_VERSION.format(f"{row.name}."))) if row.versions else None
    return _schema(row, version)


async def read_at_once(connection: psycopg.AsyncConnection[Any]) -> Schema | None:
    """Return the state of the schema with one query, so that a start far from the database is quick.

    Args:
        connection: in autocommit; otherwise a missing table would leave it in a failed transaction.

    Returns:
        None if the table's schema has no version table.
    """
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        try:
            row: Any = await (await cursor.execute(_BOTH.encode())).fetchone()
        except psycopg.errors.UndefinedTable:
            return None
    return _schema(row, row.version) if row else None


def _schema(row: Any, version: str | None) -> Schema:
    keys = row.primary_key or []
    return Schema(row.name, row.kind, row.columns or {}, keys, version, row.missing_privileges or [])
