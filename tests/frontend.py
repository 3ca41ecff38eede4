"""The real Better Auth, in the ways of tests/better_auth/ways/, spoken to as a browser would."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.service import SECRET

FOLDER = Path(__file__).parent / "better_auth"


def require(part: str, *, present: bool) -> None:
    """Skip a test for want of a part that PyPI cannot bring; with REQUIRE_ALL=1, fail it."""
    if not present:
        (pytest.fail if os.environ.get("REQUIRE_ALL") else pytest.skip)(f"{part} is missing")


def free_port() -> int:
    """Return a port that no outgoing connection will take meanwhile: those take theirs from 32768 on."""
    while True:
        port = 15_000 + secrets.randbelow(15_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@dataclass
class Frontend:
    url: str
    mount: str = "/api/auth"
    cookies: dict[str, httpx2.Cookies] = field(default_factory=dict)

    def ask(self, user: str, method: str, path: str, body: object = None) -> httpx2.Response:
        """Send a request of one user's browser."""
        address = f"192.0.2.{secrets.randbelow(256)}"  # in production Better Auth lets one sign up thrice in 10 s
        headers = {"Origin": self.url, "X-Forwarded-For": address}
        with httpx2.Client(base_url=self.url, cookies=self.cookies.get(user), verify=False) as browser:
            answer = browser.request(method, path, json=body, headers=headers)
            self.cookies[user] = browser.cookies
        return answer

    def sign_up(self, user: str, **more: str) -> str:
        """Sign up and in, with more fields such as an image, and return the user's id."""
        body = {"name": user, "email": f"{user}@example.com", "password": "a password for tests"} | more
        user_id: str = (
            self.ask(user, "POST", f"{self.mount}/sign-up/email", body).raise_for_status().json()["user"]["id"]
        )
        return user_id

    def token(self, user: str, path: str | None = None) -> str:
        """Return what authClient.token() returns, or another path of the frontend."""
        token: str = self.ask(user, "GET", path or f"{self.mount}/token").raise_for_status().json()["token"]
        return token

    def cookie(self, user: str, name: str) -> str:
        value = self.cookies[user].get(name)
        assert value
        return value


@contextlib.contextmanager
def better_auth(way: str, port: int | None = None, **variables: str) -> Iterator[Frontend]:
    """Run Better Auth in one of its ways; a variable may hold the origin as {url}."""
    port = port or free_port()
    url = f"http://localhost:{port}"
    settings = {"BETTER_AUTH_SECRET": SECRET, "BETTER_AUTH_URL": url, "BETTER_AUTH_TELEMETRY": "0"}
    settings |= {name: value.replace("{url}", url) for name, value in variables.items()}
    process = subprocess.Popen(
        ["node", "build/server.js", way, str(port)], cwd=FOLDER, env=os.environ | settings, stdout=subprocess.PIPE
    )
    assert process.stdout
    try:
        assert process.stdout.readline() == b"listening\n"
        yield Frontend(url, httpx2.URL(settings["BETTER_AUTH_URL"]).path.rstrip("/") or "/api/auth")
    finally:
        process.kill()
        process.communicate()


def build() -> None:
    """Compile the server, its ways and the clients, which is how they are type-checked too."""
    modules = FOLDER / "node_modules"
    require(
        "Node with Better Auth (npm ci in tests/better_auth)",
        present=bool(shutil.which("node")) and modules.exists(),
    )
    types = ["openapi-typescript", "../../openapi.json", "--output", "api.d.ts"]
    subprocess.run([modules / ".bin" / types[0], *types[1:]], cwd=FOLDER, check=True, capture_output=True)
    subprocess.run([modules / ".bin" / "tsc"], cwd=FOLDER, check=True)
