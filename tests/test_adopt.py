"""`todo-backend adopt`: tables of other programs, taken over."""

import os
import pty
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import DuplicateTable
from psycopg.sql import SQL
from pydantic import ValidationError

from tests.rig import pgbouncer
from tests.rig.database import Database, snapshot
from tests.rig.postgres import Server
from tests.service import PROGRAM, SECRET, WAITING, environment, invoke, wait_until
from tests.test_schema import CREATE_ALL, NEWEST
from todo_backend.auth import tokens
from todo_backend.cli.adopt import adopt
from todo_backend.database import adoption, adoption_plan, upgrade
from todo_backend.database.timeouts import DATABASE_TIMEOUT
from todo_backend.settings import CannotStart
from todo_backend.tasks.models import DESCRIPTION_MAX_LENGTH, MAX_ID, TITLE_MAX_LENGTH, TaskCreate

# As a frontend's developer writes it, with camelCase, and a column that we do not have.
CAMEL_CASE = """
    CREATE TYPE priority AS ENUM ('low', 'high');
    CREATE TABLE tasks (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "ownerId" varchar(36), title varchar(255), description text,
        "isCompleted" boolean, priority priority DEFAULT 'low', "createdAt" timestamptz);
"""

CHANGED = "public.tasks has changed since the plan was made. Stop the other backend, and run this again."


def run_adopt(folder: Path, here: Database, *arguments: str, url: str = "") -> subprocess.CompletedProcess[str]:
    return invoke(folder, "adopt", *arguments, DATABASE_URL=url or here.url, BETTER_AUTH_SECRET=SECRET)


def refusal(here: Database, url: str = "") -> str:
    """Return the line that says why nothing was changed."""
    before = snapshot(here.url)
    with pytest.raises(CannotStart) as refused:
        adopt(url or here.url, yes=True)
    assert snapshot(here.url) == before
    assert refused.value.exit_code == 1
    [line] = str(refused.value).splitlines()
    return line


def plan_of(here: Database) -> adoption_plan.Plan:
    with here.connect() as connection:
        plan = adoption_plan.make_plan(connection)
    assert plan
    return plan


def wait_for_a_lock(here: Database) -> None:
    """Wait until a statement in the database waits for a lock."""
    wait_until(lambda: here.execute(f"{WAITING} AND datname = current_database()") == [(1,)])


def tasks(here: Database, columns: str = "id, user_id, title, description, completed") -> list[tuple[object, ...]]:
    return here.execute(f"SELECT {columns} FROM tasks ORDER BY id")


@pytest.mark.proves("ADOPT-1")
def test_the_plan(tmp_path: Path, here: Database) -> None:
    """Without a terminal that is all."""
    here.execute(
        CAMEL_CASE
        + """CREATE TABLE "user" (id text PRIMARY KEY); INSERT INTO "user" VALUES ('alice'), ('bob');
        ALTER TABLE tasks ADD FOREIGN KEY ("ownerId") REFERENCES "user";
        INSERT INTO tasks VALUES
            (DEFAULT, 'alice', 'Buy milk', 'Two litres', true, 'high', now()),
            (DEFAULT, 'alice', 'Buy bread', NULL, NULL, 'low', NULL),
            (DEFAULT, 'bob', 'Call', NULL, false, 'low', now()),
            ('00000000-0000-0000-0000-000000000001', 'bob', ' ', NULL, false, 'low', now());
        CREATE VIEW open_tasks AS SELECT * FROM tasks WHERE NOT "isCompleted"
        """
    )
    before = snapshot(here.url)
    ended = run_adopt(tmp_path, here)
    assert ended.returncode == 2
    assert ended.stderr == "Nothing has been changed: there is no terminal to ask on. Run it again with --yes.\n"
    assert (
        ended.stdout
        == """\
The table public.tasks was made by another program. It has 4 rows.

  id           uuid                      stays in the old table
  ownerId      character varying(36)     user_id
  title        character varying(255)    title
  description  text                      description
  isCompleted  boolean                   completed; null becomes false
  priority     priority                  stays in the old table
  createdAt    timestamp with time zone  created_at; null becomes the time of this command
  (none)                                 updated_at: the time of this command

3 rows can come over (alice: 2, bob: 1).
3 of them get new ids, from 1 on, in the order of creation.
Each user sees only rows with their own id in Better Auth. If its users are in this database, try:

  SELECT DISTINCT "ownerId" FROM public.tasks WHERE "ownerId"::text NOT IN (SELECT id::text FROM "user");

1 row cannot come over, because of a blank title: id 00000000-0000-0000-0000-000000000001.
To take these over too, correct them before you go on: a later run does not take them over.

The old table is kept whole, and renamed to public.tasks_before_adopt.
Views that read it go on reading it: open_tasks.
Its foreign keys stay with it, and the new table has none: they refer to "user".
Stop the other backend before you go on.
"""
    )
    assert snapshot(here.url) == before
    [query] = re.findall("SELECT .*;", ended.stdout)
    assert here.execute(query) == []
    here.execute('ALTER TABLE tasks DROP CONSTRAINT "tasks_ownerId_fkey"; DELETE FROM "user" WHERE id = \'bob\'')
    assert here.execute(query) == [("bob",)]


