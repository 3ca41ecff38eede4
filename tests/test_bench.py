"""The benchmark runs, and counts no wrong answer. How fast anything is, no test asks."""

import json
import subprocess
import sys
from multiprocessing.pool import ThreadPool
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.measure import Bench, Run
from bench.report import BEGIN, CHART, END, chart, text, write
from bench.stacks import OURS, SQLMODEL, Postgres
from bench.workload import FIELDS, OPERATIONS, exchanges

ROOT = Path(__file__).parent.parent
OK, CREATED = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 201 Created\r\n\r\n"


def test_it_runs() -> None:
    parts = "start,load,trips,beside,tokens"
    options = f"--stacks ours --operations toggle --parts {parts} --clients 2,16 --rounds 1 --seconds 0.1"
    command = [sys.executable, "-W", "ignore", "-m", "bench", *options.split()]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "| todo-backend " in ended.stdout
    for goal in ("round trips", "delay", "get with a token", "memory", "first answer"):
        assert f"| {goal} " in ended.stdout


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_answer_that_was_not_asked_for_does_not_count(operation: str) -> None:
    exchange = exchanges(operation)[0]
    task = dict.fromkeys(FIELDS) | {"id": -1, "user_id": "somebody", "title": "Another task"}
    body = json.dumps([task] if "list" in operation else task).encode()
    assert not exchange.accepts(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"")
    assert not exchange.accepts(CREATED if operation == "create" else OK, body)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_answer_that_was_asked_for_counts(operation: str) -> None:
    exchange = exchanges(operation)[0]
    task = dict.fromkeys(FIELDS) | {"user_id": exchange.user}
    expected = exchange.expected
    body = [task | one for one in expected] if isinstance(expected, list) else task | expected
    content = json.dumps(body).encode()
    head = CREATED if operation == "create" else OK
    assert exchange.accepts(head, content)
    assert exchange.accepts(head, content), "the same once more"
    assert not exchange.accepts(head, content.replace(exchange.user.encode(), b"user-x"))


def test_prose_around_the_figures_stays(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    write(page, "new")
    assert page.read_text() == f"Before.\n\n{BEGIN}\n\n{CHART}\n\nnew\n\n{END}\n\nAfter.\n"


def test_figures_stand_beside_their_goals() -> None:
    with ThreadPool(1) as pool:
        bench = Bench(Postgres("", 0), pool, 4, 1.0, print)
    for stack, figures in ((OURS, (10, 20, 30, 40)), (SQLMODEL, (100, 200, 300, 400))):
        for clients in (16, 64):
            bench.runs[stack.name, "get", clients] += [Run(1, number, number, 0, 1, number) for number in figures]
    report = text(bench, [OURS, SQLMODEL], ["get"])
    assert "| todo-backend                 | 17.5 us |" in report, "the lower quartile"
    assert "| FastAPI + SQLModel + asyncpg | 0.10 (≤ 0.15: met) |" in report
    assert "| p99 by FastAPI + SQLModel + asyncpg's, 64 clients, get ≤ 0.2 | 0.10  | met |" in report
    labels = {element.text for element in ElementTree.fromstring(chart(bench, [OURS, SQLMODEL], ["get"])).iter()}
    assert {"get", "todo-backend", "17.5 us", "175 us"} <= labels
