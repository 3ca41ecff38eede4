"""docs/reports.md, and what it names that has no other place."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

import todo_backend
from tests.service import JSON, SECRET, bearer, running, wait_until

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reports.md").read_text()


@pytest.mark.proves("DOC-4")
def test_every_situation_has_a_source_and_a_test_that_exists() -> None:
    rows = [line[2:-2].split(" | ") for line in PAGE.splitlines() if "::test_" in line]
    tables = [line for line in PAGE.splitlines() if line.startswith("| ") and "| test |" not in line]
    assert len(rows) == len(tables)
    assert len(rows) >= 40
    sources = []
    for situation, source, answer, test in rows:
        assert situation
        assert answer
        sources.append(source)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", source), source
        file, name = test.strip("`").split("::")
        assert re.search(rf"(?m)^def {name}\(", (ROOT / file).read_text()), test
    assert len(set(sources)) == len(sources)


@pytest.mark.proves("CLI-4", "CLI-5")
def test_a_client_does_not_hold_a_reload_up(tmp_path: Path, database: str, url: Callable[[str], str]) -> None:
    """One that has sent a part of its body, and another with an idle connection."""
    copy = tmp_path / "source" / "todo_backend"
    shutil.copytree(Path(todo_backend.__file__).parent, copy)
    settings = {"PYTHONPATH": str(copy.parent), "DATABASE_URL": url(database), "BETTER_AUTH_SECRET": SECRET}
    part = b"Content-Length: 9\r\n\r\n{"

    with running(tmp_path, "dev", healthy=True, **settings) as service, service.client() as idle:
        assert idle.get("/health").status_code == 200
        with service.send("POST", "/api/tasks", bearer("me") | JSON, part) as connection:
            main = copy / "main.py"
            main.write_text(main.read_text().replace('"status": "ok"', '"status": "changed"'))

            def is_changed() -> bool:
                try:
                    return "changed" in httpx2.get(f"{service.base_url}/health", timeout=1).text
                except httpx2.TransportError:
                    return False

            wait_until(is_changed, seconds=20)
            connection.settimeout(1)
            assert connection.recv(65536).startswith(b"HTTP/1.1 503 ")