@pytest.mark.posix
@pytest.mark.proves("ADOPT-1")
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_the_question(tmp_path: Path, here: Database, answer: str, code: int) -> None:
    here.execute(CREATE_ALL)
    before = snapshot(here.url)
    terminal, end = pty.openpty()
    variables = environment(DATABASE_URL=here.url, BETTER_AUTH_SECRET=SECRET)
    with subprocess.Popen(
        [PROGRAM, "adopt"], cwd=tmp_path, env=variables, stdin=end, stdout=end, stderr=end
    ) as process:
        os.close(end)
        shown = b""
        while b"Take the rows over? [y/N]" not in shown:
            shown += os.read(terminal, 65536)
        os.write(terminal, f"{answer}\n".encode())
        assert process.wait(60) == code
    shown += os.read(terminal, 65536)
    os.close(terminal)
    if answer == "n":
        assert b"Nothing has been changed.\r\n" in shown
        assert snapshot(here.url) == before
    else:
        assert b"100%" in shown
        assert tasks(here) == [(1, "u", "x", None, False)]


@pytest.mark.proves("ADOPT-1")
def test_there_may_be_nothing_to_take_over(tmp_path: Path, here: Database) -> None:
    for prepare in (lambda: "", here.start, lambda: here.execute("DROP TABLE todo_backend_version")):
        prepare()
        before = snapshot(here.url)
        ended = run_adopt(tmp_path, here)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "There is nothing to take over.\n", "")
        assert snapshot(here.url) == before


@pytest.mark.proves("ADOPT-1")
@pytest.mark.parametrize("name", ["task", '"Todo"'])
def test_a_table_of_another_name_is_named(tmp_path: Path, here: Database, name: str) -> None:
    here.execute(f"{CREATE_ALL}; ALTER TABLE tasks RENAME TO {name}")
    here.start()
    ended = run_adopt(tmp_path, here)
    assert ended.returncode == 0
    first, _, *statements = ended.stdout.splitlines()
    assert first.endswith(f"If the tasks are in public.{name}, run this, and then adopt again:")
    here.execute("INSERT INTO tasks (user_id, title) VALUES ('u', 'x')")
    assert run_adopt(tmp_path, here).stdout == "There is nothing to take over.\n"
    here.execute(f"DELETE FROM tasks; {' '.join(statements)}")
    adopt(here.url, yes=True)
    assert tasks(here) == [(1, "u", "x", None, False)]


@pytest.mark.proves("ADOPT-2", "ADOPT-4")
def test_the_table_of_create_all(tmp_path: Path, here: Database) -> None:
    """Its indexes and its sequence have the names of ours."""
    here.execute(
        CREATE_ALL
        + """;
        CREATE INDEX ix_tasks_user_id_id ON tasks (user_id, id);
        UPDATE tasks SET created_at = '2024-02-29 23:30', updated_at = '2024-03-01 12:00:00.123456';
        INSERT INTO tasks VALUES (41, 'v', 'y', '', true, '2025-01-01', 'infinity'),
            (42, 'v', ' z', '', true, now(), now())
        """
    )
    before = here.execute("SELECT ctid, xmin, t::text FROM tasks AS t")
    ended = run_adopt(tmp_path, here, "--yes")
    end = "2 rows came over. 1 row stayed in public.tasks_before_adopt. Start the service.\n"
    assert (ended.returncode, ended.stdout[-len(end) :], ended.stderr) == (0, end, "Taking the rows over\n")
    for column in ("created_at", "updated_at"):
        kind = "timestamp without time zone"
        assert f" {kind}  {column}, read as UTC; null becomes the time of this command\n" in ended.stdout
    assert " boolean                      completed; null becomes false\n" in ended.stdout
    assert here.execute("SELECT ctid, xmin, t::text FROM tasks_before_adopt AS t") == before
    assert tasks(here) == [(1, "u", "x", None, False), (42, "v", "z", "", True)]
    assert here.execute("SELECT created_at, updated_at FROM tasks WHERE id = 1") == [
        (datetime(2024, 2, 29, 23, 30, tzinfo=UTC), datetime(2024, 3, 1, 12, 0, 0, 123456, tzinfo=UTC))
    ]
    assert "table" not in here.start()
    assert here.version == NEWEST
    assert here.execute("INSERT INTO tasks (user_id, title) VALUES ('w', 'n') RETURNING id") == [(43,)]
    [(index,)] = here.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_tasks_user_id_id'")
    assert index == "CREATE INDEX ix_tasks_user_id_id ON public.tasks USING btree (user_id, id)"
    old = here.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'tasks_before_adopt' ORDER BY 1")
    assert old[-2:] == [("ix_tasks_user_id_id_before_adopt",), ("tasks_pkey_before_adopt",)]
    # What went before can go on, too.
    assert here.execute(
        "INSERT INTO tasks_before_adopt (user_id, title, completed, created_at, updated_at)"
        " VALUES ('w', 'n', true, now(), now()) RETURNING id"
    ) == [(2,)]
    assert "tasks_before_adopt exists already" in refusal_of_another(here)


