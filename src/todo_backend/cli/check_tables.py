"""`todo-backend check` on the tables: what would make a statement fail, and the SQL that fixes it."""

from collections.abc import AsyncIterator
from typing import Any

from psycopg.rows import class_row
from sqlalchemy.ext.asyncio import AsyncConnection

from todo_backend.cli.check_queries import TABLES, Session, Table
from todo_backend.cli.check_result import CheckResult
from todo_backend.database import catalogue
from todo_backend.database.migrations import VERSION_TABLE
from todo_backend.database.schema import Status

RESTART_POOLER = "A client set it on a connection of the pooler: restart the pooler (with Neon the compute)."
# By what has set default_transaction_read_only: pg_settings.source. The SQL runs in a read-only session, too.
READ_ONLY_FIXES = {
    "database": "BEGIN READ WRITE;\nALTER DATABASE {database} RESET default_transaction_read_only;\nCOMMIT;",
    "user": "BEGIN READ WRITE;\nALTER ROLE {role} RESET default_transaction_read_only;\nCOMMIT;",
    "database user": (
        "BEGIN READ WRITE;\nALTER ROLE {role} IN DATABASE {database} RESET default_transaction_read_only;\nCOMMIT;"
    ),
    "global": "BEGIN READ WRITE;\nALTER ROLE ALL RESET default_transaction_read_only;\nCOMMIT;",
    "configuration file": "ALTER SYSTEM SET default_transaction_read_only = off;\nSELECT pg_reload_conf();",
    "client": "Leave default_transaction_read_only out of options in DATABASE_URL, and of PGOPTIONS.",
    "session": RESTART_POOLER,
}
# By what has set search_path, where ALTER ROLE does not change it.
SEARCH_PATH_FIXES = {
    "client": "Correct search_path in options in DATABASE_URL, or in PGOPTIONS.",
    "session": RESTART_POOLER,
}


async def check_tables(connection: AsyncConnection, session: Session) -> AsyncIterator[CheckResult]:
    """Yield the faults of the session and the tables, and whether the schema is current."""
    raw: Any = (await connection.get_raw_connection()).driver_connection
    async with raw.cursor(row_factory=class_row(Table)) as cursor:
        found: list[Table] = await (await cursor.execute(TABLES, [VERSION_TABLE])).fetchall()
    visible = [table for table in found if table.is_visible]
    tasks = next((table for table in visible if table.is_tasks), None)
    if session.encoding != "UTF8":
        hint = "CREATE DATABASE todo ENCODING 'UTF8' TEMPLATE template0;\n\nThen use this database in DATABASE_URL."
        yield CheckResult("Encoding", False, f"{session.encoding}, not UTF8", hint)
        return
    for fault in (_read_only(session), _privileges(visible, session), _policies(visible, session)):
        if fault:
            yield fault
    if tasks:
        for fault in (_replica_identity(tasks), await _next_id(raw, tasks)):
            if fault:
                yield fault
    elif fault := _no_table(found, session):
        yield fault
        return
    if any("SELECT" in table.missing_privileges for table in visible if not table.is_tasks):
        return
    state = await connection.run_sync(catalogue.read)
    hint = state.hint
    if tasks and not tasks.is_owner and state.status in (Status.EARLIER, Status.UNVERSIONED):
        hint = f"Start the service once as {tasks.owner}, who owns {tasks.name}: it applies the migrations."
    yield CheckResult("Schema", state.is_served, state.summary, hint)


def _read_only(session: Session) -> CheckResult | None:
    if session.is_standby:
        hint = "In DATABASE_URL, use the host of the primary, not that of a standby or read replica."
        return CheckResult("Writes", False, "The server is a standby", hint)
    if not session.is_read_only:
        return None
    source = session.read_only_source
    hint = READ_ONLY_FIXES.get(source, "Set default_transaction_read_only to off, where it is set.")
    text = f"default_transaction_read_only is on, set by: {source}"
    return CheckResult("Writes", False, text, hint.format(role=session.role, database=session.database))


