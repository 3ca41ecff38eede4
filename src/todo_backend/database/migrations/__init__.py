"""Alembic migrations, which run at start-up: docs/spec.md, "Database Schema & Connection".

A released migration never changes. To change a column, for example with TITLE_MAX_LENGTH in tasks/models.py, add a
file to versions/ with `op.alter_column(...)`, and the new form of the column to `_OURS` in schema.py. Tests compare
the models with the migrated table, and expect that every version is recognised.

A restored table without a version is migrated from 0001 on, so every migration must be repeatable. ALTER TABLE
waits for transactions that read the table, and later readers wait behind it: then SCHEMA-6 has to say so.

Alembic is imported only when there is something to migrate: it takes a tenth of a worker's memory and start.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent
VERSIONS = sorted(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))

# Not alembic_version, which belongs to other projects that use Alembic in the same database.
VERSION_TABLE = "todo_backend_version"


def upgrade(connection: Connection, since: str | None = None) -> None:
    """Apply the migrations that are missing, inside the transaction of the connection.

    Args:
        since: the version that the schema has, whatever the version table says; `base` if it has none.
    """
    from alembic import command

    if since:
        command.stamp(config(connection), since)
    command.upgrade(config(connection), "head")


def config(connection: Connection) -> "Config":
    """Return Alembic's configuration, which needs no alembic.ini."""
    from alembic.config import Config

    result = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
    result.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return result