def statement_of_the_page(begin: str) -> str:
    page = (Path(__file__).parent.parent / "docs" / "shared-database.md").read_text()
    [statement] = re.findall(f"```sql\n({begin} .*?)```", page, re.DOTALL)
    return str(statement)


@pytest.mark.proves("ADOPT-1", "DOC-1")
def test_a_table_of_another_name_is_renamed(tmp_path: Path, here: Database) -> None:
    here.execute(CREATE_ALL + "; ALTER TABLE tasks RENAME TO task")
    here.start()
    with pytest.raises(DuplicateTable):
        here.execute(statement_of_the_page("ALTER TABLE task"))
    here.execute("DROP TABLE tasks;" + statement_of_the_page("ALTER TABLE task"))
    assert run_adopt(tmp_path, here, "--yes").returncode == 0
    here.start()
    assert tasks(here) == [(1, "u", "x", None, False)]


@pytest.mark.proves("ADOPT-3", "DOC-1")
def test_rows_that_stayed_come_over_by_hand(tmp_path: Path, here: Database) -> None:
    here.execute(
        CREATE_ALL.replace("(200)", "").replace("(1000)", "").replace("completed BOOLEAN NOT", "completed BOOLEAN")
        + "; UPDATE tasks SET id = 112, title = repeat('x', 201), completed = NULL, created_at = '2024-02-29';"
        " INSERT INTO tasks VALUES (113, 'u', ' ', repeat('y', 1001), true, now(), now()),"
        " (114, 'u', 'z', NULL, true, now(), now())"
    )
    assert run_adopt(tmp_path, here, "--yes").returncode == 0
    assert tasks(here) == [(114, "u", "z", None, True)]
    here.execute(statement_of_the_page("INSERT INTO tasks").replace("(112)", "(112, 113)"))
    assert tasks(here)[1:] == [(115, "u", "x" * 200, None, False), (116, "u", "Untitled", "y" * 1000, True)]
    [(created,)] = here.execute("SELECT created_at FROM tasks WHERE id = 115")
    assert created == datetime(2024, 2, 29, tzinfo=UTC)


def refusal_of_another(here: Database) -> str:
    here.execute("ALTER TABLE tasks ADD COLUMN priority int; DROP TABLE todo_backend_version")
    return refusal(here)


@pytest.mark.proves("ADOPT-2")
def test_names_are_known_in_every_case(here: Database) -> None:
    """The best name counts where there are several, and names without quotation marks lose their capitals."""
    here.execute(
        "CREATE TABLE tasks (id int PRIMARY KEY, ownerId text, owner_id text, title text, isCompleted int,"
        ' createdAt date, "updatedAt" timestamp, updated_at timestamp);'
        "INSERT INTO tasks VALUES (3, 'no', 'yes', 'x', 1, '2024-01-02', '2024-01-03', '2024-01-04')"
    )
    adopt(here.url, yes=True)
    assert tasks(here) == [(3, "yes", "x", None, True)]
    assert here.execute("SELECT created_at, updated_at FROM tasks") == [
        (datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC))
    ]


@pytest.mark.proves("ADOPT-2")
def test_ids_that_cannot_stay_are_numbered_in_the_order_of_creation(here: Database) -> None:
    here.execute(
        f"""CREATE TABLE tasks (id bigint, user_id text, title text, created_at timestamptz);
        INSERT INTO tasks VALUES ({MAX_ID + 1}, 'u', 'third', '2024-03-01'), (0, 'u', 'first', '2024-01-01'),
            (-5, 'u', 'second', '2024-02-01'), (7, 'u', 'seven', '2024-05-01'), (NULL, 'u', 'last', NULL),
            (7, 'u', 'seven again', '2024-04-01'), (3, 'u', 'three', '2025-01-01')"""
    )
    adopt(here.url, yes=True)
    numbered = [(8, "first"), (9, "second"), (10, "third"), (11, "seven again"), (12, "last")]
    assert tasks(here, "id, title") == [(3, "three"), (7, "seven"), *numbered]
    assert here.execute("INSERT INTO tasks (user_id, title) VALUES ('w', 'n') RETURNING id") == [(13,)]


