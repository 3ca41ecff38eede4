"""The plan of `todo-backend adopt`: which rows of another program's table `tasks` can be taken over."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from todo_backend.database import catalogue
from todo_backend.database.old_rows import OldRows
from todo_backend.database.schema import Schema, Status
from todo_backend.database.upgrade import UnusableSchema
from todo_backend.settings import CannotStart
from todo_backend.tasks.models import MAX_ID

OLD_TABLE = "tasks_before_adopt"
MAX_IDS = 1000  # listed for each fault
MAX_OWNERS = 10  # listed

_REFERRERS = "contype = 'f' AND confrelid = tasks.oid AND conrelid <> tasks.oid AND conparentid = 0"
_OBSTACLES = f"""
    SELECT tasks.relkind IN ('r', 'p') AS is_table,
        EXISTS (SELECT FROM pg_class AS old
            WHERE old.relnamespace = tasks.relnamespace AND old.relname = '{OLD_TABLE}') AS is_adopted,
        row_security_active(tasks.oid) AS hides_rows,
        (SELECT string_agg(format('ALTER TABLE %s DROP CONSTRAINT %I;', conrelid::regclass, conname), ' ')
            FROM pg_constraint WHERE {_REFERRERS}) AS drop_referrers,
        (SELECT string_agg(format('ALTER TABLE %s ADD CONSTRAINT %I %s;',
                conrelid::regclass, conname, pg_get_constraintdef(pg_constraint.oid)), ' ')
            FROM pg_constraint WHERE {_REFERRERS}) AS add_referrers,
        (SELECT string_agg(DISTINCT confrelid::regclass::text, ', ') FROM pg_constraint
            WHERE contype = 'f' AND conrelid = tasks.oid AND confrelid <> tasks.oid) AS referred,
        (SELECT string_agg(DISTINCT ev_class::regclass::text, ', ')
            FROM pg_depend JOIN pg_rewrite ON objid = pg_rewrite.oid
            WHERE classid = 'pg_rewrite'::regclass AND refobjid = tasks.oid AND ev_class <> tasks.oid) AS views
    FROM pg_class AS tasks WHERE oid = to_regclass('tasks')
"""

# SQLModel's name for `class Task` is task.
_OTHER_TABLE = """
    SELECT quote_ident(relname) FROM pg_class
    WHERE relnamespace = to_regnamespace(:schema) AND relkind = 'r' AND lower(relname) IN ('task', 'todo', 'todos')
        AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'title')
"""


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
        referred: names of tables to which its foreign keys refer.
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
    referred: str

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
    found = catalogue.read(connection)
    if found.status in (Status.TOO_LATE, Status.NOWHERE):
        raise UnusableSchema(found)
    if found.status not in (Status.FOREIGN, Status.INCOMPLETE):
        return None
    views, referred = require_no_obstacles(connection, found)
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
        referred=referred,
    )


def describe_other_table(connection: Connection) -> str:
    """Return how to name a table of tasks `tasks`, where ours has no rows; empty if there is no such table."""
    found = catalogue.read(connection)
    has_rows = found.kind and connection.scalar(text(f"SELECT EXISTS (SELECT FROM {found.table})"))
    other = None if has_rows else connection.scalar(text(_OTHER_TABLE), {"schema": found.name})
    sql = f"  DROP TABLE IF EXISTS {found.table};\n  ALTER TABLE {found.name}.{other} RENAME TO tasks;"
    return f"If the tasks are in {found.name}.{other}, run this, and then adopt again:\n\n{sql}" if other else ""


def require_no_obstacles(connection: Connection, found: Schema) -> tuple[str, str]:
    """Return the names of the views that read the table, and of the tables to which it refers."""
    obstacles = connection.execute(text(_OBSTACLES)).one()
    table, old = found.table, f"{found.name}.{OLD_TABLE}"
    if obstacles.is_adopted:
        raise CannotAdopt(
            f"{old} exists already: rename it, and run this again. It may have rows that did not come over."
        )
    if not obstacles.is_table:
        raise CannotAdopt(f"{table} is not a table: rename or drop it, and start the service.")
    if obstacles.drop_referrers:
        raise CannotAdopt(
            f"Other tables refer to {table}. Drop those foreign keys, and run this again:"
            f" {obstacles.drop_referrers} Where the ids stay, add them again afterwards: {obstacles.add_referrers}"
        )
    if obstacles.hides_rows:
        raise CannotAdopt(f"Row level security hides rows of {table} from this role. Run this as another role.")
    return obstacles.views or "", obstacles.referred or ""


def _ids(connection: Connection, rows: OldRows, table: str, reason: str) -> list[str]:
    source = rows.select(table, at_once=True)
    query = f"SELECT old_id::text FROM ({source}) AS old WHERE fault = :reason ORDER BY old.old_id LIMIT {MAX_IDS}"
    return list(connection.scalars(text(query), {"reason": reason})) if rows.sources["id"] else []
