"""PgBouncer, by default in transaction mode, which is what Neon's `-pooler` hosts run."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.frontend import free_port, require
from tests.rig.postgres import PASSWORD, USER, Server
from tests.service import wait_until

CONFIGURATION = """\
[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = {mode}
default_pool_size = {pool_size}
max_client_conn = 1000
auth_type = scram-sha-256
auth_file = {folder}/users.txt
client_tls_sslmode = require
client_tls_cert_file = {data}/server.crt
client_tls_key_file = {data}/server.key
server_tls_sslmode = require
"""


def program() -> str | None:
    return shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")


@contextlib.contextmanager
def running(
    server: Server, *, pool_size: int = 4, mode: str = "transaction", users: Iterable[str] = ("me",)
) -> Iterator[int]:
    """Run PgBouncer in front of a server, with `pool_size` connections for each user, and yield its port."""
    require("PgBouncer", present=program() is not None)
    folder, port = server.folder / "pgbouncer", free_port()
    folder.mkdir()
    (folder / "users.txt").write_text("".join(f'"{user}" "{PASSWORD}"\n' for user in users))
    configuration = folder / "pgbouncer.ini"
    values = {"mode": mode, "port": port, "server_port": server.port, "pool_size": pool_size, "folder": folder}
    configuration.write_text(CONFIGURATION.format(data=server.data, **values))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(program()), str(configuration)], user=USER, stdout=log, stderr=log)
    try:
        wait_until(lambda: listens(port))
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def complaints(server: Server) -> list[str]:
    """Return the errors and warnings in PgBouncer's log."""
    lines = Path(server.folder / "pgbouncer" / "log").read_text().splitlines()
    return [line for line in lines if " ERROR " in line or " WARNING " in line]
