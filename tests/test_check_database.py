"""`check` on databases that are set up wrong: it names the fault, and what it prints, followed, removes it."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.proxy import Proxy
from tests.rig import pgbouncer
from tests.rig.application import Application, migrate, new_application, new_role
from tests.rig.postgres import Server
from tests.rig.speaker import Speaker, error_response
from tests.service import invoke
from tests.test_check import SETTINGS, rows
from todo_backend.database.migrations import VERSIONS


@pytest.fixture
def application(database: str, url: Callable[[str], str]) -> Application:
    return new_application(database, url)


def check(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    ended = invoke(folder, "check", DATABASE_URL=url, **SETTINGS)
    assert "unavailable" not in ended.stdout.lower()
    return ended


def sql(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the statements that are printed."""
    return re.findall("^ {6}([A-Z].*;)$", ended.stdout, re.MULTILINE)


def follow(folder: Path, application: Application, url: str | None = None) -> None:
    """Do what is printed, at most three times, until `check` finds no fault."""
    for _ in range(3):
        ended = check(folder, url or application.url)
        if ended.returncode == 0:
            return
        if statements := sql(ended):
            application.execute(*statements)
        else:
            assert "Start the service: it makes the table." in ended.stdout
            migrate(application.url)
    assert check(folder, url or application.url).returncode == 0, ended.stdout


@pytest.mark.proves("FAIL-4")
def test_five_privileges_suffice_for_the_check(tmp_path: Path, application: Application) -> None:
    ended = check(tmp_path, application.url)
    assert (ended.returncode, rows(ended)["Schema"]) == (0, "ok The table public.tasks is up to date")


# What is done to the database, and what is said of it. {0} is the role, {1} the database.
FAULTS = {
    "privileges": (
        ["REVOKE INSERT, UPDATE ON tasks FROM {0}", "REVOKE SELECT ON todo_backend_version FROM {0}"],
        ("Privilege", "INSERT, UPDATE missing on public.tasks; SELECT missing on public.todo_backend_version"),
    ),
    "row level security": (
        ["ALTER TABLE tasks ENABLE ROW LEVEL SECURITY"],
        ("Rows", "Row level security hides rows of public.tasks"),
    ),
    "policies": (
        [
            "ALTER TABLE tasks ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY own ON tasks USING (user_id = current_setting('app.user'))",
            'CREATE POLICY "Another" ON tasks AS RESTRICTIVE USING (completed)',
        ],
        ("Rows", "Row level security hides rows of public.tasks"),
    ),
    "read-only database": (
        ["ALTER DATABASE {1} SET default_transaction_read_only = on"],
        ("Writes", "default_transaction_read_only is on, set by: database"),
    ),
    "read-only role": (
        ["ALTER ROLE {0} SET default_transaction_read_only = on"],
        ("Writes", "default_transaction_read_only is on, set by: user"),
    ),
    "read-only role in a database": (
        ["ALTER ROLE {0} IN DATABASE {1} SET default_transaction_read_only = on"],
        ("Writes", "default_transaction_read_only is on, set by: database user"),
    ),
    "read-only roles": (
        ["ALTER ROLE ALL SET default_transaction_read_only = on"],
        ("Writes", "default_transaction_read_only is on, set by: global"),
    ),
    "read-only server": (
        ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"],
        ("Writes", "default_transaction_read_only is on, set by: configuration file"),
    ),
    "replica identity": (
        ["CREATE PUBLICATION everything FOR ALL TABLES", "ALTER TABLE tasks REPLICA IDENTITY NOTHING"],
        ("Replicas", "public.tasks is published without a replica identity: updates and deletes fail"),
    ),
    "no primary key": (
        ["CREATE PUBLICATION ours FOR TABLE tasks", "ALTER TABLE tasks DROP CONSTRAINT tasks_pkey"],
        ("Replicas", "public.tasks is published without a replica identity: updates and deletes fail"),
    ),
    "another schema": (
        [
            "CREATE SCHEMA moved",
            "ALTER TABLE tasks SET SCHEMA moved",
            "ALTER TABLE todo_backend_version SET SCHEMA moved",
        ],
        ("Schema", 'moved.tasks is not on the search path ("$user", public)'),
    ),
    "ids": (
        [
            "GRANT SELECT ON tasks_id_seq TO {0}",
            "INSERT INTO tasks (id, user_id, title) VALUES (7, 'me', 'x')",
        ],
        ("Ids", "The next id of public.tasks is 1, and 7 is taken: creating a task fails"),
    ),
}


@pytest.mark.proves("FAIL-3")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_what_is_printed_removes_it(
    tmp_path: Path, application: Application, database: str, fault: str
) -> None:
    statements, (subject, text) = FAULTS[fault]
    application.execute(*(statement.format(application.role, database) for statement in statements))
    try:
        ended = check(tmp_path, application.url)
        assert (ended.returncode, rows(ended)[subject]) == (1, f"FAIL {text}")
        assert "Start the service" not in ended.stdout
    finally:
        follow(tmp_path, application)
    with psycopg.connect(application.url) as connection:
        values = connection.execute("INSERT INTO tasks (user_id, title) VALUES ('me', 'x') RETURNING id")
        assert values.fetchall()
        assert (
            connection.execute("UPDATE tasks SET completed = true").rowcount
            == connection.execute("DELETE FROM tasks").rowcount
        )