def _privileges(visible: list[Table], session: Session) -> CheckResult | None:
    incomplete = [table for table in visible if table.missing_privileges]
    if not incomplete:
        return None
    text = "; ".join(f"{', '.join(table.missing_privileges)} missing on {table.name}" for table in incomplete)
    hint = "\n".join(
        f"GRANT {', '.join(table.missing_privileges)} ON {table.name} TO {session.role};" for table in incomplete
    )
    return CheckResult("Privilege", False, text, _as_owner(incomplete[0].owner, hint))


def _policies(visible: list[Table], session: Session) -> CheckResult | None:
    hidden = [table for table in visible if table.hides_rows]
    if not hidden:
        return None
    statements = []
    for table in hidden:
        statements += [f"DROP POLICY {name} ON {table.name};" for name in table.restrictive_policies]
        statements.append(
            f"CREATE POLICY todo_backend ON {table.name} TO {session.role} USING (true) WITH CHECK (true);"
        )
    text = f"Row level security hides rows of {', '.join(table.name for table in hidden)}"
    return CheckResult("Rows", False, text, _as_owner(hidden[0].owner, "\n".join(statements)))


def _replica_identity(tasks: Table) -> CheckResult | None:
    if tasks.is_replicated_by_key:
        return None
    identity = "DEFAULT" if tasks.has_primary_key else "FULL"
    text = f"{tasks.name} is published without a replica identity: updates and deletes fail"
    hint = f"ALTER TABLE {tasks.name} REPLICA IDENTITY {identity};"
    return CheckResult("Replicas", False, text, _as_owner(tasks.owner, hint))


async def _next_id(raw: Any, tasks: Table) -> CheckResult | None:
    if not tasks.sequence or "SELECT" in tasks.missing_privileges:
        return None
    # The server has quoted both names.
    query = f"SELECT (SELECT max(id) FROM {tasks.name}), last_value + is_called::int FROM {tasks.sequence}"  # noqa: S608
    largest, following = await (await raw.execute(query)).fetchone()
    if largest is None or following > largest:
        return None
    text = f"The next id of {tasks.name} is {following}, and {largest} is taken: creating a task fails"
    hint = f"SELECT setval('{tasks.sequence}', (SELECT max(id) FROM {tasks.name}));"  # noqa: S608  # to be read
    return CheckResult("Ids", False, text, _as_owner(tasks.owner, hint))


def _no_table(found: list[Table], session: Session) -> CheckResult | None:
    """Return why the search path has no tasks, where starting the service would not help."""
    ours = [table.schema for table in found if not table.is_tasks]
    hidden = next((table for table in found if table.is_tasks and table.schema in ours), None)
    if hidden:
        if not hidden.may_use_schema:
            hint = f"GRANT USAGE ON SCHEMA {hidden.schema} TO {session.role};"
        else:
            hint = _set_search_path(session, hidden.schema)
        text = f"{hidden.name} is not on the search path ({session.search_path})"
        return CheckResult("Schema", False, text, hint)
    if session.schema is None:
        hint = f"CREATE SCHEMA todo AUTHORIZATION {session.role};\n{_set_search_path(session, 'todo')}"
        return CheckResult("Schema", False, f"No schema of the search path exists ({session.search_path})", hint)
    if not session.may_create:
        hint = f"GRANT CREATE ON SCHEMA {session.schema} TO {session.role};"
        return CheckResult("Schema", False, f"{session.role} may not create tables in {session.schema}", hint)
    return None


def _set_search_path(session: Session, schema: str) -> str:
    path = ", ".join(filter(None, (schema, session.search_path)))
    statement = f"ALTER ROLE {session.role} IN DATABASE {session.database} SET search_path = {path};"
    return SEARCH_PATH_FIXES.get(session.search_path_source, statement)


def _as_owner(owner: str, sql: str) -> str:
    return f"As {owner}, who owns the table, run:\n\n{sql}"
