"""Take over the rows of another program's table `tasks`, as the plan says."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from sqlalchemy import Connection, func, select, text

from todo_backend.database import catalogue
from todo_backend.database.adoption_plan import OLD_TABLE, CannotAdopt, Plan, require_no_obstacles
from todo_backend.database.old_rows import COLUMNS
from todo_backend.database.upgrade import lock, upgrade

INDEX = "ix_tasks_user_id_id"  # of our table

LOCK_TIMEOUT = 10  # seconds to wait for other programs that use the table
BATCH = 100_000  # rows, or more if there would be over MAX_BATCHES: each batch scans the old table
MAX_BATCHES = 50
BEYOND = 10**18  # greater than every id, and than every timestamp in seconds since 1970

# Our names, which indexes and sequences of the old table may have, too.
_OUR_NAMES = f"'tasks_pkey', 'tasks_id_seq', '{INDEX}'"

_NAMES_TO_FREE = f"""
    SELECT relname FROM pg_class WHERE relname IN ({_OUR_NAMES})
        AND oid IN (
            SELECT indexrelid FROM pg_index WHERE indrelid = to_regclass(:table)
            UNION SELECT objid FROM pg_depend
                WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND refobjid = to_regclass(:table))
"""

_CONTINUE_IDS = "SELECT setval(pg_get_serial_sequence('tasks', 'id'), max(id)) FROM tasks HAVING count(*) > 0"


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
    if catalogue.read(connection) != plan.found:
        raise changed
    require_no_obstacles(connection, plan.found)
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