@pytest.mark.proves("ADOPT-2")
def test_the_largest_id_stays(here: Database) -> None:
    here.execute(
        f"CREATE TABLE tasks (id bigint, user_id text, title text);"
        f"INSERT INTO tasks VALUES ({MAX_ID}, 'u', 'x'), (0, 'u', 'y')"
    )
    assert refusal(here) == f"After the largest id, {MAX_ID}, none is left for the 1 rows without one."
    here.execute("DELETE FROM tasks WHERE id = 0")
    adopt(here.url, yes=True)
    assert tasks(here, "id") == [(MAX_ID,)]


@pytest.mark.proves("ADOPT-2")
def test_a_table_that_has_nothing_of_ours(tmp_path: Path, here: Database) -> None:
    """No row can come over, but the service can start."""
    here.execute("CREATE TABLE tasks (name text); INSERT INTO tasks VALUES ('x')")
    ended = run_adopt(tmp_path, here, "--yes")
    assert ended.returncode == 0
    assert (
        ended.stdout
        == """\
The table public.tasks was made by another program. It has 1 row.

  name    text  stays in the old table
  (none)        id: a new number, in the order of creation
  (none)        user_id: no row can come over without it
  (none)        title: no row can come over without it
  (none)        description: null
  (none)        completed: false
  (none)        created_at: the time of this command
  (none)        updated_at: the time of this command

0 rows can come over.
1 row cannot come over, because of no owner.
To take these over too, correct them before you go on: a later run does not take them over.

The old table is kept whole, and renamed to public.tasks_before_adopt.
Stop the other backend before you go on.
0 rows came over. 1 row stayed in public.tasks_before_adopt. Start the service.
"""
    )
    assert "table" not in here.start()
    assert (tasks(here), here.execute("SELECT * FROM tasks_before_adopt")) == ([], [("x",)])


@pytest.mark.proves("ADOPT-2")
def test_ours_that_lacks_a_column_is_made_anew(tmp_path: Path, here: Database) -> None:
    here.start()
    here.execute("INSERT INTO tasks (user_id, title) VALUES ('u', 'x'); ALTER TABLE tasks DROP COLUMN completed")
    ended = run_adopt(tmp_path, here, "--yes")
    assert ended.stdout.startswith("The table public.tasks lacks the column completed, boolean. It has 1 row.\n")
    assert ended.stdout.endswith("\n1 row came over. Start the service.\n")
    assert tasks(here) == [(1, "u", "x", None, False)]
    assert "table" not in here.start()


