"""README and the pages of docs/ tell the truth."""

import ast
import importlib
import json
import re
import subprocess
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from tests import checklist
from todo_backend.cli import commands as cli
from todo_backend.cli.adopt import STATEMENT_TIMEOUT
from todo_backend.database import adoption, adoption_plan, pool, startup, timeouts
from todo_backend.http import errors
from todo_backend.http.errors import TodoError
from todo_backend.tasks import messages
from todo_backend.tasks.models import DESCRIPTION_MAX_LENGTH, TITLE_MAX_LENGTH

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SPECIFICATION = (ROOT / "docs" / "spec.md").read_text()


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def rows_after(header: str, page: str) -> list[list[str]]:
    """Return the cells of a table's rows."""
    lines = page.split(f"\n{header}\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[1:]]


@pytest.mark.proves("DOC-1")
def test_the_commands_exist() -> None:
    for target in re.findall(r"(?m)^make (\w+)|`make (\w+)`", README):
        subprocess.run(["make", "--dry-run", "".join(target)], cwd=ROOT, check=True, capture_output=True)
    for command in re.findall(r"`(?:\.venv/bin/)?todo-backend (\w+)", README):
        assert CliRunner().invoke(cli.app, [command, "--help"]).exit_code == 0
    assert "--workers" in CliRunner().invoke(cli.app, ["serve", "--help"]).stdout


@pytest.mark.proves("DOC-1")
def test_the_requests_are_answered_as_said(client: httpx2.Client) -> None:
    task = client.post("/api/tasks", json={"title": "x"}).json()
    rows = rows_after("| method and path | body | success | errors besides those of all |", SPECIFICATION)
    assert len(rows) == 6
    for operation, body, answer, _ in rows:
        method, path = operation.strip("`").replace("{task_id}", str(task["id"])).split("?")[0].split()
        got = client.request(method, path, json={"title": "Buy milk"} if "`title`" in body else None)
        assert answer.startswith(f"{got.status_code}, ")
        assert isinstance(got.json(), list) == ("array" in answer)


@pytest.mark.proves("DOC-1", "DOC-2")
def test_the_answers_look_as_shown(client: httpx2.Client) -> None:
    shown_task, shown_error = map(json.loads, re.findall(r"```json\n(.*?)```", SPECIFICATION, re.DOTALL))
    task = client.post("/api/tasks", json={"title": "Buy milk"}).json()
    varying = ("id", "user_id", "created_at", "updated_at")
    assert list(shown_task) == list(task)
    assert shown_task == task | {name: shown_task[name] for name in varying}
    assert shown_error == client.post("/api/tasks", json={}).json()


@pytest.mark.proves("DOC-1")
def test_the_limits_are_as_said() -> None:
    specification = " ".join(SPECIFICATION.split())
    for said in (
        f"A statement has {timeouts.DATABASE_TIMEOUT:.0f} seconds",
        f"cancelled at the server within {timeouts.CANCEL_TIMEOUT} seconds",
        f"`connect_timeout` of the URL, or {timeouts.CONNECT_TIMEOUT} seconds if that is missing",
        f"they run one at a time with {pool.RETRY_PAUSE} seconds in between",
        f"A statement of a migration has {startup.SCHEMA_TIMEOUT / 60:g} minutes",
        f"after {startup.START_TIMEOUT:g} seconds at most the service comes up",
        f"tries again every {startup.PAUSE} seconds",
        f"up to {adoption_plan.MAX_IDS} for each fault",
        f"waits {adoption.LOCK_TIMEOUT} seconds for others that use the table",
        f"each of its statements has {STATEMENT_TIMEOUT / 60:g} minutes",
    ):
        assert said in specification


@pytest.mark.proves("DOC-1")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        headings = re.findall(r"(?m)^#+ (.*)$", linked.read_text()) if anchor else []
        # As GitHub makes them.
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, target


@pytest.mark.proves("DOC-1")
def test_the_picture_of_the_terminal() -> None:
    """It holds what `dev` prints, and no token."""
    picture = (ROOT / "docs" / "terminal.svg").read_text().replace("&#160;", " ")
    assert len(picture) < 30_000
    for line in ("todo-backend is ready", "Try it as dev-user", "Ctrl-C stops the server."):
        assert line in picture
    assert re.findall(r"Bearer (\S+)&#x27;", picture) == ["eyJhbGci..."]


@pytest.mark.proves("DOC-1")
def test_the_checklist_finds_promises() -> None:
    text = "- It is (A-1). It `was` (A-2, A-3), or not.\n- No id.\n\n| one (B-1) | two (B-2) |\n|---|---|\n"
    assert list(checklist.promises(text)) == [
        ("A-1", "It is."),
        ("A-2", "It `was`, or not."),
        ("A-3", "It `was`, or not."),
        ("B-1", "one"),
        ("B-2", "one: two"),
    ]
    boxes = "A-9\n- [ ] One: A-1 to A-3, B-1\n- [ ] Two: C-1\n"
    assert checklist.listed_ids(boxes) == ["A-1", "A-2", "A-3", "B-1", "C-1"]


PACKAGES = sorted(path.parent.name for path in (ROOT / "src" / "todo_backend").glob("*/__init__.py"))
HEADINGS = """\
# Specification: todo-backend-fastapi-neon-phase2
## Overview & Integration Goals
## Authentication & JWT Verification
## Database Schema & Connection
## API Endpoints
## Data Models (Pydantic + SQLModel)
## Security & Ownership Rules
## Error Handling & Validation
## Startup & CORS Configuration
## Assumptions & Env Vars Usage
## Acceptance Checklist
"""


@pytest.mark.proves("DOC-2")
def test_the_specification_has_its_sections() -> None:
    assert re.findall(r"(?m)^#{1,2} .*$", SPECIFICATION) == HEADINGS.splitlines()


@pytest.mark.proves("DOC-2")
def test_every_section_names_files_that_exist() -> None:
    for section in SPECIFICATION.split("\n## ")[1:]:
        [line] = re.findall(r"(?m)^\*(`.*`)\*$", section)
        first, *others = re.findall("`([^`]+)`", line)
        folder = ROOT / (first if first.endswith("/") else Path(first).parent)
        for path in (ROOT / first, *(ROOT / name if "src/" in name else folder / name for name in others)):
            assert path.exists(), path


@pytest.mark.proves("DOC-2")
def test_every_module_is_named_by_a_section() -> None:
    """By its own name, or, where all of a folder belong to one section, by the folder's."""
    for path in (ROOT / "src" / "todo_backend").rglob("*.py"):
        if not path.name.startswith("__"):
            names = [f"{path.name}`", *(f"`{folder}/`" for folder in path.parent.parts)]
            assert any(name in SPECIFICATION for name in names), path


def error_classes() -> list[type[TodoError]]:
    """Return the classes of all error responses, after importing every module that has one."""
    source = ROOT / "src"
    for path in source.rglob("*.py"):
        if "(TodoError)" in path.read_text():
            importlib.import_module(".".join(path.relative_to(source).with_suffix("").parts))
    return TodoError.__subclasses__()


@pytest.mark.proves("DOC-2")
def test_every_message_stands_in_the_specification() -> None:
    for error in error_classes():
        if "detail" in vars(error):
            assert re.search(rf"(?m)^\| {error.status} \| .* \| `{error.detail}` \|$", SPECIFICATION), error
    for field, rule in messages.RULES.items():
        assert f" The {field.replace('_', ' ')} must {rule}. " in SPECIFICATION
    for sentence in messages.SENTENCES.values():
        assert sentence.format() in SPECIFICATION
    assert f"then has 1 to {TITLE_MAX_LENGTH} characters" in SPECIFICATION
    assert f"has up to {DESCRIPTION_MAX_LENGTH} characters" in SPECIFICATION


@pytest.mark.proves("DOC-2")
def test_every_error_stands_in_the_tree() -> None:
    for error in error_classes():
        module = error.__module__.removeprefix("todo_backend.").replace(".", "/")
        assert re.search(rf"── {error.__name__} +{error.status}  {module}.py", errors.__doc__ or ""), error


@pytest.mark.proves("DOC-2")
@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_names_its_sections(package: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / "src" / "todo_backend" / package / "__init__.py").read_text()))
    sections = re.findall(r'"([^"]+)"', docstring or "")
    assert sections
    assert all(f"## {section}" in HEADINGS for section in sections)


@pytest.mark.proves("DOC-3")
def test_every_fault_has_what_is_seen_and_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    faults = page.replace(re.findall(r"(?s)## Far from the database.*?(?=\n## )", page)[0], "")
    rows = [line for line in faults.splitlines() if line.startswith("|") and "---" not in line]
    assert len(rows) > 20
    for row in rows:
        cells = [cell.strip() for cell in row[1:-1].split("|")]
        assert len(cells) in {2, 3}, row
        assert all(cells), row
        assert cells[-1] == "test" or cells[-1].startswith("`tests/"), row
    named = re.findall(r"`(tests/\w+\.py)::(\w+)(?:\[(\w+)\])?`", page)
    for file, test, case in named:
        text = (ROOT / file).read_text()
        assert re.search(rf"(?m)^def {test}\(", text), test
        assert f"def {case}(" in text or not case, case
