"""Alembic's migrations, which come with the package and run at start-up.

Alembic itself is imported when there is something to migrate: it takes a tenth of a worker's memory and start.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, func, inspect, select, table

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent
HEAD = max(path.name for path in (FOLDER / "versions").glob("[0-9]*.py")).partition("_")[0]

# Any number that no other program on the database uses for its own lock.
LOCK = 8_362_450_197


class UnknownSchema(Exception):
    """The database has a schema that this version does not know; its text says which."""


def is_current(connection: Connection) -> bool:
    """Tell whether the schema is up to date."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    return connection.scalars(select(column("version_num")).select_from(table("alembic_version"))).all() == [HEAD]


def upgrade(connection: Connection) -> None:
    """Bring the schema up to date, inside the transaction of the connection.

    Workers that start at once wait for one another here. The lock ends with the transaction: one that belonged
    to the session would be left behind on some connection of Neon's pooler.

    Raises:
        UnknownSchema: it was made by a later version.
    """
    from alembic import command
    from alembic.util.exc import CommandError

    connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
    try:
        command.upgrade(config(connection), "head")
    except CommandError as error:
        raise UnknownSchema(str(error)) from error


def config(connection: Connection) -> "Config":
    """Return Alembic's configuration, which needs no alembic.ini."""
    from alembic.config import Config

    result = Config(attributes={"connection": connection})
    result.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return result