@pytest.mark.proves("ADOPT-2", "ADOPT-3")
def test_many_rows_come_over_in_batches(tmp_path: Path, here: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of them with their ids, half with new ones, and many of each with the same time."""
    monkeypatch.setattr(adoption, "BATCH", 10)
    monkeypatch.setattr(adoption_plan, "MAX_IDS", 5)
    here.execute(
        f"""CREATE TABLE tasks (id int PRIMARY KEY, user_id text, title text, created_at timestamp);
        INSERT INTO tasks SELECT CASE WHEN n % 2 = 0 THEN n ELSE -n END, 'user ' || n % 20,
            repeat('x', n % 210 * {TITLE_MAX_LENGTH} / 200),
            timestamp '2024-01-01' + (n / 100) * interval '1 hour' FROM generate_series(1, 1000) AS n"""
    )
    ended = run_adopt(tmp_path, here, "--yes")
    assert ended.returncode == 0
    assert f"36 rows cannot come over, because of a title over {TITLE_MAX_LENGTH} characters: id -" in ended.stdout
    assert " and 31 more.\n" in ended.stdout
    assert " and 10 others).\n" in ended.stdout
    [(count, ids, largest)] = here.execute("SELECT count(*), count(DISTINCT id), max(id) FROM tasks")
    assert count == ids == 1000 - 36 - 4
    numbered = here.execute("SELECT created_at FROM tasks WHERE id > 1000 ORDER BY id")
    assert numbered == sorted(numbered)
    assert here.execute("SELECT count(*) FROM tasks JOIN tasks_before_adopt USING (id, title)") == [(480,)]
    assert largest == 1000 + 480


@pytest.mark.proves("ADOPT-2")
def test_the_batches(here: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 50, and only one where each would look for duplicate ids in all rows."""
    monkeypatch.setattr(adoption, "BATCH", 10)
    for count, key, batches in [(20, "PRIMARY KEY", 2), (600, "PRIMARY KEY", 50), (20, "", 1)]:
        here.execute(
            f"CREATE TABLE tasks (id int {key}, user_id text, title text);"
            f"INSERT INTO tasks SELECT n, 'u', 'x' FROM generate_series(1, {count}) AS n"
        )
        plan = plan_of(here)
        inserted: list[int] = []
        with here.connect() as connection:
            adoption.take_over(connection, plan, inserted.append)
        assert (len(inserted), sum(inserted)) == (batches, count)
        assert max(inserted) <= count / batches + 1
        here.execute("DROP TABLE tasks")


# As another program might keep it in a column of text, and what becomes of it; None for a row that stays.
COMPLETED = {"true": True, "f": False, " YES ": True, "0": False, "": None, "done": None, "2": None}
TIMES = {
    "2024-02-29": datetime(2024, 2, 29, tzinfo=UTC),
    "2000-02-29T23:59": datetime(2000, 2, 29, 23, 59, tzinfo=UTC),
    "2024-01-31 10:20:30.5": datetime(2024, 1, 31, 10, 20, 30, 500000, tzinfo=UTC),
    "2024-01-31T10:20:30.123Z": datetime(2024, 1, 31, 10, 20, 30, 123000, tzinfo=UTC),
    "2024-01-31t10:20:30+05:30": datetime(2024, 1, 31, 4, 50, 30, tzinfo=UTC),
    "2024-01-31 10:20:30 -0800": datetime(2024, 1, 31, 18, 20, 30, tzinfo=UTC),
    "2024-01-31 10:20+02": datetime(2024, 1, 31, 8, 20, tzinfo=UTC),
    "0001-01-01T00:00:00+01:00": None,
    "9999-12-31T23:59:59-01:00": None,
    "2023-02-29": None,
    "1900-02-29": None,
    "2024-04-31": None,
    "2024-13-01": None,
    "0000-01-01": None,
    "2024-01-31T24:00": None,
    "2024-01-31T10:60": None,
    "2024-01-31T10:20+15:00": None,
    "31.01.2024": None,
    "now": None,
    "infinity": None,
    "1706695230000": None,
    "": None,
}


@pytest.mark.proves("ADOPT-3")
def test_text_is_read_or_stays(here: Database) -> None:
    here.execute(
        "CREATE TABLE tasks"
        " (id int PRIMARY KEY, user_id text, title text, completed text, created_at text, updated_at text)"
    )
    with psycopg.connect(here.url) as connection, connection.cursor() as cursor:
        rows = [(value, "2024-01-01", "2024-01-01") for value in COMPLETED]
        rows += [("true", value, "2024-01-01") for value in TIMES] + [
            ("true", "2024-01-01", value) for value in TIMES
        ]
        for number, row in enumerate(rows, 1):
            cursor.execute("INSERT INTO tasks VALUES (%s, 'u', 'x', %s, %s, %s)", [number, *row])
    assert {fault.reason for fault in plan_of(here).faults} == {
        "a completed that is neither true nor false",
        "a created_at that is not a time",
        "an updated_at that is not a time",
    }
    adopt(here.url, yes=True)
    came = {row[0]: row[1:] for row in here.execute("SELECT id, completed, created_at, updated_at FROM tasks")}
    new_year = datetime(2024, 1, 1, tzinfo=UTC)
    expected: list[tuple[object, ...]] = [(value, new_year, new_year) for value in COMPLETED.values()]
    expected += [(True, value, new_year) for value in TIMES.values()] + [
        (True, new_year, value) for value in TIMES.values()
    ]
    assert came == {number: row for number, row in enumerate(expected, 1) if None not in row}


@pytest.mark.proves("ADOPT-2")
@pytest.mark.parametrize("kind", ["smallint", "numeric(3, 1)", "real", "double precision"])
def test_numbers_that_say_whether_a_task_is_completed(here: Database, kind: str) -> None:
    here.execute(
        f"CREATE TABLE tasks (id smallint PRIMARY KEY, user_id text, title text, completed {kind});"
        "INSERT INTO tasks VALUES (3, 'u', 'x', 0), (5, 'u', 'y', 1), (7, 'u', 'z', 2)"
    )
    adopt(here.url, yes=True)
    assert tasks(here, "id, completed") == [(3, False), (5, True), (7, True)]


@pytest.mark.proves("ADOPT-3")
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "'infinity'"),
        ("date", "'5874897-12-31'"),
        ("date", "'4713-01-01 BC'"),
        ("timestamp", "'-infinity'"),
        ("timestamp", "'294276-12-31 23:59:59'"),
        ("timestamptz", "'10000-01-01'"),
        ("bigint", "1706695230"),
        ("time", "'12:00'"),
    ],
)
def test_a_time_that_is_none_stays(here: Database, kind: str, value: str) -> None:
    here.execute(
        f"CREATE TABLE tasks (id int PRIMARY KEY, user_id text, title text, created_at {kind});"
        f"INSERT INTO tasks VALUES (1, 'u', 'x', {value}), (2, 'u', 'y', NULL)"
    )
    adopt(here.url, yes=True)
    assert tasks(here, "id") == [(2,)]


