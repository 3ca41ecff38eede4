"""The benchmark runs, and counts no wrong answer. How fast anything is, no test asks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.report import BEGIN, CHART, END, write
from bench.workload import ENDPOINTS, SMALL, exchanges

ROOT = Path(__file__).parent.parent
MOMENT = "2026-01-31T09:30:00.123456Z"


def test_it_runs() -> None:
    arguments = ["--only", "toggle", "--peers", "ours", "--clients", "2", "--rounds", "1", "--seconds", "0.1"]
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "processor time, toggle, 2 clients" in ended.stdout


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_answer_that_was_not_asked_for_does_not_count(endpoint: str) -> None:
    exchange = exchanges(endpoint, SMALL)[0]
    task = {"id": -1, "user_id": "somebody", "title": "Another task", "description": None, "completed": False}
    body = task | {"created_at": MOMENT, "updated_at": MOMENT}
    assert not exchange.accepts(b"HTTP/1.1 503 Service Unavailable", b"")
    assert not exchange.accepts(exchange.status, json.dumps([body] if "list" in endpoint else body).encode())


def test_an_answer_that_was_asked_for_counts() -> None:
    exchange = exchanges("get", SMALL)[0]
    task_id = int(exchange.request.split()[1].rpartition(b"/")[2])
    user = f"user-{(task_id // SMALL.stride - 1) % 500}"
    task = {"id": task_id, "user_id": user, "title": f"Task {task_id}", "description": None, "completed": False}
    body = json.dumps(task | {"created_at": MOMENT, "updated_at": MOMENT}).encode()
    assert exchange.accepts(exchange.status, body)
    assert exchange.accepts(exchange.status, body), "the same once more"
    assert not exchange.accepts(exchange.status, body.replace(b"Task ", b"Tusk "))


def test_prose_around_the_figures_stays(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    write(page, "new")
    assert page.read_text() == f"Before.\n\n{BEGIN}\n\n{CHART}\n\nnew\n\n{END}\n\nAfter.\n"
