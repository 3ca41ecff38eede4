"""Bring the schema up to date: create the table, take it over, or apply the migrations."""

import logging

from sqlalchemy import Connection, func, select

from todo_backend.database import catalogue, migrations
from todo_backend.database.schema import Schema, Status
from todo_backend.settings import CannotStart

log = logging.getLogger(__name__)

# The key of the advisory lock: an arbitrary number that other programs are unlikely to use.
LOCK = 8_362_450_197

# For each status that a start changes: the version to migrate from, and the log message.
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
    """Bring the schema up to date, and return its new state.

    Args:
        connection: not in autocommit, its isolation level READ COMMITTED.

    Raises:
        UnusableSchema: there is a table that cannot be served. Nothing has been changed.
    """
    lock(connection)
    found = catalogue.read(connection)  # under the lock, because another worker may have been faster
    if found.status in _ACTIONS:
        since, message = _ACTIONS[found.status]
        upgrade(connection, found.name, since=since)
        connection.commit()
        log.info(message, found.table)
        return catalogue.read(connection)
    if not found.is_served:
        raise UnusableSchema(found)
    return found


def lock(connection: Connection) -> None:
    """Wait for other processes that change the schema, and lock them out until the end of the transaction.

    A session-level lock would stay on a connection of Neon's pooler.
    """
    connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def upgrade(connection: Connection, name: str | None, *, since: str | None = None) -> None:
    """Apply the migrations in a schema, inside the transaction of the connection.

    Args:
        name: the schema, as Schema.name has it.
        since: the version to migrate from, `base` if there is no table; by default that of the version table.
    """
    # Until the end of the transaction, because the migrations do not name the schema.
    connection.execute(select(func.set_config("search_path", name, True)))
    migrations.upgrade(connection, since)
