"""What `check` says of tokens and key sets: each hint is followed, and what it was for is gone.

Those that are about Better Auth's own options are followed in test_better_auth.py.
"""

import http.server
import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.frontend import FOLDER, free_port, require
from tests.service import SECRET, Service, invoke
from tests.test_auth import GOOD, NOW, make
from tests.test_check import rows
from tests.test_keyset import EDDSA, KEYS
from todo_backend.cli.token_hints import HINTS, KEY_SET_HINTS

PADDED = make(GOOD | {"image": "data:" + "x" * 8192})


@pytest.fixture(scope="module")
def issuer(key_set: Callable[[object], str]) -> str:
    return key_set({"keys": KEYS})


def check(folder: Path, token: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return invoke(folder, "check", "--token", token, **{"BETTER_AUTH_SECRET": SECRET} | variables)


def says(ended: subprocess.CompletedProcess[str], hint: str) -> bool:
    """Tell whether a hint was printed; what stands in braces in it varies."""
    printed = [line.strip() for line in ended.stdout.splitlines()]
    return all(
        any(line.startswith(wanted.partition("{")[0]) for line in printed if line)
        for wanted in map(str.strip, hint.splitlines())
    )


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize(
    ("hint", "bad", "good"),
    [
        ("bearer", f"Bearer {make(GOOD)}", make(GOOD)),
        ("claims", make({"sub": "user"}), make(GOOD)),
        ("claims", make({"exp": GOOD["exp"]}), make(GOOD)),
        ("claims", make(GOOD | {"sub": 1}), make(GOOD | {"sub": "1"})),
        ("claims", make(GOOD | {"exp": "15m"}), make(GOOD)),
        ("client", "a-session-token", make(GOOD)),
        ("client", make({"exp": GOOD["exp"], "session": {}}), make(GOOD)),
        ("crit", make(GOOD, {"alg": "HS256", "crit": ["b64"], "b64": True}), make(GOOD)),
        ("empty", "", make(GOOD)),
        ("empty", "undefined", make(GOOD)),
        ("empty", "null", make(GOOD)),
        ("expired", make(GOOD | {"iat": NOW - 900, "exp": NOW - 60}), make(GOOD)),
        ("issued later", make(GOOD | {"iat": NOW + 3600}), make(GOOD)),
        ("malformed", make(GOOD)[:-2], make(GOOD)),  # with one character less it may be another signature
        ("malformed", make([]), make(GOOD)),
        ("milliseconds", make(GOOD | {"iat": NOW * 1000}), make(GOOD)),
        ("milliseconds", make(GOOD | {"nbf": NOW * 1000}), make(GOOD)),
        ("number", make(GOOD | {"exp": 900}), make(GOOD)),
        ("quotes", f'"{make(GOOD)}"', make(GOOD)),
        ("secret", make(GOOD, secret=SECRET + "\n"), make(GOOD)),
        ("size", PADDED, make(GOOD)),
        ("type", make(GOOD, {"alg": "HS256", "typ": "JWE"}), make(GOOD, {"alg": "HS256", "typ": "JWT"})),
        ("unsupported", make(GOOD, {"alg": "none"}), make(GOOD)),
        ("unsupported", jwt.encode(GOOD, SECRET * 2, "HS512"), make(GOOD)),
        ("valid later", make(GOOD | {"nbf": NOW + 3600}), make(GOOD)),
    ],
    ids=itertools.count(),
)
def test_a_hint_for_a_token_fixes_it(tmp_path: Path, hint: str, bad: str, good: str) -> None:
    refused = check(tmp_path, bad)
    assert rows(refused)["Token"].startswith("FAIL ")
    assert says(refused, HINTS[hint])
    assert bad in ("", "undefined", "null") or bad not in refused.stdout
    assert rows(check(tmp_path, good))["Token"].startswith("ok ")


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize(
    ("seconds", "validity"),
    [
        (901, "valid for another 15 min"),
        (46, "valid for another 4"),  # some seconds have passed
        (-5, "expired, and still accepted because clocks may differ by 30 s"),
    ],
)
def test_how_long_a_token_is_valid(tmp_path: Path, seconds: int, validity: str) -> None:
    ended = check(tmp_path, make(GOOD | {"exp": int(time.time()) + seconds}))
    assert rows(ended)["Token"].startswith(f'ok For user "user", {validity}')


@pytest.mark.proves("BA-6")
def test_clocks_that_are_set_fix_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time
    token = make(GOOD | {"iat": NOW + 3600, "exp": NOW + 4500})
    for clock, hint in (now, "issued later"), (lambda: now() + 7200, "expired"):
        monkeypatch.setattr(time, "time", clock)
        refused = check(tmp_path, token)
        assert says(refused, HINTS[hint])
        assert time.strftime("here it is %Y-%m-%d %H:%M", time.gmtime(clock())) in refused.stdout
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    assert rows(check(tmp_path, token))["Token"].startswith("ok ")


@pytest.mark.proves("BA-6")
def test_the_code_that_signs_runs(tmp_path: Path) -> None:
    """Of a route of the application's own; that of the jwt plugin's `sign` is in test_better_auth.py."""
    require("Node with jose (npm ci in tests/better_auth)", present=(FOLDER / "node_modules" / "jose").exists())
    code = HINTS["claims"].partition("\n\n")[2].strip().rstrip(";")
    program = f"""
        import {{ SignJWT }} from "jose";
        const session = {{ user: {{ id: 1 }} }};
        const secret = new TextEncoder().encode("{SECRET}");
        process.stdout.write(await {code});
    """
    node = ["node", "--input-type=module", "--eval", program]
    token = subprocess.run(node, cwd=FOLDER, capture_output=True, text=True, check=True).stdout
    assert rows(check(tmp_path, token))["Token"].startswith('ok For user "1", valid for another 15 min')


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize(
    ("hint", "claims", "shown"),
    [
        ("issuer", {"iss": "http://\x1b[2J"}, r'has iss "http://\u001b[2J", and "{issuer}" is expected.'),
        ("issuer", {}, 'has iss null, and "{issuer}" is expected.'),
        ("audience", {"iss": "{issuer}", "aud": ["a", "b"]}, 'has aud ["a", "b"], and "{issuer}" is expected.'),
        ("audience", {"iss": "{issuer}", "aud": "x" * 5000}, "x" * 199 + ', and "{issuer}" is expected.'),
    ],
)
def test_another_issuer_is_shown_with_the_expected_one(
    tmp_path: Path, issuer: str, hint: str, claims: dict[str, Any], shown: str
) -> None:
    def sign(claims: dict[str, Any]) -> str:
        return jwt.PyJWS().encode(json.dumps(GOOD | claims).encode(), EDDSA, "EdDSA", {"kid": "1"})

    refused = check(
        tmp_path, sign(json.loads(json.dumps(claims).replace("{issuer}", issuer))), BETTER_AUTH_URL=issuer
    )
    assert says(refused, HINTS[hint])
    assert shown.replace("{issuer}", issuer) in refused.stdout
    mended = check(tmp_path, sign({"iss": issuer, "aud": issuer}), BETTER_AUTH_URL=issuer)
    assert rows(mended)["Token"].startswith("ok ")


@pytest.mark.proves("BA-6")
def test_another_key_set_is_named(tmp_path: Path, issuer: str, key_set: Callable[[object], str]) -> None:
    other = key_set({"keys": KEYS[1:2]})
    token = jwt.encode(GOOD | {"iss": issuer, "aud": issuer}, EDDSA, "EdDSA", {"kid": "1"})
    lacking = jwt.encode(GOOD, generate_private_key(SECP256R1()), "ES256", {"kid": "1"})
    forged = jwt.encode(GOOD, Ed25519PrivateKey.generate(), "EdDSA", {"kid": "1"})
    for refused, url in (token, other), (lacking, issuer), (forged, issuer):
        assert says(check(tmp_path, refused, BETTER_AUTH_URL=url), HINTS["key set"])
    assert rows(check(tmp_path, token, BETTER_AUTH_URL=issuer))["Token"].startswith("ok ")
    alone = check(tmp_path, token)
    assert says(alone, HINTS["algorithm"])
    without_secret = check(tmp_path, make(GOOD), BETTER_AUTH_URL=issuer, BETTER_AUTH_SECRET="")
    assert says(without_secret, HINTS["no secret"])


@pytest.mark.proves("BA-6", "BA-10")
@pytest.mark.parametrize("claims", [{"iss": "http://other"}, {"aud": "http://other"}])
def test_another_neon_project_is_shown_with_the_expected_one(
    tmp_path: Path, issuer: str, claims: dict[str, str]
) -> None:
    """The one of the token is what to set."""
    token = jwt.encode(GOOD | {"iss": issuer, "aud": issuer} | claims, EDDSA, "EdDSA", {"kid": "1"})
    refused = check(tmp_path, token, NEON_AUTH_BASE_URL=f"{issuer}/neondb/auth")
    assert says(refused, HINTS["neon"])
    assert f'{next(iter(claims))} "http://other"' in refused.stdout
    assert f'and "{issuer}" is expected.' in refused.stdout
    forged = jwt.encode(GOOD, generate_private_key(SECP256R1()), "ES256", {"kid": "1"})
    lacking = check(tmp_path, forged, NEON_AUTH_BASE_URL=f"{issuer}/neondb/auth")
    assert "Set NEON_AUTH_BASE_URL in .env to the Better Auth that signed the token, and restart" in lacking.stdout
    good = jwt.encode(GOOD | {"iss": issuer}, EDDSA, "EdDSA", {"kid": "1"})
    assert rows(check(tmp_path, good, NEON_AUTH_BASE_URL=f"{issuer}/neondb/auth"))["Token"].startswith("ok ")


class Site(http.server.ThreadingHTTPServer):
    """Answers each path as `answers` says: with a status, a location, and a body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: dict[str, tuple[int, str, bytes]] = {"/api/auth/jwks": (200, "", b'{"keys": []}')}

    def publish(self) -> None:
        self.answers["/api/auth/jwks"] = (200, "", json.dumps({"keys": KEYS}).encode())


class Page(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        status, location, body = self.server.answers.get(self.path, (404, "", b"Not Found"))
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        threading.Thread(target=server.serve_forever, args=[0.05]).start()
        yield server
        server.shutdown()


def check_key_set(folder: Path, url: str) -> tuple[str, subprocess.CompletedProcess[str]]:
    """Return the row of the key set, and everything."""
    ended = invoke(folder, "check", BETTER_AUTH_SECRET=SECRET, BETTER_AUTH_URL=url)
    return rows(ended)["Key set"].removeprefix(f"FAIL {url}/api/auth/jwks: "), ended


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize(
    ("hint", "answer", "reason"),
    [
        ("empty", (200, "", b'{"keys": []}'), "no usable key"),
        (
            "format",
            (200, "", b"<!doctype html>"),
            "the answer is not JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        ("format", (200, "", b'{"status": "ok"}'), "the answer is not a JSON Web Key Set"),
        ("not found", (404, "", b"Not Found"), "the answer has status 404"),
        ("status", (500, "", b""), "the answer has status 500"),
        ("redirect", (307, "https://127.0.0.1/login", b""), "it redirects to https://127.0.0.1/login"),
        ("redirect", (308, "/api/auth/jwks", b""), "it redirects to {site}/api/auth/jwks"),
        ("status", (302, "", b""), "the answer has status 302"),
        ("redirect", (302, "http://[", b""), "it redirects to http://%5B"),
        ("redirect", (302, "http://[::1", b""), "it redirects to an invalid URL"),
        ("format", (302, "/login", b""), "the answer is not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_a_hint_for_a_key_set_fixes_it(
    tmp_path: Path, site: Site, hint: str, answer: tuple[int, str, bytes], reason: str
) -> None:
    site.answers["/login"] = (200, "", b"<!doctype html>")
    site.answers["/api/auth/jwks"] = answer
    text, refused = check_key_set(tmp_path, site.url)
    assert text == reason.replace("{site}", site.url)
    assert says(refused, KEY_SET_HINTS[hint])
    site.publish()
    assert check_key_set(tmp_path, site.url)[0] == f"ok {site.url}/api/auth/jwks: EdDSA, ES384"


@pytest.mark.proves("BA-6")
def test_this_service_is_not_better_auth(tmp_path: Path, service: Service, site: Site) -> None:
    site.publish()
    for url, mark in (service.base_url, "FAIL"), (site.url, "ok"):
        ended = check_key_set(tmp_path, url)[1]
        assert rows(ended)["Key set"].startswith(f"{mark} ")
        assert says(ended, KEY_SET_HINTS["itself"]) == (mark == "FAIL")


@pytest.mark.proves("BA-3")
def test_redirects_are_followed_within_the_origin(tmp_path: Path, site: Site) -> None:
    site.publish()
    site.answers["/keys"] = site.answers["/api/auth/jwks"]
    for number in range(4):
        site.answers[f"/{number}"] = (307, f"/{number - 1}" if number else f"{site.url}/keys", b"")
    for start, row in (3, f"ok {site.url}/api/auth/jwks: EdDSA, ES384"), (4, f"it redirects to {site.url}/keys"):
        site.answers["/4"] = (307, "/3", b"")
        site.answers["/api/auth/jwks"] = (307, f"/{start}", b"")
        assert check_key_set(tmp_path, site.url)[0] == row


@pytest.mark.proves("BA-6")
def test_a_key_set_that_nobody_serves_needs_better_auth_to_be_started(tmp_path: Path, site: Site) -> None:
    text, refused = check_key_set(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert text == "All connection attempts failed"
    assert says(refused, KEY_SET_HINTS["unreachable"])
    site.publish()
    assert check_key_set(tmp_path, site.url)[0].startswith("ok ")


@pytest.mark.proves("BA-6")
def test_a_key_set_that_is_served_without_tls_needs_another_scheme(tmp_path: Path, site: Site) -> None:
    text, refused = check_key_set(tmp_path, site.url.replace("http://", "https://"))
    assert "[SSL: " in text
    assert says(refused, KEY_SET_HINTS["tls"])
    assert "https:// in BETTER_AUTH_URL in .env." in refused.stdout
    site.publish()
    assert check_key_set(tmp_path, site.url)[0].startswith("ok ")


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy"])
def test_a_proxy_that_does_not_lead_there_is_left_out(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    site.publish()
    with Site() as proxy:  # which does not know the way
        threading.Thread(target=proxy.serve_forever, args=[0.05]).start()
        monkeypatch.setenv(variable, proxy.url)
        refused = check_key_set(tmp_path, site.url)[1]
        assert says(refused, KEY_SET_HINTS["proxy"])
        assert "NO_PROXY=127.0.0.1\n" in refused.stdout
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert check_key_set(tmp_path, site.url)[0].startswith("ok ")
        site.answers.clear()
        assert says(check_key_set(tmp_path, site.url)[1], KEY_SET_HINTS["not found"])
        proxy.shutdown()


@pytest.mark.proves("BA-6", "BA-10")
@pytest.mark.parametrize(
    ("hint", "path", "bad", "good"),
    [
        ("not found", "/auth/jwks", {"BETTER_AUTH_URL": ""}, {"BETTER_AUTH_URL": "/auth"}),
        ("not found", "/keys", {"BETTER_AUTH_URL": ""}, {"BETTER_AUTH_URL": "", "BETTER_AUTH_JWKS_URL": "/keys"}),
        (
            "neon",
            "/neondb/auth/.well-known/jwks.json",
            {"NEON_AUTH_BASE_URL": ""},
            {"NEON_AUTH_BASE_URL": "/neondb/auth"},
        ),
    ],
)
def test_a_key_set_at_another_path_is_found_as_check_says(
    tmp_path: Path, site: Site, hint: str, path: str, bad: dict[str, str], good: dict[str, str]
) -> None:
    site.answers = {path: (200, "", json.dumps({"keys": KEYS}).encode())}
    for paths, mark in (bad, "FAIL"), (good, "ok"):
        ended = invoke(tmp_path, "check", **{name: site.url + there for name, there in paths.items()})
        assert rows(ended)["Key set"].startswith(f"{mark} ")
        assert says(ended, KEY_SET_HINTS[hint]) == (mark == "FAIL")
