"""Every way to fail is gone, with marked secrets, and no log and no answer has any of them."""

import contextlib
import json
import logging
import re
import socket
from collections.abc import Callable
from pathlib import Path

import httpx2
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.proxy import Proxy
from tests.service import JSON, Service, invoke, run, serving
from tests.test_auth import GOOD, encode, make
from todo_backend.server.run import WithoutQuery
from todo_backend.settings import Settings

# All made up.
SECRET = "marked-secret-that-is-long-enough-and-guards-nothing"
PASSWORD = "marked-password"
ENCODED = "marked%2Dpassword"
CONTENT = "marked-content"

TOKENS = {
    "good": make(GOOD, secret=SECRET),
    "expired": make(GOOD | {"exp": 1}, secret=SECRET),
    "of another secret": make(GOOD, secret=SECRET + "x"),
    "unsigned": f"{encode({'alg': 'none'})}.{encode(GOOD)}.",
    "of no user": make(GOOD | {"sub": 5}, secret=SECRET),
    "critical": make(GOOD, {"alg": "HS256", "crit": ["x"]}, secret=SECRET),
    "asymmetric": jwt.encode(GOOD, Ed25519PrivateKey.generate(), "EdDSA"),
    "malformed": "bWFya2VkLXRva2VuLXRoYXQtaXMtbm9uZQ.bWFya2VkLXRva2VuLXRoYXQtaXMtbm9uZQ.!",
    "large": "bWFya2VkLXRva2VuLXRoYXQtaXMtbm9uZQ" * 300,
}


def leaks(text: str) -> set[str]:
    marks = {SECRET, SECRET.encode().hex(), PASSWORD, ENCODED, CONTENT}
    marks |= {part for token in TOKENS.values() for part in token.split(".")[1:] if len(part) > 20}
    return {mark for mark in marks if mark in text}


def fail_in_every_way(service: Service) -> list[httpx2.Response]:
    """Return the answers, in no order that means anything."""
    answers = []
    with service.client() as anonymous, service.client() as client:
        client.headers["Authorization"] = f"Bearer {TOKENS['good']}"
        for token in TOKENS.values():
            for scheme in ("Bearer", "Basic", "Token"):
                answers.append(anonymous.get("/api/tasks", headers={"Authorization": f"{scheme} {token}"}))
            twice = [("Authorization", f"Bearer {token}")] * 2
            answers.append(anonymous.get("/api/tasks", headers=twice))
            answers.append(anonymous.get("/api/tasks", params={"token": token}, headers={"Cookie": f"t={token}"}))
            answers.append(client.post("/api/tasks", content=token, headers=JSON))
            answers.append(client.post("/api/tasks", json={"title": [token], "description": token * 2}))
            answers.append(client.get("/api/tasks", params={"status": token}))
        answers += [
            client.get("/health"),
            client.get("/api/tasks"),
            client.get("/api/nothing"),
            client.delete("/api/tasks"),
            client.post("/api/tasks", json={"title": CONTENT * 100}),
            client.post("/api/tasks", content=f'{{"title": "{CONTENT}"', headers=JSON),
            client.post("/api/tasks", content=f'{{"title": "{CONTENT}"}}'.ljust(65537), headers=JSON),
            client.post("/api/tasks", content=CONTENT, headers={"Content-Type": "text/plain"}),
            client.put("/api/tasks/0", json={"title": CONTENT}),
            client.patch("/api/tasks/x/complete", content=CONTENT),
            client.get("/api/tasks/1", headers={"X": SECRET[:4] * 30_000}),
        ]
    return answers


def send_raw(service: Service, *requests: str) -> list[socket.socket]:
    """Send what is no HTTP request, or no whole one, and return the connections."""
    return [service.send("POST", "/api/tasks", {}, request.encode()) for request in requests]


