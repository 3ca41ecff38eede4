"""A database for one test, the start of the service on it, and snapshots to prove that nothing has changed."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from alembic import command
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr
from sqlalchemy import Connection, NullPool, create_engine, make_url

from tests.service import SECRET
from todo_backend.database import catalogue, migrations
from todo_backend.database.schema import Status
from todo_backend.database.upgrade import UnusableSchema
from todo_backend.server.run import check_database
from todo_backend.settings import Settings

OURS_TO_SEE = "relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)')"
CATALOGUE = (
    "SELECT to_json(n) FROM pg_namespace AS n ORDER BY oid",
    f"SELECT oid, xmin, relname, relnamespace, relkind, relowner, relacl::text FROM pg_class"
    f" WHERE {OURS_TO_SEE} ORDER BY oid",
    f"SELECT attrelid, attnum, a.xmin, attname, format_type(atttypid, atttypmod) FROM pg_attribute AS a"
    f" JOIN pg_class ON pg_class.oid = attrelid WHERE {OURS_TO_SEE} ORDER BY 1, 2",
    "SELECT oid, xmin, conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY oid",
    "SELECT to_json(s) FROM pg_sequence AS s ORDER BY seqrelid",
)
WITH_ROWS = (
    f"SELECT nspname, relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace"
    f" WHERE relkind IN ('r', 'S') AND {OURS_TO_SEE} ORDER BY pg_class.oid"
)


def snapshot(url: str) -> list[Any]:
    """Return the catalogue of a database, and every row of its tables and sequences with ctid and xmin."""
    with psycopg.connect(url) as connection:
        taken: list[Any] = [connection.execute(query.encode()).fetchall() for query in CATALOGUE]
        for schema, name in connection.execute(WITH_ROWS.encode()).fetchall():
            rows = SQL("COPY (SELECT ctid, xmin, * FROM {}) TO STDOUT").format(Identifier(schema, name))
            with connection.cursor().copy(rows) as copy:
                taken.append((schema, name, b"".join(copy)))
        return taken


class Database:
    """A database, and the start of the service on it."""

    def __init__(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        self.url = url
        self.log = caplog

    def execute(self, statements: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(statements.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self, url: str = "") -> str:
        """Prepare the database as a start does, and return the log."""
        self.log.clear()
        with self.log.at_level(logging.INFO, "todo_backend"):
            place = SecretStr(url or self.url)
            check_database(Settings(DATABASE_URL=place, BETTER_AUTH_SECRET=SecretStr(SECRET)))
        return self.log.text

    def refusal(self) -> str:
        """Return the error line of a start that fails, and check that it has changed nothing."""
        before = snapshot(self.url)
        with pytest.raises(UnusableSchema) as refusal:
            self.start()
        assert snapshot(self.url) == before
        [line] = str(refusal.value).splitlines()
        return line.removeprefix("The database cannot be used: ")

    def status(self, change: str = "SELECT") -> Status:
        """Return the status of the schema after a change, which is rolled back."""
        with self.connect() as connection:
            connection.exec_driver_sql(change)
            found = catalogue.read(connection)
            connection.rollback()
            return found.status

    def upgrade_to(self, version: str) -> None:
        with self.connect() as connection:
            command.upgrade(migrations.config(connection), version)
            connection.commit()

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield a SQLAlchemy connection."""
        engine = create_engine(make_url(self.url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
        with engine.connect() as connection:
            yield connection

    @property
    def version(self) -> object:
        return self.execute("SELECT version_num FROM todo_backend_version")

    @property
    def largest_id(self) -> object:
        return self.execute("SELECT seqmax FROM pg_sequence WHERE seqrelid = 'tasks_id_seq'::regclass")
