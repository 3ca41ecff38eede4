"""The schema in databases that others use too, and that hold something already."""

import asyncio
import shutil
import signal
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic import command
from psycopg.sql import SQL
from sqlalchemy import text

from tests.proxy import Proxy
from tests.rig.database import Database, snapshot
from tests.rig.load import eventually
from tests.service import SECRET, invoke, run, serving, wait_until
from tests.test_check import rows as check_rows
from todo_backend.database import catalogue, migrations, schema, startup
from todo_backend.database.connection import Connection
from todo_backend.database.migrations import VERSIONS
from todo_backend.database.schema import Status
from todo_backend.database.startup import PermanentDatabaseError, open_database
from todo_backend.database.timeouts import CANCEL_TIMEOUT
from todo_backend.database.upgrade import lock, upgrade
from todo_backend.tasks.models import MAX_ID

ROOT = Path(__file__).parent.parent

# What `SQLModel.metadata.create_all()` makes of the model that the request describes.
CREATE_ALL = """
    CREATE TABLE tasks (
        id SERIAL NOT NULL, user_id VARCHAR NOT NULL, title VARCHAR(200) NOT NULL, description VARCHAR(1000),
        completed BOOLEAN NOT NULL, created_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
        updated_at TIMESTAMP WITHOUT TIME ZONE NOT NULL, PRIMARY KEY (id));
    INSERT INTO tasks (user_id, title, completed, created_at, updated_at) VALUES ('u', 'x', false, now(), now())
"""
OTHER_ALEMBIC = (
    "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES "
)


NEWEST = [(VERSIONS[-1],)]
LARGEST = [(MAX_ID,)]


@pytest.mark.proves("SCHEMA-1")
@pytest.mark.parametrize("revision", ["0001", "8a1f2c3d4e5f"])
def test_another_projects_alembic_is_left_alone(here: Database, revision: str) -> None:
    here.execute(OTHER_ALEMBIC + f"('{revision}')")
    before = here.execute("SELECT xmin, ctid, * FROM alembic_version")
    assert "Made the table public.tasks\n" in here.start()
    assert here.version == NEWEST
    assert here.execute("SELECT xmin, ctid, * FROM alembic_version") == before


@pytest.mark.proves("SCHEMA-1")
def test_a_database_of_the_first_release_is_taken_over(here: Database) -> None:
    """It kept its version where Alembic keeps it by default."""
    here.upgrade_to("0001")
    here.execute(
        "ALTER TABLE todo_backend_version RENAME TO alembic_version;"
        "ALTER INDEX todo_backend_version_pkc RENAME TO alembic_version_pkc"
    )
    here.execute("INSERT INTO tasks (user_id, title) VALUES ('u', 'x')")
    before = here.execute("SELECT xmin, ctid, * FROM tasks"), here.execute("SELECT xmin, * FROM alembic_version")
    assert "Took over the table public.tasks, which had no schema version\n" in here.start()
    assert here.version == NEWEST
    assert here.largest_id == LARGEST
    after = here.execute("SELECT xmin, ctid, * FROM tasks"), here.execute("SELECT xmin, * FROM alembic_version")
    assert after == before
    assert "table" not in here.start()


@pytest.mark.proves("SCHEMA-2")
@pytest.mark.parametrize("version", VERSIONS)
def test_ours_without_its_version_is_taken_over(here: Database, version: str) -> None:
    """As one that was restored alone from a dump: its indexes, ids and rights do not count."""
    here.upgrade_to(version)
    here.execute(
        "DROP TABLE todo_backend_version; DROP INDEX ix_tasks_user_id_id; CREATE INDEX ON tasks (title);"
        "GRANT SELECT ON tasks TO PUBLIC; INSERT INTO tasks (id, user_id, title) VALUES (7, 'u', 'x')"
    )
    assert "Took over the table public.tasks" in here.start()
    assert (here.version, here.largest_id) == (NEWEST, LARGEST)
    assert here.execute("SELECT id FROM tasks") == [(7,)]


@pytest.mark.proves("SCHEMA-2")
def test_an_empty_version_table_is_no_version(here: Database) -> None:
    here.start()
    here.execute("DELETE FROM todo_backend_version")
    assert "Took over the table public.tasks" in here.start()
    assert here.version == NEWEST