@pytest.mark.proves("ADOPT-3")
@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_times_do_not_depend_on_how_the_database_writes_them(here: Database, database: str, kind: str) -> None:
    here.execute(
        f"ALTER DATABASE {database} SET datestyle = 'German'; ALTER DATABASE {database} SET timezone = 'UTC';"
        f"CREATE TABLE tasks (id int PRIMARY KEY, user_id text, title text, created_at {kind});"
        "INSERT INTO tasks VALUES (1, 'u', 'x', '2024-02-01')"
    )
    adopt(here.url, yes=True)
    assert tasks(here, "created_at = '2024-02-01 00:00+00'") == [(True,)]


@pytest.mark.proves("ADOPT-3")
def test_owners_and_titles_are_judged_as_those_of_requests(here: Database) -> None:
    """With each character of which either rule says something, and many of which neither does."""
    characters = [chr(number) for number in range(1, 0x3100)]
    here.execute("CREATE TABLE tasks (id int PRIMARY KEY, user_id text, title text)")
    copy_in = "COPY tasks FROM STDIN"
    with psycopg.connect(here.url) as connection, connection.cursor() as cursor, cursor.copy(copy_in) as copy:
        for number, character in enumerate(characters, 1):
            copy.write_row((number, f"u{character}", f"{character}x{character}"))
            copy.write_row((number + 2**20, "u", character))
    adopt(here.url, yes=True)
    came = {number: (owner, title) for number, owner, title in here.execute("SELECT id, user_id, title FROM tasks")}
    for number, character in enumerate(characters, 1):
        owner = f"u{character}"
        assert (number in came) is tokens.is_user_id(owner), number
        if number in came:
            assert came[number] == (owner, TaskCreate(title=f"{character}x{character}").title)
        assert (number + 2**20 in came) is is_title(character), number


def is_title(value: str) -> bool:
    try:
        return bool(TaskCreate(title=value).title)
    except ValidationError:
        return False


@pytest.mark.proves("ADOPT-3")
def test_the_limits_are_those_of_requests(tmp_path: Path, here: Database) -> None:
    title, description = TITLE_MAX_LENGTH, DESCRIPTION_MAX_LENGTH
    rows = {
        1: ("u" * 255, "x" * title, "x" * description),
        2: ("u" * 256, "x", None),
        3: ("", "x", None),
        4: (None, "x", None),
        5: ("u", "x" * (title + 1), None),
        6: ("u", "é" * title, "😀" * description),
        7: ("u", "x", "x" * (description + 1)),
        8: ("u", None, None),
        9: ("u", " " * 50 + "x" * title + "\n", None),
    }
    here.execute("CREATE TABLE tasks (id int PRIMARY KEY, user_id text, title text, description text)")
    with psycopg.connect(here.url) as connection:
        for number, row in rows.items():
            connection.execute("INSERT INTO tasks VALUES (%s, %s, %s, %s)", [number, *row])
    ended = run_adopt(tmp_path, here, "--yes")
    assert [row[0] for row in tasks(here)] == [1, 6, 9]
    assert "2 rows cannot come over, because of no owner: id 3, 4.\n" in ended.stdout
    assert "1 row cannot come over, because of an owner that is not a user id: id 2.\n" in ended.stdout
    assert "1 row cannot come over, because of a blank title: id 8.\n" in ended.stdout
    assert f"1 row cannot come over, because of a title over {title} characters: id 5.\n" in ended.stdout
    assert (
        f"1 row cannot come over, because of a description over {description} characters: id 7.\n" in ended.stdout
    )


@pytest.mark.proves("ADOPT-3")
def test_names_and_values_play_no_tricks_on_the_terminal(tmp_path: Path, here: Database) -> None:
    here.execute(
        'CREATE TABLE tasks (id text, user_id text, title text, "\x1b[2J" text);'
        "INSERT INTO tasks VALUES (E'\\x1b[2J', 'u', '', '')"
    )
    ended = run_adopt(tmp_path, here)
    assert "\x1b" not in ended.stdout
    assert "id '\\x1b[2J'." in ended.stdout


