"""`todo-backend adopt`: print the plan, ask, and take the rows over."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import typer
from psycopg.errors import LockNotAvailable
from psycopg.sql import Identifier
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from todo_backend.database.adoption import take_over
from todo_backend.database.adoption_plan import OLD_TABLE, CannotAdopt, Fault, Plan, describe_other_table, make_plan
from todo_backend.database.engine import create_engine
from todo_backend.database.failures import explain
from todo_backend.database.old_rows import COLUMNS
from todo_backend.database.pool import ConnectionPool
from todo_backend.server.loop import SelectorEventLoop

Result = TypeVar("Result")

STATEMENT_TIMEOUT = 3600.0  # seconds; a statement reads the old table through, or moves a part of its rows

_NOW = "the time of this command"
# What our columns hold where there is no such column in the old table.
_DEFAULTS = {
    "id": "a new number, in the order of creation",
    "user_id": "no row can come over without it",
    "title": "no row can come over without it",
    "description": "null",
    "completed": "false",
    "created_at": _NOW,
    "updated_at": _NOW,
}
_NULLS = ("completed", "created_at", "updated_at")  # those of which the same is true of a null


def adopt(url: str, *, yes: bool) -> None:
    """Print what would be done with the table `tasks`, ask unless `yes` is given, and do it.

    Raises:
        CannotStart: nothing has been changed, and why.
        typer.Exit: with 1 where the answer is no, with 2 where there is nobody to ask.
    """
    with asyncio.Runner(loop_factory=SelectorEventLoop) as runner:
        plan = runner.run(_in_transaction(url, make_plan))
        if plan is None:
            other = runner.run(_in_transaction(url, describe_other_table))
            typer.echo(f"There is nothing to take over. {other}".rstrip())
            return
        for line in _describe(plan):
            typer.echo(line)
        if not yes:
            _ask()
        with typer.progressbar(length=plan.coming, label="Taking the rows over", file=sys.stderr) as bar:
            runner.run(_in_transaction(url, partial(take_over, plan=plan, advance=bar.update)))
    stayed = f" {_rows(plan.staying)} stayed in {plan.found.name}.{OLD_TABLE}." if plan.staying else ""
    typer.echo(f"{_rows(plan.coming)} came over.{stayed} Start the service.")


async def _in_transaction(url: str, work: Callable[[Connection], Result]) -> Result:
    pool = ConnectionPool(url, size=1)
    engine = create_engine(pool, timeout=STATEMENT_TIMEOUT)
    try:
        # After waiting for a lock, it has to see what others have done.
        async with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            return await connection.run_sync(work)
    except DBAPIError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise CannotAdopt("Another program uses the table tasks. Stop it, and run this again.") from error
        # It is all or nothing. Which one is unknown if the connection was lost during the commit.
        raise CannotAdopt(f"{explain(error)}. Run this again to see what is there.") from error
    finally:
        await pool.close()


def _ask() -> None:
    if not sys.stdin.isatty():
        typer.echo("Nothing has been changed: there is no terminal to ask on. Run it again with --yes.", err=True)
        raise typer.Exit(2)
    if not typer.confirm("Take the rows over?"):
        typer.echo("Nothing has been changed.")
        raise typer.Exit(1)


def _describe(plan: Plan) -> Iterator[str]:
    """Yield the lines of the plan."""
    yield f"{plan.found.summary}. It has {_rows(plan.coming + plan.staying)}.\n"
    yield from _describe_columns(plan)
    yield f"\n{_rows(plan.coming)} can come over{_whose(plan)}."
    if plan.numbering:
        yield f"{plan.numbering:,} of them get new ids, from {plan.largest + 1} on, in the order of creation."
    if plan.owners:
        yield "Each user sees only rows with their own id in Better Auth. If its users are in this database, try:\n"
        owner = _printable(Identifier(str(plan.rows.sources["user_id"])).as_string())
        users = '(SELECT id::text FROM "user")'
        yield f"  SELECT DISTINCT {owner} FROM {plan.found.table} WHERE {owner}::text NOT IN {users};\n"  # noqa: S608  # to be read
    for fault in plan.faults:
        yield f"{_rows(fault.count)} cannot come over, because of {fault.reason}{_which(fault)}."
    if plan.faults:
        yield "To take these over too, correct them before you go on: a later run does not take them over."
    yield f"\nThe old table is kept whole, and renamed to {plan.found.name}.{OLD_TABLE}."
    if plan.views:
        yield f"Views that read it go on reading it: {plan.views}."
    if plan.referred:
        yield f"Its foreign keys stay with it, and the new table has none: they refer to {plan.referred}."
    yield "Stop the other backend before you go on."


def _describe_columns(plan: Plan) -> Iterator[str]:
    targets = {source: column for column, source in plan.rows.sources.items() if source}
    lines = [
        (_printable(name), _printable(kind), _becomes(plan, targets.get(name)))
        for name, (kind, *_) in plan.found.columns.items()
    ]
    missing = [column for column in COLUMNS if column not in targets.values()]
    lines += [("(none)", "", f"{column}: {_DEFAULTS[column]}") for column in missing]
    names, kinds = (max(len(line[place]) for line in lines) for place in (0, 1))
    for name, kind, target in lines:
        yield f"  {name:<{names}}  {kind:<{kinds}}  {target}"


def _becomes(plan: Plan, column: str | None) -> str:
    """Return what becomes of an old column."""
    if column is None or (column == "id" and not plan.rows.keeps_ids):
        return "stays in the old table"
    kind = plan.rows.types[str(plan.rows.sources[column])]
    zone = ", read as UTC" if column.endswith("_at") and kind == "timestamp without time zone" else ""
    null = f"; null becomes {_DEFAULTS[column]}" if column in _NULLS else ""
    return column + zone + null


def _whose(plan: Plan) -> str:
    """Return who owns the rows that come over."""
    owners = ", ".join(f"{_printable(owner)}: {count:,}" for owner, count in plan.owners)
    others = f" and {plan.owner_count - len(plan.owners):,} others" if plan.owner_count > len(plan.owners) else ""
    return f" ({owners}{others})" if owners else ""


def _which(fault: Fault) -> str:
    """Return the ids of the rows, where they have any."""
    ids = ", ".join(map(_printable, fault.ids))
    more = f" and {fault.count - len(fault.ids):,} more" if fault.count > len(fault.ids) else ""
    return f": id {ids}{more}" if ids else ""


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _printable(text: str | None) -> str:
    """Return a name or a value of the old table, without escape sequences for the terminal."""
    return str(text) if str(text).isprintable() else ascii(text)
