"""What the OpenAPI document promises, held against the running service by schemathesis.

`make fuzz` runs this for ten minutes, with a seed of its own, which it prints. `make fuzz SEED=1` runs it again.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import SECRET, Service
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