@pytest.mark.proves("ADOPT-4")
@pytest.mark.parametrize(
    ("obstacle", "line"),
    [
        (
            "CREATE TABLE tasks_before_adopt ()",
            "public.tasks_before_adopt exists already: rename it, and run this again."
            " It may have rows that did not come over.",
        ),
        (
            "ALTER TABLE tasks RENAME TO t; CREATE VIEW tasks AS SELECT * FROM t",
            "public.tasks is not a table: rename or drop it, and start the service.",
        ),
        (
            "CREATE INDEX ix_tasks_user_id_id ON another (x)",
            'relation "ix_tasks_user_id_id" already exists. Run this again to see what is there.',
        ),
        (
            "CREATE TABLE todo_backend_version AS SELECT '9' AS version_num",
            "Install the release that made it, or a later one.",
        ),
    ],
)
def test_what_is_in_the_way_is_told(here: Database, obstacle: str, line: str) -> None:
    here.execute(f"{CREATE_ALL}; CREATE TABLE another (x int); {obstacle}")
    assert refusal(here).endswith(line)


@pytest.mark.proves("ADOPT-4")
def test_foreign_keys_to_it_are_dropped_and_added_again(here: Database) -> None:
    """By the statements that the message has; those of a partition go with its table's."""
    here.execute(
        f"""{CREATE_ALL};
        CREATE TABLE tags (task_id int CONSTRAINT "my key" REFERENCES tasks ON DELETE CASCADE, tag text);
        CREATE TABLE notes (task_id bigint REFERENCES tasks) PARTITION BY LIST (task_id);
        CREATE TABLE note PARTITION OF notes DEFAULT;
        INSERT INTO tags VALUES (1, 'x'); INSERT INTO notes VALUES (1)"""
    )
    line = refusal(here)
    drop = re.findall("ALTER TABLE [^;]* DROP [^;]*;", line)
    add = re.findall("ALTER TABLE [^;]* ADD [^;]*;", line)
    assert line == (
        f"Other tables refer to public.tasks. Drop those foreign keys, and run this again: {' '.join(drop)}"
        f" Where the ids stay, add them again afterwards: {' '.join(add)}"
    )
    assert len(drop) == len(add) == 2
    here.execute(" ".join(drop))
    adopt(here.url, yes=True)
    here.execute(" ".join(add))
    here.execute("DELETE FROM notes; DELETE FROM tasks")
    assert here.execute("SELECT * FROM tags") == []


@pytest.mark.proves("ADOPT-4")
def test_a_table_may_refer_to_itself(here: Database) -> None:
    here.execute(f"{CREATE_ALL}; ALTER TABLE tasks ADD COLUMN parent int REFERENCES tasks")
    adopt(here.url, yes=True)
    assert tasks(here, "title") == [("x",)]


@pytest.mark.proves("ADOPT-4")
def test_another_role_may_not_see_or_rename_it(here: Database, database: str, admin: psycopg.Connection) -> None:
    role = f"{database}_user"
    admin.execute(SQL("CREATE ROLE {} LOGIN").format(SQL(role)))
    here.execute(f"{CREATE_ALL}; GRANT ALL ON tasks TO {role}; GRANT ALL ON SCHEMA public TO {role}")
    of_another = here.url.replace("postgres@", f"{role}@")
    assert "must be owner of table tasks" in refusal(here, of_another)
    here.execute("ALTER TABLE tasks ENABLE ROW LEVEL SECURITY")
    hidden = "Row level security hides rows of public.tasks from this role. Run this as another role."
    assert refusal(here, of_another) == hidden


@pytest.mark.proves("ADOPT-4")
def test_a_database_that_does_not_answer(here: Database) -> None:
    with pytest.raises(CannotStart, match='database "unknown" does not exist'):
        adopt("postgresql://postgres@/unknown" + here.url[here.url.index("?") :], yes=True)


@pytest.mark.proves("ADOPT-4")
def test_a_table_in_use_is_waited_for_and_then_told(here: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "LOCK_TIMEOUT", 1)
    here.execute(CREATE_ALL)
    with psycopg.connect(here.url) as other:
        other.execute("SELECT FROM tasks")
        assert refusal(here) == "Another program uses the table tasks. Stop it, and run this again."


