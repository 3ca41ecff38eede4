"""README and specification tell the truth."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.service import SECRET
from tests.test_auth import ED25519, GOOD, make
from todo_backend.cli import commands as cli
from todo_backend.http import errors
from todo_backend.http.errors import TodoError

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SPECIFICATION = (ROOT / "docs" / "spec.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Return the cells of the README's table that follows a text, header and ruler left out."""
    lines = README.split(heading, 1)[1].split("\n|", 1)[1].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.proves("DOC-1")
def test_the_commands_exist() -> None:
    for target in re.findall(r"(?m)^make (\w+)|`make (\w+)`", README):
        subprocess.run(["make", "--dry-run", "".join(target)], cwd=ROOT, check=True, capture_output=True)
    for command in re.findall(r"`(?:\.venv/bin/)?todo-backend (\w+)", README):
        assert CliRunner().invoke(cli.app, [command, "--help"]).exit_code == 0
    assert "--workers" in CliRunner().invoke(cli.app, ["serve", "--help"]).stdout


@pytest.mark.proves("DOC-1")
def test_the_requests_are_answered_as_said(client: httpx.Client) -> None:
    task = client.post("/api/tasks", json={"title": "x"}).json()
    for request, body, answer in table("await api.post"):
        method, path = request.strip("`").replace("/1", f"/{task['id']}").split()
        content = body.strip("`")
        got = client.request(method, path, content=content, headers={"Content-Type": "application/json"})
        assert f"`{got.status_code}`" in answer
        assert isinstance(got.json(), list) == ("array" in answer)


@pytest.mark.proves("DOC-1")
def test_the_answers_look_as_shown(client: httpx.Client) -> None:
    shown_task, shown_refusal = map(json.loads, blocks("json"))
    task = client.post("/api/tasks", json={"title": "Buy milk"}).json()
    varying = ("id", "user_id", "created_at", "updated_at")
    assert list(shown_task) == list(task)
    assert shown_task == task | {name: shown_task[name] for name in varying}
    assert shown_refusal == client.post("/api/tasks", json={"title": ""}).json()


@pytest.mark.proves("DOC-1", "AUTH-7")
def test_the_reasons_of_a_401_are_the_ones_explained(anonymous: httpx.Client) -> None:
    tokens = [
        "x",
        ED25519,
        make(GOOD, secret=SECRET + "x"),
        make(GOOD | {"exp": 1}),
        make({"exp": GOOD["exp"], "session": {}}),
    ]
    headers = [{}, {"Authorization": "x"}, *({"Authorization": f"Bearer {token}"} for token in tokens)]
    explained = [reason.replace("&lt;", "<").replace("&gt;", ">") for reason, _ in table("## A 401?")]
    assert [anonymous.get("/api/tasks", headers=fields).json()["detail"] for fields in headers] == explained


@pytest.mark.proves("DOC-1")
def test_the_layout_is_the_real_one() -> None:
    [layout] = re.findall(r"```\nsrc/todo_backend/\n(.*?)```", README, re.DOTALL)
    package = ROOT / "src" / "todo_backend"
    listed = set(re.findall(r"(?m)^  ([\w.]+)/? ", layout))
    there = {path.name for path in package.iterdir() if not path.name.startswith("__")}
    assert listed == there


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
    for section in SPECIFICATION.split("\n## ")[2:-1]:
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


@pytest.mark.proves("DOC-2")
def test_every_error_stands_in_the_tree() -> None:
    for error in TodoError.__subclasses__():
        module = error.__module__.removeprefix("todo_backend.").replace(".", "/")
        assert re.search(rf"── {error.__name__} +{error.status}  {module}.py", errors.__doc__ or ""), error


@pytest.mark.proves("DOC-2")
def test_the_example_of_a_422_is_real(client: httpx.Client) -> None:
    [example] = re.findall(r"```json\n(.*?)```", SPECIFICATION, re.DOTALL)
    answer: dict[str, Any] = client.post("/api/tasks", json={"title": ""}).json()
    assert json.loads(example) == answer


@pytest.mark.proves("DOC-3")
def test_every_fault_has_what_is_seen_and_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    faults = page.replace(re.findall(r"(?s)## Far from the database.*?(?=\n## )", page)[0], "")
    rows = [line for line in faults.splitlines() if line.startswith("|") and "---" not in line]
    assert len(rows) > 20
    for row in rows:
        cells = [cell.strip() for cell in row[1:-1].split("|")]
        assert len(cells) == 4, row
        assert all(cells), row
    named = re.findall(r"`(tests/\w+\.py)::(\w+)(?:\[(\w+)\])?`", page)
    assert len(named) >= len(rows) - page.count("\n| fault |")
    for file, test, case in named:
        text = (ROOT / file).read_text()
        assert re.search(rf"(?m)^def {test}\(", text), test
        assert f"def {case}(" in text or not case, case
