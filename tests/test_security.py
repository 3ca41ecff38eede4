"""docs/security.md tells the truth."""

import ast
import re
import tomllib
from importlib.metadata import packages_distributions

import pytest

from tests import test_hostile_tokens as tokens
from tests.test_docs import ROOT
from tests.test_hostile_http import CASES
from todo_backend.http import body
from todo_backend.server import protocol, run

PAGE = (ROOT / "docs" / "security.md").read_text()


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def direct_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = project["dependencies"] + project["optional-dependencies"]["dev"]
    return {re.split(r"[^\w-]", requirement)[0] for requirement in required}


@pytest.mark.proves("SEC-8")
def test_every_test_that_is_named_exists() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 25
    assert named <= set(re.findall(r"(?m)^(?:async )?def (test_\w+)", sources))
    for path in re.findall(r"tests/\w+\.py", PAGE):
        assert (ROOT / path).exists()


@pytest.mark.proves("SEC-8")
def test_every_risk_has_a_row_and_a_test() -> None:
    rows = re.findall(r"(?m)^\| API(\d+) .* \| .* \| (.*) \|$", section("OWASP API Security Top 10 (2023)"))
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    assert all("`test_" in tests for _, tests in rows)


@pytest.mark.proves("SEC-8")
def test_every_direct_dependency_has_a_reason() -> None:
    """Those of the tests and of the benchmark, too."""
    text = (ROOT / "pyproject.toml").read_text()
    groups = tomllib.loads(text)["dependency-groups"].values()
    required = direct_dependencies() | {re.split(r"[^\w-]", one)[0] for group in groups for one in group}
    assert len(required) > 30
    assert required <= set(re.findall(r'(?m)^    "([\w-]+)\b.*",  # \S', text))


@pytest.mark.proves("SEC-8")
def test_nothing_is_imported_that_is_no_direct_dependency() -> None:
    """Else `make run`, which installs less than `make test`, would lack it."""
    imported = {
        name.partition(".")[0]
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    providers = packages_distributions()
    # Starlette and Pydantic come with FastAPI, whose types they are.
    ours = {"todo-backend", "starlette", "pydantic", "pydantic_core"}
    assert {providers[name][0].lower() for name in imported & providers.keys()} - ours <= direct_dependencies()
    text = (ROOT / "requirements" / "run.txt").read_text()
    assert {name for name in direct_dependencies() if re.search(rf"(?m)^{name}==", text)} == direct_dependencies()


@pytest.mark.proves("SEC-5", "SEC-8")
def test_the_limits_are_the_ones_that_are_told() -> None:
    limits = section("Hostile requests").partition("| client | response |")[2]
    assert f"| headers that do not arrive within {protocol.HEADER_TIMEOUT:.0f} seconds | 408" in limits
    assert f"| a body that does not arrive within {body.BODY_TIMEOUT:.0f} seconds | 408" in limits
    assert f"| a new connection that sends nothing | closed after {protocol.HEADER_TIMEOUT:.0f} seconds" in limits
    assert (
        f"| a body that continues after its response | closed after {protocol.UNREAD_BODY_TIMEOUT:.0f} s" in limits
    )
    assert f"| a response that is not read | closed after {protocol.WRITE_TIMEOUT:.0f} seconds, " in limits
    assert f"or {run.KEEP_ALIVE_TIMEOUT + protocol.WRITE_TIMEOUT:.0f} if less" in limits
    assert f"| an idle connection | closed after {run.KEEP_ALIVE_TIMEOUT} seconds" in limits
    assert f"at most {protocol.MAX_PIPELINED} are queued" in limits


@pytest.mark.proves("SEC-8")
def test_every_pin_has_hashes_and_no_index_is_named() -> None:
    for name in ("run", "test"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        for requirement in re.split(r"(?m)^(?=[a-z])", text)[1:]:
            assert "==" in requirement
            assert "--hash=sha256:" in requirement
        assert "://" not in text


@pytest.mark.proves("SEC-8")
def test_the_figures_are_the_real_ones() -> None:
    assert f"\n| {len(tokens.HOSTILE)} hostile tokens" in section("Figures")
    assert f"\n| {len(CASES)} hostile requests" in section("Figures")