NOT_OURS = [
    "ALTER TABLE tasks ADD COLUMN priority int",
    "ALTER TABLE tasks DROP COLUMN description",
    "ALTER TABLE tasks ALTER id DROP IDENTITY",
    "ALTER TABLE tasks ALTER title TYPE varchar(255)",
    "ALTER TABLE tasks ALTER created_at TYPE timestamp",
    "ALTER TABLE tasks ALTER completed DROP DEFAULT",
    "ALTER TABLE tasks ALTER completed SET DEFAULT true",
    "ALTER TABLE tasks ALTER title DROP NOT NULL",
    "ALTER TABLE tasks ALTER id SET GENERATED ALWAYS",
    "ALTER TABLE tasks DROP CONSTRAINT tasks_pkey",
    "ALTER TABLE tasks DROP CONSTRAINT tasks_pkey; ALTER TABLE tasks ADD PRIMARY KEY (id, user_id)",
    "DROP TABLE tasks; CREATE VIEW tasks AS SELECT 1 AS id",
    f"DROP TABLE tasks; {CREATE_ALL}",
]


@pytest.mark.proves("SCHEMA-3")
def test_what_is_not_exactly_ours_is_another_programs(here: Database) -> None:
    here.start()
    here.execute("DROP TABLE todo_backend_version")
    assert here.status() is Status.UNVERSIONED
    for change in NOT_OURS:
        assert here.status(change) is Status.FOREIGN, change


@pytest.mark.proves("SCHEMA-3")
def test_another_programs_table_is_not_touched(tmp_path: Path, here: Database) -> None:
    here.execute(CREATE_ALL)
    assert here.refusal() == (
        "the table public.tasks was made by another program."
        " Run `todo-backend adopt`: it takes the rows over, and keeps the old table."
    )
    ended = invoke(tmp_path, "check", DATABASE_URL=here.url, BETTER_AUTH_SECRET=SECRET)
    assert ended.returncode == 1
    assert check_rows(ended)["Schema"] == "FAIL The table public.tasks was made by another program"
    assert "Run `todo-backend adopt`" in ended.stdout


@pytest.mark.proves("SCHEMA-3")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_another_programs_table_ends_the_start_with_one_line(tmp_path: Path, here: Database, workers: str) -> None:
    here.execute(CREATE_ALL)
    arguments = ("serve", "--workers", workers, "--port", "0")
    ended = run(tmp_path, *arguments, DATABASE_URL=here.url, BETTER_AUTH_SECRET=SECRET)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "public.tasks was made by another program. Run `todo-backend adopt`" in line


@pytest.mark.proves("SCHEMA-4")
def test_a_table_that_is_gone_is_made_again(tmp_path: Path, here: Database) -> None:
    here.start()
    here.execute("DROP TABLE tasks")
    ended = invoke(tmp_path, "check", DATABASE_URL=here.url, BETTER_AUTH_SECRET=SECRET)
    assert check_rows(ended)["Schema"] == "FAIL The table public.tasks is gone"
    assert "Start the service: it makes the table again" in ended.stdout
    assert "Made the table public.tasks again, which was gone\n" in here.start()
    assert (here.version, here.largest_id) == (NEWEST, LARGEST)
    assert "table" not in here.start()


INCOMPLETE = [
    "ALTER TABLE tasks RENAME completed TO done",
    "ALTER TABLE tasks DROP COLUMN description",
    "ALTER TABLE tasks ALTER user_id TYPE int USING 1",
    "ALTER TABLE tasks ALTER updated_at TYPE timestamp",
    "ALTER TABLE tasks ALTER id DROP IDENTITY",  # as `pg_restore -t tasks` does
    "ALTER TABLE tasks ALTER created_at DROP DEFAULT",
]


@pytest.mark.proves("SCHEMA-4")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_known_version_that_lacks_a_column(here: Database, version: str) -> None:
    here.upgrade_to(version)
    for change in INCOMPLETE:
        assert here.status(change) is Status.INCOMPLETE, change
    here.execute("ALTER TABLE tasks ALTER created_at TYPE timestamp")
    line = here.refusal()
    assert line.startswith(
        "the table public.tasks lacks the column created_at, timestamp with time zone"
        " (it is timestamp without time zone). If it was renamed, rename it back. If not, run `todo-backend adopt`"
    )


