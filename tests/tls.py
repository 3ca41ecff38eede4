"""A PostgreSQL with TLS and SCRAM, as Neon's is: Debian's, on a folder of its own."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.frontend import free_port, require

PASSWORD = "a password for tests"
RULES = "local all all trust\nhostssl all all all scram-sha-256\n"


def programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextlib.contextmanager
def tls_postgres() -> Iterator[str]:
    """Yield the URL of a role that has to give a password, over TLS; the parameters are left to add."""
    bin_path = programs()
    require("PostgreSQL built with TLS (Debian's postgresql)", present=bin_path is not None)
    assert bin_path
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        if user:
            shutil.chown(folder, user)
        data = folder / "data"

        def do(*command: object) -> None:
            subprocess.run([str(part) for part in command], cwd=folder, user=user, check=True, capture_output=True)

        do(bin_path / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C")
        subject = ["-subj", "/CN=localhost", "-keyout", data / "server.key", "-out", data / "server.crt"]
        do("openssl", "req", "-new", "-x509", "-nodes", *subject)
        (data / "pg_hba.conf").write_text(RULES)
        options = f"-p {port} -k {folder} -c ssl=on -c fsync=off -c listen_addresses=127.0.0.1"
        do(bin_path / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            role = f"CREATE ROLE me LOGIN SUPERUSER PASSWORD '{PASSWORD}'"
            do(bin_path / "psql", "-h", folder, "-p", port, "-U", "postgres", "-c", role)
            yield f"postgresql://me:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/postgres"
        finally:
            do(bin_path / "pg_ctl", "-D", data, "-m", "immediate", "stop")
