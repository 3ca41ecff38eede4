"""The Acceptance Checklist of docs/spec.md, held against the tests.

A test says what it proves with `@pytest.mark.proves("AUTH-1")`. An id that the specification does not have fails
the run; so does, with `--checklist`, a line of the specification without a test, or with one that
failed.
"""

import re
from collections import defaultdict
from pathlib import Path

import pytest

SPECIFICATION = Path(__file__).parent.parent / "docs" / "spec.md"
LINES = dict(re.findall(r"^- \[ \] \*\*([A-Z]+-\d+)\*\* (.+)$", SPECIFICATION.read_text(), re.MULTILINE))

outcomes: defaultdict[str, set[str]] = defaultdict(set)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--checklist", action="store_true", help="fail unless every line of the checklist is proved")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proves(*ids): the lines of the Acceptance Checklist that a test proves")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = [name for mark in item.iter_markers("proves") for name in mark.args]
        if unknown := set(names) - LINES.keys():
            raise pytest.UsageError(f"{item.nodeid} proves {unknown}, which docs/spec.md does not have")
        item.user_properties += [("proves", name) for name in names]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        for key, name in report.user_properties:
            if key == "proves":
                outcomes[str(name)].add(report.outcome)


def _mark(name: str) -> str:
    """Return x for proved, - for skipped at least in part (with REQUIRE_ALL=1 that is a failure), ! for neither."""
    if outcomes[name] == {"passed"}:
        return "x"
    return "-" if outcomes[name] and outcomes[name] <= {"passed", "skipped"} else "!"


def pytest_sessionfinish(session: pytest.Session) -> None:
    complete = "!" not in map(_mark, LINES)
    if session.config.getoption("--checklist") and session.exitstatus == 0 and not complete:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--checklist") or not outcomes:
        return
    terminalreporter.section("Acceptance Checklist, docs/spec.md")
    for name, line in LINES.items():
        mark = _mark(name)
        reason = "" if mark == "x" else f"  <- {', '.join(sorted(outcomes[name])) or 'no test'}"
        terminalreporter.line(f"[{mark}] {name:<8} {line}{reason}", red=mark == "!")
