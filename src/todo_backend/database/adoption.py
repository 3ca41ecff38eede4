"""Take over the rows of another program's table `tasks`: the plan, and its execution."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection, func, select, text

from todo_backend.database import schema
from todo_backend.database.old_rows import COLUMNS, OldRows
from todo_backend.database.schema import Schema, Status
from todo_backend.database.upgrade import UnusableSchema, lock, upgrade
from todo_backend.settings import CannotStart
from todo_backend.tasks.models import MAX_ID

OLD_TABLE = "tasks_before_adopt"
INDEX = "ix_tasks_user_id_id"  # of our table

LOCK_TIMEOUT = 10  # seconds to wait for other programs that use the table
BATCH = 100_000  # rows, or more if there would be over MAX_BATCHES: each batch scans the old table
MAX_BATCHES = 50
BEYOND = 10**18  # greater than every id, and than every timestamp in seconds since 1970
MAX_IDS = 1000  # listed for each fault
MAX_OWNERS = 10  # listed

# Our names, which indexes and sequences of the old table may have, too.
_OUR_NAMES = f"'tasks_pkey', 'tasks_id_seq', '{INDEX}'"

_OBSTACLES = f"""
    SELECT tasks.relkind IN ('r', 'p') AS is_table,
        EXISTS (SELECT FROM pg_class AS old
            WHERE old.relnamespace = tasks.relnamespace AND old.relname = '{OLD_TABLE}') AS is_adopted,
        row_security_active(tasks.oid) AS hides_rows,
        (SELECT string_agg(DISTINCT conrelid::regclass::text, ', ') FROM pg_constraint
            WHERE contype = 'f' AND confrelid = tasks.oid AND conrelid <> tasks.oid) AS referrers,
        (SELECT string_agg(DISTINCT ev_class::regclass::text, ', ')
            FROM pg_depend JOIN pg_rewrite ON objid = pg_rewrite.oid
            WHERE classid = 'pg_rewrite'::regclass AND refobjid = tasks.oid AND ev_class <> tasks.oid) AS views
    FROM pg_class AS tasks WHERE oid = to_regclass('tasks')
"""
_NAMES_TO_FREE = f"""
    SELECT relname FROM pg_class WHERE relname IN ({_OUR_NAMES})
        AND oid IN (
            SELECT indexrelid FROM pg_index WHERE indrelid = to_regclass(:table)
            UNION SELECT objid FROM pg_depend
                WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND refobjid = to_regclass(:table))
