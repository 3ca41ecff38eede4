"""Alembic's migrations, which come with the package and run at start-up."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select

# Any number that no other program on the database uses for its own lock.
LOCK = 8_362_450_197


def upgrade(connection: Connection) -> None:
    """Bring the schema up to date, inside the transaction of the connection.

    Workers that start at once wait for one another here. The lock ends with the transaction: one that belonged
    to the session would be left behind on some connection of Neon's pooler.
    """
    connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
    command.upgrade(config(connection), "head")


def is_current(connection: Connection) -> bool:
    """Tell whether the schema is up to date."""
    head = ScriptDirectory.from_config(config(connection)).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == head


def config(connection: Connection) -> Config:
    """Return Alembic's configuration, which needs no alembic.ini."""
    result = Config(attributes={"connection": connection})
    result.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return result
