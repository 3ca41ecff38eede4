"""Typed clients that popular generators make from openapi.json, and linters that read it.

openapi-typescript is tried in tests/test_better_auth.py.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.frontend import require
from tests.service import SECRET, Service
from todo_backend.auth import tokens

pytestmark = [pytest.mark.xdist_group("clients"), pytest.mark.proves("BA-9")]

FOLDER = Path(__file__).parent / "clients"
MODULES = FOLDER / "node_modules"
DOCUMENT = "../../openapi.json"


def run(*command: object, **variables: str) -> None:
    """Run a program in the folder of the clients, and fail with what it printed if it fails."""
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    ended = subprocess.run(
        list(map(str, command)),
        cwd=FOLDER,
        env=os.environ | quiet | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def node() -> Callable[..., None]:
    """Run a program of node_modules."""
    present = bool(shutil.which("node")) and MODULES.exists()
    require("Node with the generators (npm ci in tests/clients)", present=present)
    return lambda program, *arguments: run(MODULES / ".bin" / program, *arguments)


@pytest.fixture(scope="module")
def compiled(node: Callable[..., None]) -> None:
    """The TypeScript clients, generated and compiled by `tsc` with `strict`."""
    with ThreadPoolExecutor() as threads:
        hey = threads.submit(node, "openapi-ts", "--input", DOCUMENT, "--output", "build/hey")
        orval = threads.submit(node, "orval")
        for generator in (hey, orval):
            generator.result()
    node("tsc")


@pytest.fixture
def arguments(service: Service, user: str) -> tuple[str, str]:
    """The arguments of a round trip: the URL of the service, and a token."""
    return service.base_url, tokens.sign(user, secret=SECRET.encode(), lifetime=900)


@pytest.mark.parametrize("client", ["hey", "orval"])
def test_a_client_in_typescript(compiled: None, arguments: tuple[str, str], client: str) -> None:
    run("node", f"build/js/{client}.js", *arguments)


def test_a_client_in_python(arguments: tuple[str, str]) -> None:
    python = Path(sys.prefix) / "clients" / "bin" / "python"
    generator = python.with_name("openapi-python-client")
    require("openapi-python-client (make install)", present=generator.exists())
    path = f"{generator.parent}:{os.environ['PATH']}"  # it formats what it writes with ruff
    output = ["--meta", "none", "--output-path", "build/tasks_client", "--overwrite"]
    run(generator, "generate", "--path", DOCUMENT, *output, PATH=path)
    strict = ["--strict", "--config-file=", "--python-executable", python]
    run(sys.executable, "-m", "mypy", *strict, "round_trip.py", MYPYPATH="build")
    run(python, "round_trip.py", *arguments, PYTHONPATH="build")


@pytest.mark.parametrize(
    "linter", [("redocly", "lint", DOCUMENT), ("spectral", "lint", DOCUMENT, "--fail-severity", "hint")]
)
def test_a_linter_has_nothing_to_say(node: Callable[..., None], linter: tuple[str, ...]) -> None:
    """With its recommended rules; each exception has its reason in the linter's configuration."""
    node(*linter)