@pytest.mark.proves("FAIL-3")
@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("SELECT", "may not create tables in public"),  # PostgreSQL 15 and newer give CREATE to nobody
        ("ALTER ROLE {0} SET search_path = nowhere", "No schema of the search path exists (nowhere)"),
    ],
)
def test_nowhere_to_create_the_table(
    tmp_path: Path, database: str, url: Callable[[str], str], statement: str, text: str
) -> None:
    application = new_role(database, url)
    application.execute(statement.format(application.role))
    ended = check(tmp_path, application.url)
    assert (ended.returncode, text in rows(ended)["Schema"]) == (1, True)
    assert "Start the service" not in ended.stdout
    follow(tmp_path, application)


@pytest.mark.proves("FAIL-3")
def test_migrations_are_for_the_owner_of_the_table(tmp_path: Path, application: Application) -> None:
    application.execute("UPDATE todo_backend_version SET version_num = '0001'")
    ended = check(tmp_path, application.url)
    assert rows(ended)["Schema"] == f"FAIL The table public.tasks has the schema version 0001, not {VERSIONS[-1]}"
    assert "Start the service once as postgres, who owns public.tasks: it applies the migrations." in ended.stdout


@pytest.mark.proves("FAIL-3")
def test_an_encoding(tmp_path: Path, database: str, url: Callable[[str], str], admin: psycopg.Connection) -> None:
    admin.execute(f"CREATE DATABASE {database}_latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
    ended = check(tmp_path, url(f"{database}_latin"))
    assert rows(ended)["Encoding"] == "FAIL LATIN1, not UTF8"
    [statement] = sql(ended)
    admin.execute(statement.encode())
    migrate(url("todo"))
    assert check(tmp_path, url("todo")).returncode == 0


@pytest.mark.proves("FAIL-3")
def test_a_pooler_in_statement_mode(tmp_path: Path, strict: Server) -> None:
    database = strict.new_database()
    migrate(strict.url(database))
    with pgbouncer.running(strict, mode="statement") as port:
        ended = check(tmp_path, strict.url(database, "?sslmode=require", port=port))
    assert (ended.returncode, rows(ended)["Database"]) == (
        1,
        "FAIL transaction blocks not allowed in statement pooling mode",
    )
    assert "Set pool_mode = transaction in pgbouncer.ini" in ended.stdout
    with pgbouncer.running(strict, mode="transaction") as port:
        assert check(tmp_path, strict.url(database, "?sslmode=require", port=port)).returncode == 0


@pytest.mark.proves("FAIL-3")
def test_a_read_only_connection_of_the_pooler(tmp_path: Path, strict: Server) -> None:
    """Another client left its setting on it."""
    database = strict.new_database()
    migrate(strict.url(database))
    with pgbouncer.running(strict, pool_size=1) as port:
        url = strict.url(database, "?sslmode=require", port=port)
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SET default_transaction_read_only = on")
        ended = check(tmp_path, url)
        assert rows(ended)["Writes"] == "FAIL default_transaction_read_only is on, set by: session"
        assert "restart the pooler" in ended.stdout
    with pgbouncer.running(strict, pool_size=1) as port:
        assert check(tmp_path, strict.url(database, "?sslmode=require", port=port)).returncode == 0


@pytest.mark.proves("FAIL-3")
def test_a_search_path_of_the_url(tmp_path: Path, application: Application) -> None:
    ended = check(tmp_path, application.url + "&options=-c%20search_path%3Dnowhere")
    assert rows(ended)["Schema"] == "FAIL public.tasks is not on the search path (nowhere)"
    assert "Correct search_path in options in DATABASE_URL" in ended.stdout


@pytest.mark.proves("FAIL-3")
def test_read_only_by_the_url(tmp_path: Path, application: Application) -> None:
    ended = check(tmp_path, application.url + "&options=-c%20default_transaction_read_only%3Don")
    assert rows(ended)["Writes"] == "FAIL default_transaction_read_only is on, set by: client"
    assert "Leave default_transaction_read_only out of options in DATABASE_URL" in ended.stdout


@pytest.mark.proves("FAIL-3")
@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("This IP address 192.0.2.1 is not allowed to connect to this endpoint.", "IP Allow"),
        ("Your account or project has exceeded the compute time quota.", "your plan"),
    ],
)
def test_what_neon_says(tmp_path: Path, said: str, hint: str) -> None:
    with Speaker(error_response(said)) as speaker:
        ended = check(tmp_path, speaker.url())
    assert ended.returncode == 1
    assert said in rows(ended)["Database"]
    assert hint in ended.stdout


@pytest.mark.proves("FAIL-3")
def test_a_connect_timeout_that_is_too_short(tmp_path: Path, strict: Server) -> None:
    with Proxy(strict.port) as far_away:
        far_away.delay = 0.37
        url = strict.url(parameters="?sslmode=require&connect_timeout={}", port=far_away.port)
        ended = check(tmp_path, url.format(2))
        assert "connection timeout expired" in rows(ended)["Database"]
        [raised] = re.findall(r"connect_timeout=2 is shorter\.\n +In DATABASE_URL, raise it to (\d+)", ended.stdout)
        psycopg.connect(url.format(raised)).close()


@pytest.mark.proves("FAIL-3")
def test_a_connect_timeout_that_is_just_long_enough(tmp_path: Path, proxy: Proxy, database: str) -> None:
    """Without TLS and a password a connection takes two round trips, where it takes eight with them."""
    proxy.delay = 0.27
    ended = check(tmp_path, proxy.url(database, "&connect_timeout=2"))
    assert rows(ended)["Database"].startswith("ok PostgreSQL 18")
    assert re.search(r"A new connection takes 2\.\d s from here, and connect_timeout=2 is shorter", ended.stdout)