@pytest.mark.proves("SCHEMA-5")
def test_a_later_releases_schema_is_served(tmp_path: Path, here: Database) -> None:
    here.start()
    here.execute(
        "UPDATE todo_backend_version SET version_num = '9999'; ALTER TABLE tasks ADD COLUMN due_at timestamptz;"
        "ALTER TABLE tasks ALTER title TYPE varchar(500); ALTER TABLE tasks ALTER description TYPE text"
    )
    before = snapshot(here.url)
    log = here.start()
    assert "WARNING" in log
    assert "The table public.tasks has the schema version 9999 of a later release, and can be served" in log
    ended = invoke(tmp_path, "check", DATABASE_URL=here.url, BETTER_AUTH_SECRET=SECRET)
    assert ended.returncode == 0
    assert check_rows(ended)["Schema"].startswith(
        "ok The table public.tasks has the schema version 9999 of a later release"
    )
    assert snapshot(here.url) == before


@pytest.mark.proves("SCHEMA-5")
@pytest.mark.parametrize(
    ("change", "column"),
    [("ALTER TABLE tasks RENAME title TO name", "title"), ("DROP TABLE tasks", "id")],
)
def test_a_later_releases_schema_that_lacks_a_column(here: Database, change: str, column: str) -> None:
    here.start()
    here.execute(f"UPDATE todo_backend_version SET version_num = '9999'; {change}")
    line = here.refusal()
    assert line.startswith(
        f"the table public.tasks, schema version 9999 of a later release, lacks the column {column},"
    )
    assert line.endswith("Install the release that made it, or a later one.")


@pytest.mark.proves("SCHEMA-2")
def test_quotation_marks_around_every_name_change_nothing(
    here: Database, database: str, admin: psycopg.Connection
) -> None:
    here.start()
    admin.execute(SQL("ALTER DATABASE {} SET quote_all_identifiers = on").format(SQL(database)))
    assert here.status() is Status.CURRENT
    here.execute("DROP TABLE todo_backend_version")
    assert here.status() is Status.UNVERSIONED
    assert 'Took over the table "public".tasks' in here.start()


@pytest.mark.proves("SCHEMA-5")
def test_several_versions_count_as_one_that_is_not_known(here: Database) -> None:
    here.start()
    here.execute("INSERT INTO todo_backend_version VALUES ('0001')")
    assert f"the schema version 0001, {VERSIONS[-1]} of a later release" in here.start()


@pytest.mark.posix
@pytest.mark.proves("SCHEMA-5")
def test_an_older_service_goes_on_when_a_later_one_has_migrated(tmp_path: Path, here: Database) -> None:
    """Its workers are replaced by workers that know no more than they do."""
    with serving(tmp_path, here.url, "--workers", "2") as service, service.client("me") as client:
        wait_until(lambda: service.log.read_text().count("Application startup complete") == 2)
        here.execute(
            "UPDATE todo_backend_version SET version_num = '9999'; ALTER TABLE tasks ADD COLUMN due_at timestamptz"
        )
        assert client.post("/api/tasks", json={"title": "x"}).status_code == 201
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.log.read_text().count("can be served") == 2)
        service.wait_until_healthy()
        assert client.post("/api/tasks", json={"title": "y"}).status_code == 201
        assert len(client.get("/api/tasks").json()) == 2


@pytest.mark.proves("SCHEMA-5")
def test_the_way_back_to_the_first_release(here: Database) -> None:
    """docs/reliability.md has what to run; that release looks at nothing but this table."""
    here.start()
    here.execute("INSERT INTO tasks (user_id, title) VALUES ('u', 'x')")
    [way_back] = (ROOT / "docs" / "reliability.md").read_text().split("```sql\n")[1:]
    here.execute(way_back.split("```")[0])
    assert here.execute("SELECT version_num FROM alembic_version") == [("0001",)]
    assert here.execute("SELECT title FROM tasks") == [("x",)]
    assert "table" not in here.start()


@pytest.mark.proves("SCHEMA-6")
def test_a_start_asks_once_where_the_schema_is_current(here: Database, database: str, proxy: Proxy) -> None:
    async def connect() -> None:
        await (await Connection.open(proxy.url(database))).close()

    async def start() -> None:
        async with open_database(proxy.url(database), pool_size=1) as opened:
            assert opened.ready

    def trips_of(play: Coroutine[None, None, None]) -> int:
        before = proxy.trips
        asyncio.run(play)
        wait_until(lambda: proxy.open_connections == 0)
        return proxy.trips - before

    here.start()
    assert trips_of(start()) == trips_of(connect()) + 1


