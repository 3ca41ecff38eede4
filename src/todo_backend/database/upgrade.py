"""Bring the schema up to date: make the table, take it over, or apply the migrations."""

import logging

from sqlalchemy import Connection, func, select

from todo_backend.database import migrations, schema
from todo_backend.database.schema import Schema, Status
from todo_backend.settings import CannotStart

log = logging.getLogger(__name__)

# Any number that no other program on the database uses for its own lock.
LOCK = 8_362_450_197

# What is done about a status: the version that the table has before, and what is logged after.
_ACTIONS = {
    Status.EMPTY: ("base", "Made the table %s"),
    Status.LOST: ("base", "Made the table %s again, which was gone"),
    Status.EARLIER: (None, "Applied the migrations to the table %s"),
    Status.UNVERSIONED: (migrations.VERSIONS[0], "Took over the table %s, which had no schema version"),
}


class UnusableSchema(CannotStart):
    """There is a `tasks` that cannot be served, and retrying will not help; the text names it and the fix."""

    def __init__(self, found: Schema) -> None:
        super().__init__(f"The database cannot be used: {found.problem}. {found.hint}")


def prepare_schema(connection: Connection) -> Schema:
    """Bring the schema up to date, and return what there is now.

    Args:
        connection: one that begins transactions, of READ COMMITTED.

    Raises:
        UnusableSchema: there is a table that cannot be served. Nothing has been changed.
    """
    lock(connection)
    found = schema.read(connection)  # under the lock, because another worker may have been faster
    if found.status in _ACTIONS:
        since, message = _ACTIONS[found.status]
        upgrade(connection, found.name, since=since)
        connection.commit()
        log.info(message, found.table)
        return schema.read(connection)
    if not found.is_served:
        raise UnusableSchema(found)
    return found


def lock(connection: Connection) -> None:
    """Wait until no other program changes the schema, and keep them waiting until the end of the transaction.

    A lock of the session would be left behind on some connection of Neon's pooler.
    """
    connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def upgrade(connection: Connection, name: str | None, *, since: str | None = None) -> None:
    """Apply the migrations in a schema, inside the transaction of the connection.

    Args:
        name: the schema, as Schema.name has it.
        since: the version that the table has, `base` if there is none; what the version table says by default.
    """
    # For the rest of this transaction: the migrations name no schema.
    connection.execute(select(func.set_config("search_path", name, True)))
    migrations.upgrade(connection, since)
