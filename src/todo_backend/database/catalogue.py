"""Reads the state of the schema from PostgreSQL's catalogue and the version table."""

from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, text

from todo_backend.database.migrations import VERSION_TABLE
from todo_backend.database.schema import Schema

# Statements use the first `tasks` of the search path, so that table's schema counts; if there is none, the version
# table's; without either, the one in which tables are created.
_CATALOGUE = f"""
    SELECT quote_ident(namespace.nspname) AS name,
        tasks.relkind::text AS kind,
        -- with quote_all_identifiers a type is "text" or "date", and a default "now"()
        (SELECT json_object_agg(attname, json_build_array(
                replace(format_type(atttypid, atttypmod), '"', ''), attnotnull,
                attidentity::text || attgenerated::text, replace(pg_get_expr(adbin, adrelid), '"', '')
                ) ORDER BY attnum)
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