"""

_CONTINUE_IDS = "SELECT setval(pg_get_serial_sequence('tasks', 'id'), max(id)) FROM tasks HAVING count(*) > 0"


class CannotAdopt(CannotStart):
    """The rows cannot be taken over; nothing has been changed."""


@dataclass(frozen=True)
class Fault:
    """Rows that cannot be taken over for one reason, and the first of their ids, as text."""

    reason: str
    count: int
    ids: list[str]


@dataclass(frozen=True)
class Plan:
    """What `take_over` will do.

    Attributes:
        rows: how the columns of the old table become ours.
        keeping: the number of rows that keep their ids.
        numbering: the number of rows that get new ids.
        largest: the largest of the kept ids, 0 if there is none.
        owners: those with the most rows to take over, and the number of rows.
        owner_count: the number of all owners.
        views: names of views that read the table, and will read the renamed one.
    """

    found: Schema
    rows: OldRows
    keeping: int
    numbering: int
    largest: int
    faults: list[Fault]
    owners: list[tuple[str, int]]
    owner_count: int
    views: str

    @property
    def coming(self) -> int:
        return self.keeping + self.numbering

    @property
    def staying(self) -> int:
        return sum(fault.count for fault in self.faults)


def make_plan(connection: Connection) -> Plan | None:
    """Read the table `tasks`, and return the plan; None if there is nothing to take over.

    Raises:
        UnusableSchema: a later release made the table, or there is no schema for it.
        CannotAdopt: something has to be changed first; the text says what.
    """
    found = schema.read(connection)
    if found.status in (Status.TOO_LATE, Status.NOWHERE):
        raise UnusableSchema(found)
    if found.status not in (Status.FOREIGN, Status.INCOMPLETE):
        return None
    views = _require_no_obstacles(connection, found)
    rows = OldRows.of(found)
    source = rows.select(found.table, at_once=True)
    counts = connection.execute(
        text(f"SELECT fault, count(*), count(id), max(id) FROM ({source}) AS old GROUP BY fault ORDER BY 2 DESC, 1")
    ).all()
    coming, keeping, largest = next(((row[1], row[2], row[3] or 0) for row in counts if row[0] is None), (0, 0, 0))
    if largest + coming - keeping > MAX_ID:
        raise CannotAdopt(
            f"After the largest id, {largest}, none is left for the {coming - keeping} rows without one."
        )
    owners = connection.execute(
        text(
            f"SELECT user_id, count(*), count(*) OVER () FROM ({source}) AS old WHERE fault IS NULL"
            f" GROUP BY user_id ORDER BY 2 DESC, 1 LIMIT {MAX_OWNERS}"
        )
    ).all()
    return Plan(
        found=found,
        rows=rows,
        keeping=keeping,
        numbering=coming - keeping,
        largest=largest,
        faults=[
            Fault(row[0], row[1], _ids(connection, rows, found.table, row[0]))
            for row in counts
            if row[0] is not None
        ],
        owners=[(row[0], row[1]) for row in owners],
        owner_count=owners[0][2] if owners else 0,
        views=views,
    )


def _require_no_obstacles(connection: Connection, found: Schema) -> str:
    """Return the names of the views that read the table."""
    obstacles = connection.execute(text(_OBSTACLES)).one()
    table, old = found.table, f"{found.name}.{OLD_TABLE}"
    if obstacles.is_adopted:
        raise CannotAdopt(f"{old} exists already: rename or drop it, and run this again.")
    if not obstacles.is_table:
        raise CannotAdopt(f"{table} is not a table: rename or drop it, and start the service.")
    if obstacles.referrers:
        raise CannotAdopt(
            f"Other tables refer to {table}: {obstacles.referrers}. Drop those foreign keys, and run this again."
        )
    if obstacles.hides_rows:
        raise CannotAdopt(f"Row level security hides rows of {table} from this role. Run this as another role.")
    return obstacles.views or ""


def _ids(connection: Connection, rows: OldRows, table: str, reason: str) -> list[str]:
    source = rows.select(table, at_once=True)
    query = f"SELECT old_id::text FROM ({source}) AS old WHERE fault = :reason ORDER BY old.old_id LIMIT {MAX_IDS}"
    return list(connection.scalars(text(query), {"reason": reason})) if rows.sources["id"] else []


def take_over(connection: Connection, plan: Plan, advance: Callable[[int], object]) -> None:
    """Execute the plan in the transaction of the connection.

    The server copies the rows. The old table is locked until the end of the transaction.

    Args:
        advance: called with the number of rows after each batch.

    Raises:
        CannotAdopt: the table has changed since the plan was made.
    """
    name, table = plan.found.name, plan.found.table
    connection.execute(
        select(
            func.set_config("lock_timeout", f"{LOCK_TIMEOUT}s", True),
            func.set_config("statement_timeout", "0", True),
        )
    )
    lock(connection)
    connection.execute(text(f"LOCK TABLE {table}"))
    changed = CannotAdopt(
        f"{table} has changed since the plan was made. Stop the other backend, and run this again."
    )
    if schema.read(connection) != plan.found:
        raise changed
    _require_no_obstacles(connection, plan.found)
    connection.execute(text(f"ALTER TABLE {table} RENAME TO {OLD_TABLE}"))
    for relation in connection.scalars(text(_NAMES_TO_FREE), {"table": f"{name}.{OLD_TABLE}"}).all():
        connection.execute(text(f"ALTER TABLE {name}.{relation} RENAME TO {relation}_before_adopt"))
    upgrade(connection, name, since="base")
    # Inserts are almost twice as fast without the index, and creating it at the end is quick.
    index = connection.scalar(text(f"SELECT pg_get_indexdef(to_regclass('{INDEX}'))"))
    connection.execute(text(f"DROP INDEX {INDEX}"))
    inserted = 0
    for count in _insert(connection, plan):
        inserted += count
        advance(count)
    connection.execute(text(str(index)))
    connection.execute(text(_CONTINUE_IDS))
    total = connection.scalar(text(f"SELECT count(*) FROM {OLD_TABLE}"))
    if (inserted, total) != (plan.coming, plan.coming + plan.staying):
        raise changed


def _insert(connection: Connection, plan: Plan) -> Iterator[int]:
    """Insert the rows that keep their ids, then the others in order of creation; yield the size of each batch."""
    source = plan.rows.select(OLD_TABLE)
    columns = ", ".join(COLUMNS)
    if plan.keeping:
        kept = f"FROM ({source}) AS old WHERE fault IS NULL AND id IS NOT NULL"
        # Without a primary key, duplicate ids are found by a scan of all rows; with one batch there is one scan.
        batches = _batches(connection, kept, "old_id", plan.keeping if plan.rows.has_unique_ids else 0)
        for batch in batches:
            insert = text(f"INSERT INTO tasks ({columns}) SELECT {columns} {kept} AND {batch}")
            yield connection.execute(insert).rowcount
    if plan.numbering:
        numbered = f"FROM ({source}) AS old WHERE fault IS NULL AND id IS NULL"
        largest = plan.largest
        for batch in _batches(connection, numbered, "extract(epoch FROM created_at)", plan.numbering):
            number = f"{largest} + row_number() OVER (ORDER BY created_at, old_id, place)"
            values = columns.replace("id", number, 1)
            insert = text(f"INSERT INTO tasks ({columns}) SELECT {values} {numbered} AND {batch}")
            count = connection.execute(insert).rowcount
            largest += count
            yield count


def _batches(connection: Connection, rows: str, key: str, count: int) -> Iterator[str]:
    """Yield conditions on a key that divide `count` rows into batches of about equal size, in order of the key."""
    batches = min(count // BATCH, MAX_BATCHES)
    parts = [number / batches for number in range(1, batches)]
    limits: list[str] = []
    if parts:
        percentiles = f"percentile_disc(CAST(:parts AS float[])) WITHIN GROUP (ORDER BY {key})"
        query = text(f"SELECT DISTINCT unnest({percentiles}) {rows} ORDER BY 1")
        limits = [str(limit) for limit in connection.scalars(query, {"parts": parts})]
    for lower, upper in pairwise([str(-BEYOND), *limits, str(BEYOND)]):
        yield f"{key} > {lower} AND {key} <= {upper}"