@pytest.mark.proves("ADOPT-4")
def test_a_statement_may_take_as_long_as_adopt_says(here: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour, and not the seconds of a request: here it is less."""
    monkeypatch.setattr("todo_backend.cli.adopt.STATEMENT_TIMEOUT", 0.5)
    here.execute(CREATE_ALL)
    with psycopg.connect(here.url) as other:
        other.execute("SELECT FROM tasks")
        began = time.monotonic()
        assert refusal(here).startswith("no answer in time")
        assert time.monotonic() - began < DATABASE_TIMEOUT / 2


@pytest.mark.proves("ADOPT-5")
def test_a_row_that_is_under_way_is_seen(here: Database, database: str) -> None:
    """Whatever the isolation level of the database, which may show adopt what was there before it waited."""
    here.execute(f"{CREATE_ALL}; ALTER DATABASE {database} SET default_transaction_isolation = 'repeatable read'")
    with psycopg.connect(here.url) as other, ThreadPoolExecutor() as threads:
        other.execute("INSERT INTO tasks VALUES (2, 'v', 'y', NULL, true, now(), now())")
        adopting = threads.submit(adopt, here.url, yes=True)
        wait_for_a_lock(here)
        other.commit()
        assert str(adopting.exception(10)) == CHANGED


@pytest.mark.proves("ADOPT-4")
def test_an_upgrade_of_the_tables_is_waited_for(here: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that starts meanwhile would make the table that it does not find."""
    monkeypatch.setattr(adoption, "LOCK_TIMEOUT", 1)
    here.execute(CREATE_ALL)
    with here.connect() as other:
        upgrade.lock(other)
        assert refusal(here) == "Another program uses the table tasks. Stop it, and run this again."


@pytest.mark.proves("ADOPT-5")
@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO tasks VALUES (2, 'v', ' ', NULL, true, now(), now())",
        "ALTER TABLE tasks ADD COLUMN priority int",
    ],
)
def test_a_table_that_changes_after_the_plan_is_left_alone(here: Database, change: str) -> None:
    here.execute(CREATE_ALL)
    plan = plan_of(here)
    here.execute(change)
    before = snapshot(here.url)
    with here.connect() as connection, pytest.raises(adoption_plan.CannotAdopt) as refused:
        adoption.take_over(connection, plan, lambda _: None)
    assert str(refused.value) == CHANGED
    assert snapshot(here.url) == before


@pytest.mark.proves("ADOPT-5")
def test_a_change_that_is_under_way_is_waited_for(here: Database) -> None:
    here.execute(CREATE_ALL)
    plan = plan_of(here)
    with here.connect() as connection, psycopg.connect(here.url) as other, ThreadPoolExecutor() as threads:
        other.execute("ALTER TABLE tasks ADD COLUMN priority int")
        taking = threads.submit(adoption.take_over, connection, plan, lambda _: None)
        wait_for_a_lock(here)
        other.commit()
        assert str(taking.exception(10)) == CHANGED


@pytest.mark.proves("ADOPT-4", "ADOPT-5")
def test_an_obstacle_that_comes_after_the_plan(here: Database) -> None:
    here.execute(CREATE_ALL)
    plan = plan_of(here)
    here.execute("CREATE TABLE tags (task_id int REFERENCES tasks)")
    with here.connect() as connection, pytest.raises(adoption_plan.CannotAdopt, match="Other tables refer to"):
        adoption.take_over(connection, plan, lambda _: None)


@pytest.mark.proves("ADOPT-5")
def test_killed_in_the_middle_it_has_changed_nothing(tmp_path: Path, here: Database) -> None:
    here.execute(
        f"{CREATE_ALL}; INSERT INTO tasks (user_id, title, completed, created_at, updated_at)"
        " SELECT 'u', 'x', false, now(), now() FROM generate_series(1, 60000)"
    )
    before = snapshot(here.url)
    variables = environment(DATABASE_URL=here.url, BETTER_AUTH_SECRET=SECRET)
    inserting = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT INTO tasks (id%'"
    with (
        psycopg.connect(here.url, autocommit=True) as watcher,
        subprocess.Popen(
            [PROGRAM, "adopt", "--yes"], cwd=tmp_path, env=variables, stdout=subprocess.PIPE
        ) as process,
    ):
        while watcher.execute(inserting).fetchall() == []:
            assert process.poll() is None
        process.kill()
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    wait_until(lambda: here.execute(f"SELECT pid {others}") == [])
    assert snapshot(here.url) == before
    assert run_adopt(tmp_path, here, "--yes").returncode == 0
    assert here.execute("SELECT count(*) FROM tasks") == [(60001,)]


@pytest.mark.proves("ADOPT-5")
def test_it_works_through_a_pooler_in_transaction_mode(
    tmp_path: Path, strict: Server, caplog: pytest.LogCaptureFixture
) -> None:
    database = strict.new_database()
    strict.execute(CREATE_ALL, database)
    strict.execute(f"ALTER DATABASE {database} SET statement_timeout = '1min'")
    with pgbouncer.running(strict, pool_size=1) as port:
        url = strict.url(database, "?sslmode=require", port=port)
        adopt(url, yes=True)
        through_it = Database(url, caplog)
        assert through_it.execute("SHOW statement_timeout") == [("1min",)]
        assert through_it.execute("SHOW lock_timeout") == [("0",)]
        through_it.start()
        assert pgbouncer.complaints(strict) == []
    assert strict.execute("SELECT title FROM tasks", database) == [("x",)]
    assert strict.execute("SHOW search_path", database) == [('"$user", public',)]
