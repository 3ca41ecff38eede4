"""The limit: PostgreSQL's own load generator with the same statements, and no service in between."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from bench.postgres import Postgres
from bench.workload import BIG_USERS_ASKED, PER_GROUP, USERS, DataSet

NAME = "pgbench"
TITLE = "pgbench"

_OWNED = "WHERE id = :stride * (:n + 1) AND user_id = 'user-' || :n::int % {users}"
_LATER = "updated_at = greatest(clock_timestamp(), updated_at + interval '1 microsecond')"
_LIST = "SELECT * FROM tasks WHERE user_id = '{name}-' || :n::int % {users} ORDER BY id"

SCRIPTS = {
    "get": f"SELECT * FROM tasks {_OWNED}",
    "list20": _LIST.format(name="user", users=USERS),
    "list1000": _LIST.format(name="big", users=BIG_USERS_ASKED),
    "create": "INSERT INTO tasks (user_id, title, description) VALUES ('new-' || :n::int % {users}, 'New task',"
    " 'Described in a few words, as people do') RETURNING *",
    "put": f"UPDATE tasks SET title = 'Task, changed to ' || :n::int, {_LATER} {_OWNED} RETURNING *",
    "toggle": f"UPDATE tasks SET completed = NOT completed, {_LATER} {_OWNED} RETURNING *",
}


def rate(
    postgres: Postgres, data: DataSet, endpoint: str, *, clients: int, seconds: float, protocol: str = "prepared"
) -> float:
    """Return the statements a second."""
    # Users of odd numbers are written and those of even ones read, see workload.py.
    half = "2 * random(0, {last}) + {odd}".format(last=PER_GROUP // 2 - 1, odd=int(endpoint in {"put", "toggle"}))
    statement = SCRIPTS[endpoint].format(users=USERS)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.sql"
        script.write_text(f"\\set n {half}\n{statement};\n")
        command = [
            str(postgres.bin / "pgbench"),
            "--no-vacuum",
            f"--protocol={protocol}",
            f"--define=stride={data.stride}",
            f"--client={clients}",
            f"--time={max(1, round(seconds))}",
            f"--file={script}",
        ]
        environment = os.environ | {"PGHOST": str(postgres.folder), "PGUSER": "postgres", "PGDATABASE": data.name}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", ended.stdout)
    if ended.returncode or not found:
        raise RuntimeError(ended.stderr)
    return float(found[1])