@pytest.mark.proves("SCHEMA-6")
def test_without_the_right_to_read_the_version_the_start_ends(
    here: Database, database: str, admin: psycopg.Connection
) -> None:
    here.start()
    role = f"{database}_user"
    admin.execute(SQL("CREATE ROLE {} LOGIN").format(SQL(role)))
    with pytest.raises(PermanentDatabaseError, match="permission denied for table todo_backend_version"):
        here.start(here.url.replace("postgres@", f"{role}@"))


@pytest.mark.proves("SCHEMA-6")
@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_a_worker_that_was_not_the_first_does_nothing(
    here: Database, database: str, admin: psycopg.Connection, isolation: str
) -> None:
    """Whatever isolation the database prefers, it sees what the first one has made."""
    admin.execute(SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(SQL(database), isolation))
    with here.connect() as first, ThreadPoolExecutor(1) as thread:
        lock(first)
        second = thread.submit(here.start)
        wait_until(lambda: here.execute("SELECT pid FROM pg_locks WHERE NOT granted") != [])
        upgrade(first, "public", since="base")
        first.commit()
        assert second.result() == ""
    assert here.version == NEWEST


@pytest.mark.proves("SCHEMA-6")
def test_a_migration_leaves_the_connection_as_it_was(here: Database) -> None:
    async def start() -> object:
        async with open_database(here.url, pool_size=1) as opened:
            connection = await opened.pool.acquire()
            found = await (await connection.execute("SHOW search_path")).fetchone()
            opened.pool.release(connection)
            return found

    assert asyncio.run(start()) == ('"$user", public',)
    assert here.version == NEWEST


