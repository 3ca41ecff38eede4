"""Alembic's migrations, which come with the package and run at start-up.

Alembic itself is imported when there is something to migrate: it takes a tenth of a worker's memory and start.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent
VERSIONS = sorted(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))

# Not Alembic's own alembic_version, which belongs to whichever other project uses Alembic in this database.
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
