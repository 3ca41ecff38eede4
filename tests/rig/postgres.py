"""Debian's PostgreSQL in a temporary folder. As with Neon, TLS and SCRAM-SHA-256 are required over TCP."""

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from tests.frontend import free_port, require

PASSWORD = "a password for tests"
RULES = "local all all trust\nlocal replication all trust\nhostssl all all all scram-sha-256\n"
NEON = "?sslmode=require&channel_binding=require"
USER = (
    "postgres" if os.name == "posix" and os.geteuid() == 0 else None
)  # PostgreSQL and PgBouncer do not run as root

_numbers = itertools.count(1)


@dataclass
class Server:
    """One server. Its Unix socket, in its folder, needs no password."""

    programs: Path
    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def certificate(self) -> Path:
        """The certificate of the server, for `localhost`; self-signed."""
        return self.data / "server.crt"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def url(self, database: str = "postgres", parameters: str = NEON, port: int | None = None) -> str:
        """Return a URL with a password, for TCP with TLS; in the form of Neon's by default."""
        return f"postgresql://me:{quote(PASSWORD)}@localhost:{port or self.port}/{database}{parameters}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        place = f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"
        with psycopg.connect(place, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        name = f"test_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def login(self, database: str) -> list[str]:
        """Return the options with which PostgreSQL's programs log in as superuser, over the socket."""
        return [f"--host={self.folder}", f"--port={self.port}", "--username=postgres", f"--dbname={database}"]

    def end_sessions(self, database: str) -> None:
        self.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'")

    def run(self, program: str, *arguments: object) -> None:
        with self.begin(program, *arguments) as process:
            said = process.communicate(timeout=60)[0]
        assert process.returncode == 0, said

    def begin(self, program: str, *arguments: object) -> subprocess.Popen[str]:
        """Start one of PostgreSQL's programs, or one on the path."""
        own = self.programs / program
        command = [str(part) for part in (own if own.exists() else program, *arguments)]
        pipe, out = subprocess.PIPE, subprocess.STDOUT
        return subprocess.Popen(command, cwd=self.folder, user=USER, stdout=pipe, stderr=out, text=True)

    async def control(self, *arguments: object) -> None:
        """Run pg_ctl without blocking the clients in this process."""
        with self.begin("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", *arguments) as process:
            while process.poll() is None:  # noqa: ASYNC110  # Popen has no awaitable end
                await asyncio.sleep(0.01)
        assert process.returncode == 0, self.log

    async def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c ssl=on -c fsync=off -c log_connections=on"
        await self.control("-o", f"{options} -c listen_addresses=127.0.0.1", "start")

    async def stop(self) -> None:
        """Stop as in a crash: at once, without a checkpoint."""
        await self.control("-m", "immediate", "stop")


@contextlib.contextmanager
def folder_of_a_server() -> Iterator[Server]:
    """Yield a server without data, and stop it at the end of the block."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    require("PostgreSQL built with TLS (Debian's postgresql)", present=bool(found))
    with tempfile.TemporaryDirectory() as name:
        server = Server(found[-1].parent, Path(name), free_port())
        if USER:
            shutil.chown(name, USER)
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                asyncio.run(server.stop())


@contextlib.contextmanager
def tls_postgres() -> Iterator[Server]:
    """Yield a running server that has the role `me`."""
    with folder_of_a_server() as server:
        server.run("initdb", "-D", server.data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
        make_certificate(server, server.certificate)
        (server.data / "pg_hba.conf").write_text(RULES)
        asyncio.run(server.start())
        server.execute(f"CREATE ROLE me LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        yield server


def make_certificate(server: Server, path: Path) -> None:
    """Write a self-signed certificate for `localhost`, and its key beside it."""
    files = ["-keyout", path.with_suffix(".key"), "-out", path]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    server.run("openssl", "req", "-new", "-x509", "-nodes", *name, *files)


@contextlib.contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    """Yield a synchronous standby: the primary acknowledges no commit before the standby has it."""
    with folder_of_a_server() as standby:
        place = f"host={primary.folder} port={primary.port} user=postgres application_name=standby"
        standby.run("pg_basebackup", "-D", standby.data, "-d", place, "-R", "-c", "fast", "--no-sync")
        asyncio.run(standby.start())
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        primary.execute("SELECT pg_reload_conf()")
        yield standby