@pytest.mark.proves("SCHEMA-6")
def test_a_package_in_a_folder_with_a_percent_sign(
    tmp_path: Path, here: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alembic's configuration takes it for the beginning of a variable."""
    folder = shutil.copytree(migrations.FOLDER, tmp_path / "100 % (env)s")
    monkeypatch.setattr(migrations, "FOLDER", folder)
    assert "Made the table public.tasks\n" in here.start()


@pytest.mark.proves("CLI-5")
@pytest.mark.parametrize(("is_silent", "limit"), [(False, 1), (True, CANCEL_TIMEOUT + 1)])
def test_a_stop_ends_the_wait_for_a_migration_elsewhere(
    here: Database, database: str, proxy: Proxy, is_silent: bool, limit: float
) -> None:
    async def start() -> float:
        loop = asyncio.get_running_loop()
        async with open_database(proxy.url(database), pool_size=1, timeout=0.5) as opened:
            assert not opened.ready
            if is_silent:
                proxy.stall()
            began = loop.time()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return loop.time() - began

    with here.connect() as other:
        lock(other)
        assert asyncio.run(start()) < limit
        assert is_silent or here.execute("SELECT pid FROM pg_locks WHERE NOT granted") == []


@pytest.mark.proves("DATA-6")
def test_a_database_that_became_another_programs_is_asked_at_intervals(
    here: Database, database: str, proxy: Proxy
) -> None:
    async def start() -> int:
        async with open_database(proxy.url(database), pool_size=1):
            proxy.flow()
            await eventually(lambda: proxy.trips > 0)
            before = proxy.trips
            await asyncio.sleep(1)
            return proxy.trips - before

    here.execute(CREATE_ALL)
    proxy.refuse()
    assert 1 < asyncio.run(start()) < 50


@pytest.mark.proves("DATA-6")
def test_a_start_without_an_answer_is_tried_again(here: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(other: psycopg.Connection) -> None:
        async with open_database(here.url, pool_size=1) as opened:
            assert not opened.ready
            other.rollback()
            await eventually(lambda: opened.ready)

    here.start()
    monkeypatch.setattr(startup, "DATABASE_TIMEOUT", 0.5)
    with psycopg.connect(here.url) as other:
        other.execute("LOCK todo_backend_version")
        asyncio.run(start(other))
    assert "Database unavailable, retrying: no answer in time." in here.log.text


@pytest.mark.proves("SCHEMA-6")
def test_a_migration_does_not_wait_for_readers(here: Database) -> None:
    """A dump may read the table for an hour."""
    here.upgrade_to("0001")
    with psycopg.connect(here.url) as reader:
        reader.execute("SELECT FROM tasks")
        assert "Applied the migrations to the table public.tasks\n" in here.start()
    assert (here.version, here.largest_id) == (NEWEST, LARGEST)


async def read_at_once(url: str) -> schema.Schema | None:
    async with await Connection.open(url) as connection:
        return await catalogue.read_at_once(connection)


@pytest.mark.proves("SCHEMA-7")
def test_the_table_is_where_the_search_path_has_it(
    tmp_path: Path, here: Database, database: str, admin: psycopg.Connection
) -> None:
    """Another table of that name, in a schema that comes later or is not on it at all, does not count."""
    admin.execute(SQL("ALTER DATABASE {} SET search_path = 'to do', public").format(SQL(database)))
    here.execute('CREATE SCHEMA other; CREATE TABLE other.tasks (x int); CREATE SCHEMA "to do"')
    assert 'Made the table "to do".tasks' in here.start()
    here.execute(CREATE_ALL.replace("tasks", "public.tasks"))
    here.execute("CREATE TABLE public.todo_backend_version AS SELECT 'x' AS version_num")
    before = snapshot(here.url)
    with serving(tmp_path, here.url) as service, service.client("me") as client:
        assert client.get("/api/tasks").json() == []
        assert snapshot(here.url) == before
        client.post("/api/tasks", json={"title": "y"}).raise_for_status()
    assert here.execute('SELECT title FROM "to do".tasks') == [("y",)]
    with here.connect() as connection:
        assert catalogue.read(connection) == asyncio.run(read_at_once(here.url))


@pytest.mark.proves("SCHEMA-7")
def test_a_table_that_comes_first_on_the_search_path_counts(
    here: Database, database: str, admin: psycopg.Connection
) -> None:
    """Statements would find it, and not the one of the version."""
    here.start()
    admin.execute(SQL("ALTER DATABASE {} SET search_path = first, public").format(SQL(database)))
    here.execute(f"CREATE SCHEMA first; {CREATE_ALL.replace('tasks', 'first.tasks')}")
    assert here.refusal().startswith("the table first.tasks was made by another program.")
    here.execute("DROP TABLE first.tasks; CREATE TABLE first.tasks (LIKE public.tasks INCLUDING ALL)")
    assert "Took over the table first.tasks" in here.start()
    assert here.execute("SELECT * FROM first.todo_backend_version") == NEWEST
    assert "table" not in here.start()


@pytest.mark.proves("SCHEMA-7")
def test_a_search_path_that_leads_nowhere(here: Database, database: str, admin: psycopg.Connection) -> None:
    admin.execute(SQL("ALTER DATABASE {} SET search_path = nowhere").format(SQL(database)))
    line = here.refusal()
    assert line.startswith("the search path has no schema that this role can use.")


@pytest.mark.proves("SCHEMA-8")
def test_ids_are_numbers_that_javascript_holds(here: Database) -> None:
    here.start()
    here.execute(f"SELECT setval('tasks_id_seq', {MAX_ID} - 1)")
    insert = "INSERT INTO tasks (user_id, title) VALUES ('u', 'x') RETURNING id"
    assert here.execute(insert) == LARGEST
    with pytest.raises(psycopg.errors.SequenceGeneratorLimitExceeded):
        here.execute(insert)


@pytest.mark.proves("SCHEMA-8")
def test_ids_that_had_gone_beyond_continue_below(here: Database) -> None:
    """Somebody had set the sequence by hand."""
    here.upgrade_to("0001")
    here.execute(
        f"INSERT INTO tasks (id, user_id, title) VALUES (5, 'u', 'x'), ({MAX_ID + 2}, 'u', 'y');"
        f"SELECT setval('tasks_id_seq', {MAX_ID + 2})"
    )
    assert "Applied the migrations" in here.start()
    assert here.execute("INSERT INTO tasks (user_id, title) VALUES ('u', 'z') RETURNING id") == [(6,)]


@pytest.mark.proves("DATA-2")
def test_a_downgrade_leaves_nothing(here: Database) -> None:
    here.start()
    with here.connect() as connection:
        command.downgrade(migrations.config(connection), VERSIONS[0])
        assert connection.scalar(text("SELECT seqmax FROM pg_sequence")) == 2**63 - 1
        command.downgrade(migrations.config(connection), "base")
        connection.commit()
    assert here.execute("SELECT relname FROM pg_class WHERE relname ~ 'tasks'") == []
    assert "Made the table public.tasks\n" in here.start()
