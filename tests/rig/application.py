"""A database with our tables, and a role with only the privileges that the service needs."""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from pydantic import SecretStr

from tests.service import SECRET
from todo_backend.database.migrations import VERSION_TABLE
from todo_backend.server.run import check_database
from todo_backend.settings import Settings


@dataclass
class Application:
    """Attributes: the role, its URL, and the URL of the superuser who owns the tables."""

    role: str
    url: str
    owner_url: str

    def execute(self, *statements: str) -> None:
        """Run statements as the owner."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def migrate(url: str) -> None:
    """Prepare the database as a start does, in this process."""
    check_database(Settings(DATABASE_URL=SecretStr(url), BETTER_AUTH_SECRET=SecretStr(SECRET)))


def new_application(database: str, url: Callable[[str], str]) -> Application:
    application = new_role(database, url)
    migrate(application.owner_url)
    application.execute(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON tasks TO {application.role}",
        f"GRANT SELECT ON {VERSION_TABLE} TO {application.role}",
    )
    return application


def new_role(database: str, url: Callable[[str], str]) -> Application:
    """Return a role without any privilege on the database."""
    role = f"app_{database}"
    application = Application(role, url(database).replace("postgres@", f"{role}@"), url(database))
    application.execute(f"CREATE ROLE {role} LOGIN")
    return application
