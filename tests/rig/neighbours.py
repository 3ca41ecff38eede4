"""Other programs on the same database: a frontend's Better Auth and Drizzle, and PostgreSQL's own programs."""

import asyncio
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx2
from starlette.types import Receive, Scope, Send

from tests.rig.postgres import Server
from tests.service import bearer
from todo_backend import main
from todo_backend.database.startup import open_database


def served(url: str, *new: str) -> dict[int, str]:
    """Start the service, create tasks, and return the id and title of each task that the user has then.

    The service runs in this process without its HTTP server, which takes a tenth of the time.
    """

    async def use() -> dict[int, str]:
        async with open_database(url, pool_size=1) as database:

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await main.app({**scope, "state": {"database": database}}, receive, send)

            async with httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app), base_url="http://test", headers=bearer("ada")
            ) as client:
                for title in new:
                    (await client.post("/api/tasks", json={"title": title})).raise_for_status()
                tasks = (await client.get("/api/tasks")).raise_for_status().json()
                return {task["id"]: task["title"] for task in tasks}

    return asyncio.run(use())


def sh(folder: Path, server: Server, commands: str, **variables: str) -> str:
    """Run shell commands, with PostgreSQL's programs on the path, and return what they print. They must succeed."""
    settings = {
        "PATH": f"{server.programs}:{os.environ['PATH']}",
        "NODE_EXTRA_CA_CERTS": str(server.certificate),  # Node does not use the certificates of the system
        "NODE_NO_WARNINGS": "1",
    }
    ended = subprocess.run(
        ["sh", "-ec", commands],
        cwd=folder,
        env=os.environ | settings | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@dataclass
class Frontend:
    """A frontend's folder, and the database that it shares with the service."""

    folder: Path
    server: Server
    database: str
    url: str

    def sh(self, commands: str, **variables: str) -> str:
        return sh(self.folder, self.server, commands, DATABASE_URL=self.url, **variables)

    def better_auth(self) -> set[str]:
        """Let Better Auth migrate, and return the tables that it makes."""
        return set(self.sh("node better-auth.mjs").split())

    def drizzle_kit(self, arguments: str, **variables: str) -> str:
        return self.sh(f"node_modules/.bin/drizzle-kit {arguments}", **variables)

    def drizzle_migrate(self) -> set[str]:
        """Let Drizzle generate its migration and apply it, and return the tables that it makes."""
        before = self.tables()
        self.drizzle_kit("generate")
        self.drizzle_kit("migrate")
        return self.tables() - before

    def tables(self, schema: str = "public") -> set[str]:
        query = f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"
        return {name for (name,) in self.server.execute(query, self.database)}