@pytest.mark.proves("ERR-5", "SEC-7")
def test_no_answer_and_no_log_has_a_secret(tmp_path: Path, database: str, proxy: Proxy) -> None:
    url = proxy.url(database).replace("postgres@", f"postgres:{ENCODED}@")
    away = "http://127.0.0.1:1"
    bearer = f"Authorization: Bearer {TOKENS['good']}\r\n"
    with (
        serving(tmp_path, url, BETTER_AUTH_SECRET=SECRET, BETTER_AUTH_URL=away, LOG_LEVEL="debug") as service,
        contextlib.ExitStack() as stack,
    ):
        raw = send_raw(
            service,
            f"{bearer}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{CONTENT}",
            f"{bearer}X: {CONTENT}\x00\r\n\r\n",
            f"{bearer}{CONTENT}",
        )
        for connection in raw:
            stack.enter_context(connection).settimeout(30)
        answers = fail_in_every_way(service)
        with psycopg.connect(proxy.url(database), autocommit=True) as other, service.client() as client:
            client.headers["Authorization"] = f"Bearer {TOKENS['good']}"
            other.execute("INSERT INTO tasks (user_id, title) VALUES ('another', 'x')")
            [task_id] = other.execute("SELECT id FROM tasks").fetchone() or ()
            answers.append(client.get(f"/api/tasks/{task_id}"))
            for change in ("RENAME title TO name", "RENAME name TO title"):
                other.execute(f"ALTER TABLE tasks {change}")
                answers.append(client.post("/api/tasks", json={"title": CONTENT}))
        proxy.refuse()
        answers += fail_in_every_way(service)
        proxy.flow()
        texts = [answer.text + str(answer.headers) for answer in answers if answer.status_code >= 400]
        texts += [connection.recv(65536).decode() for connection in raw]
        service.stop()
        log = service.log.read_text()

    statuses = {answer.status_code for answer in answers} | {int(text.split()[1]) for text in texts[-len(raw) :]}
    assert statuses == {200, 201, 400, 401, 403, 404, 405, 408, 413, 422, 431, 500, 503}
    assert "Traceback" in log
    assert re.search(r'"GET /api/tasks HTTP/1.1" 401', log)
    for text in (log, *texts):
        assert leaks(text) == set()


@pytest.mark.proves("ERR-5", "SEC-7")
def test_no_start_that_fails_tells_a_secret(tmp_path: Path, url: Callable[[str], str]) -> None:
    good = {
        "BETTER_AUTH_SECRET": SECRET,
        "DATABASE_URL": url("postgres").replace("postgres@", f"locked:{ENCODED}@"),
    }
    starts = [
        run(tmp_path, "serve", "--port", "0", **good),
        run(tmp_path, "check", "--token", TOKENS["of another secret"], **good),
        *(
            invoke(tmp_path, "serve", **good | {name: value})
            for name, value in {
                "DATABASE_URL": f"mysql://{ENCODED}@x/y",
                "BETTER_AUTH_SECRET": SECRET[:20],
                "BETTER_AUTH_URL": f"ftp://{CONTENT}",
                "CORS_ORIGINS": CONTENT,
                "DATABASE_POOL_SIZE": CONTENT,
                "LOG_LEVEL": CONTENT,
            }.items()
        ),
    ]
    for ended in starts:
        assert ended.returncode in (1, 2)
        assert leaks(ended.stdout + ended.stderr) == set()
        assert SECRET[:20] not in ended.stdout + ended.stderr


def test_settings_do_not_show_what_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETTER_AUTH_SECRET", SECRET)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://me:{ENCODED}@x/y")
    shown = Settings.load()
    assert leaks(f"{shown!r} {shown} {json.dumps(shown.model_dump(mode='json'))}") == set()


def test_the_log_of_requests_has_no_query() -> None:
    """Some put their token there."""
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, "%s %s", ("GET", "/api?token=x"), None)
    record.args = ("127.0.0.1:1", "GET", "/api/tasks?token=x", "1.1", 401)
    assert WithoutQuery().filter(record)
    assert record.args == ("127.0.0.1:1", "GET", "/api/tasks", "1.1", 401)
