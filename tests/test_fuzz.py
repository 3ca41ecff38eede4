"""What the OpenAPI document promises, held against the running service by schemathesis; and spoiled bytes.

`make fuzz` runs this for ten minutes, with a seed of its own, which it prints. `make fuzz SEED=1` runs it again.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import httpx2
import pytest

from tests.service import SECRET, Service, bearer
from todo_backend.auth import tokens

PROGRAM = Path(sys.executable).with_name("schemathesis")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "25"))
SEED = os.environ.get("FUZZ_SEED", "1")
PHASES = ("Examples", "Coverage", "Fuzzing", "Stateful")

# Two users, each of whom tries to read what the other made.
CONFIGURATION = """
[auth.wfc]
path = "users.json"
user = "ada"
peers = ["ada", "bob"]
"""


@pytest.mark.proves("SEC-6")
def test_the_service_keeps_what_openapi_promises(service: Service, tmp_path: Path) -> None:
    def user(name: str) -> dict[str, object]:
        token = tokens.sign(name, secret=SECRET.encode(), lifetime=SECONDS + 900)
        return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}

    (tmp_path / "users.json").write_text(json.dumps({"auth": [user("ada"), user("bob")]}))
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    options = {
        "--checks": "all",
        "--phases": ",".join(PHASES).lower(),
        "--max-time": str(SECONDS),
        "--seed": SEED,
        "--request-timeout": "20",
        "--generation-database": "none",
    }
    arguments = [word for option in options.items() for word in option]
    ended = subprocess.run(
        [PROGRAM, "run", f"{service.base_url}/openapi.json", "--no-color", "--continue-on-failure", *arguments],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
        check=False,
    )
    print(ended.stdout)  # noqa: T201  # `make fuzz` shows it
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for phase in PHASES:
        assert f"✅ {phase}\n" in ended.stdout
    assert re.search(r"Tested: 7\n", ended.stdout)
    assert "Traceback" not in service.log.read_text()


BODY = b'{"title": "x", "description": "\\u0041"}'
FIELDS = b"Authorization: {token}\r\nContent-Type: application/json\r\nOrigin: http://localhost:3000\r\n"
REQUESTS = [
    b"GET /api/tasks?status=all HTTP/1.1\r\n" + FIELDS + b"\r\n",
    b"POST /api/tasks HTTP/1.1\r\n" + FIELDS + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    b"PUT /api/tasks/1 HTTP/1.1\r\n" + FIELDS + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n",
    b"PATCH /api/tasks/1/complete HTTP/1.1\r\n" + FIELDS + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
    b"POST /api/tasks HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    + FIELDS
    + b"Content-Length: 2\r\n\r\n{}",
    b"OPTIONS /api/tasks HTTP/1.1\r\nAccess-Control-Request-Method: GET\r\n" + FIELDS + b"\r\n",
    b"DELETE /api/tasks/1 HTTP/1.0\r\n" + FIELDS + b"\r\n",
]
PIECES = [
    b"\r\n",
    b"\n",
    b"\x00",
    b":",
    b" ",
    b"\xff",
    b"%00",
    b"/",
    b"\r\n\r\n",
    b"9" * 30,
    b'"',
    b"\\ud800",
    b"[",
]
PIECES += [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n"]


def spoil(data: bytes, random: Random) -> bytes:
    for _ in range(random.choice([1, 1, 2, 3, 8])):
        place, length = random.randrange(len(data)), random.choice([1, 1, 2, 5, 40])
        instead = [bytes([random.randrange(256)]), random.choice(PIECES), b"", data[place : place + 2 * length]]
        data = data[:place] + random.choice(instead) + data[place + random.choice([0, length]) :] or b"x"
    return data


@pytest.mark.proves("SEC-6")
def test_no_bytes_make_a_500(service: Service) -> None:
    """Requests with a few bytes changed, one to three on a connection."""
    token = bearer("bytes")["Authorization"].encode()
    url = httpx2.URL(service.base_url)
    deadline = time.monotonic() + SECONDS / 5

    def attack(number: int) -> Counter[bytes]:
        random, seen = Random(f"{SEED} {number}"), Counter[bytes]()
        while time.monotonic() < deadline:
            requests = random.choices(REQUESTS, k=random.choice([1, 1, 1, 2, 3]))
            sent = spoil(b"".join(requests).replace(b"{token}", token), random)
            with socket.create_connection((url.host, url.port or 0), timeout=0.3) as connection:
                answer = b""
                with contextlib.suppress(OSError):
                    connection.sendall(sent)
                    while received := connection.recv(65536):
                        answer += received
            statuses = re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)
            assert not any(status.startswith(b"5") for status in statuses), sent
            seen.update(statuses)
        return seen

    with ThreadPoolExecutor(16) as threads:
        seen = sum(threads.map(attack, range(16)), Counter[bytes]())
    print({status.decode(): times for status, times in seen.items()})  # noqa: T201
    assert {b"200", b"201", b"400", b"401", b"404", b"422"} <= seen.keys()
    assert "Traceback" not in service.log.read_text()
