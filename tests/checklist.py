"""The promises of docs/ and README, held against the tests.

A promise is a sentence with its id in parentheses, such as (AUTH-1); docs/spec.md lists the ids under Acceptance
Checklist. A test says what it proves with `@pytest.mark.proves("AUTH-1")`. An id that no page has fails the run. So
does, with `--checklist`, a promise without a test, or with one that failed.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LISTED = (ROOT / "docs" / "spec.md").read_text().partition("## Acceptance Checklist")[2]

_IDS = re.compile(r"\s*\(((?:[A-Z]+-\d+(?:, )?)+)\)")


def listed_ids(text: str) -> list[str]:
    """Return the ids of the checkboxes, `AUTH-1 to AUTH-9` written out."""
    found = re.findall(r"\b([A-Z]+)-(\d+)(?: to \1-(\d+))?", "".join(re.findall(r"(?m)^- \[ \] .*\n", text)))
    return [f"{area}-{n}" for area, first, last in found for n in range(int(first), int(last or first) + 1)]


def promises(text: str) -> Iterator[tuple[str, str]]:
    """Yield each id of a page with its sentence, or with its cell of a table and the first cell of that row."""
    for block in re.split(r"\n\s*\n|\n(?=\s*[-|#])", text):
        if block.startswith("|"):
            first, *sentences = (cell.strip() for cell in re.split(r"(?<!\\)\|", block)[1:-1])
            start = f"{_IDS.sub('', first)}: "
            yield from _ids_of(first)
        else:
            sentences = re.split(r"(?<=\.)\s+(?=[A-Z`*[])", " ".join(block.split()).removeprefix("- "))
            start = ""
        for sentence in sentences:
            yield from ((name, start + line) for name, line in _ids_of(sentence))


def _ids_of(sentence: str) -> Iterator[tuple[str, str]]:
    for ids in _IDS.findall(sentence):
        yield from ((name, _IDS.sub("", sentence)) for name in ids.split(", "))


ORDER = listed_ids(LISTED)
AREAS = {name.partition("-")[0] for name in ORDER}
FOUND = [one for page in PAGES for one in promises(page.read_text()) if one[0].partition("-")[0] in AREAS]
LINES = {name: dict(FOUND).get(name, "") for name in ORDER}

outcomes: defaultdict[str, set[str]] = defaultdict(set)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--checklist", action="store_true", help="fail unless every promise of the docs is proved")


def pytest_configure(config: pytest.Config) -> None:
    listed, found = Counter(ORDER), Counter(name for name, _ in FOUND)
    if differing := (listed - found) + (found - listed):
        raise pytest.UsageError(f"not exactly once in the pages, as listed in docs/spec.md: {sorted(differing)}")
    config.addinivalue_line("markers", "proves(*ids): the promises of the docs that a test proves")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = [name for mark in item.iter_markers("proves") for name in mark.args]
        if unknown := set(names) - LINES.keys():
            raise pytest.UsageError(f"{item.nodeid} proves {unknown}, which no page has")
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
