"""docs/security.md tells the truth."""

import re
import tomllib

import pytest

from tests import test_hostile_tokens as tokens
from tests.test_docs import ROOT
from tests.test_hostile_http import CASES

PAGE = (ROOT / "docs" / "security.md").read_text()


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in required}
    assert set(re.findall(r"(?m)^\| `([\w-]+)` \| \S", section("Dependencies"))) == names


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
    groups = re.findall(r"(?m)^\| `([A-Z]+)` \| (\d+) \|", section("Hostile tokens"))
    assert {name: int(number) for name, number in groups} == {
        name: len(getattr(tokens, name)) for name, _ in groups
    }
    assert f"\n| {len(tokens.HOSTILE)} hostile tokens" in section("Figures")
    assert f"\n| {len(CASES)} hostile requests" in section("Figures")
