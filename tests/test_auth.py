"""From the bearer header to the user."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import os
import subprocess
import sys
import time
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request

from tests.service import JSON, SECRET, Service, bearer
from todo_backend.auth.claims import check_claims
from todo_backend.auth.dependencies import get_current_user
from todo_backend.auth.middleware import AuthMiddleware, is_protected
from todo_backend.auth.tokens import InvalidToken
from todo_backend.auth.verifier import Verifier

NOW = int(time.time())
GOOD: dict[str, Any] = {"sub": "user", "iat": NOW, "exp": NOW + 24 * 60 * 60}


def encode(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make(claims: object, header: object = None, secret: str = SECRET) -> str:
    """Return a token signed with HS256, whatever is in it."""
    signed = f"{encode({'alg': 'HS256'} if header is None else header)}.{encode(claims)}"
    return f"{signed}.{encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def send(client: httpx2.Client, token: str) -> httpx2.Response:
    return client.get("/api/tasks", headers={"Authorization": f"Bearer {token}".strip()})


@pytest.mark.proves("AUTH-1")
@pytest.mark.parametrize("path", ["/api", "/api/", "/api/tasks", "/api/tasks/1", "/api/nothing", "/api/%2e%2e"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND"])
def test_everything_under_api_needs_a_token(anonymous: httpx2.Client, method: str, path: str) -> None:
    assert anonymous.request(method, path).status_code == 401


@pytest.mark.proves("AUTH-1")
@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json"])
def test_the_public_paths_need_none(anonymous: httpx2.Client, path: str) -> None:
    assert anonymous.get(path).status_code == 200


@pytest.mark.proves("AUTH-1")
@pytest.mark.parametrize(
    ("scope", "protected"),
    [
        ({"type": "http", "path": "/api"}, True),
        ({"type": "http", "path": "/backend/api/tasks", "root_path": "/backend"}, True),
        ({"type": "http", "path": "/backend/health", "root_path": "/backend"}, False),
        ({"type": "http", "path": "/api/health", "root_path": "/api"}, False),
        ({"type": "http", "path": "/api", "root_path": "/api"}, False),
        ({"type": "http", "path": "/api/api/tasks", "root_path": "/api"}, True),
        ({"type": "http", "path": "/api/tasks", "root_path": "/a"}, True),
        ({"type": "lifespan"}, False),
    ],
)
def test_the_gate_sees_the_path_that_the_router_sees(scope: dict[str, Any], protected: bool) -> None:
    """Where the service is mounted in another, or uvicorn has a --root-path."""
    assert is_protected(scope) is protected


@pytest.mark.parametrize("path", ["/", "/apis", "/API/tasks", "//api/tasks"])
def test_nothing_else_is_there(anonymous: httpx2.Client, path: str) -> None:
    assert anonymous.get(path).status_code == 404


@pytest.mark.proves("AUTH-2")
def test_a_bad_token_is_rejected_before_the_body_arrives(service: Service) -> None:
    headers = {"Authorization": "Bearer bad"} | JSON
    with service.send("POST", "/api/tasks", headers, b"Content-Length: 100000000\r\n\r\n{") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.proves("AUTH-3")
@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"iss": "http://localhost:3000", "aud": "http://localhost:3000"},
        {"iss": 1, "aud": ["a", "b"]},
        {"name": "Ada", "email": "ada@example.com", "nested": {"a": [1]}},
        {"exp": GOOD["exp"] + 0.5},
        {"iat": 0, "nbf": -5},
    ],
)
def test_a_valid_token_is_accepted(anonymous: httpx2.Client, claims: dict[str, Any]) -> None:
    assert send(anonymous, make(GOOD | claims)).status_code == 200


@pytest.mark.proves("AUTH-3", "AUTH-6")
@pytest.mark.parametrize(("seconds", "status"), [(20, 200), (40, 401)])
@pytest.mark.parametrize(("claim", "sign"), [("exp", -1), ("nbf", 1), ("iat", 1)])
def test_clocks_may_differ_by_30_seconds(
    anonymous: httpx2.Client, claim: str, sign: int, seconds: int, status: int
) -> None:
    assert send(anonymous, make(GOOD | {claim: time.time() + sign * seconds})).status_code == status


@pytest.mark.proves("AUTH-3")
def test_blanks_around_the_token_are_no_part_of_it_and_nothing_else_is_taken_away() -> None:
    class Echo(Verifier):
        async def verify(self, token: str) -> str:
            return token

    gate = AuthMiddleware(FastAPI(), verifier=Echo(SECRET.encode()))
    assert asyncio.run(gate.authenticate([(b"authorization", b"\tBearer \t XtokenX \t ")])) == "XtokenX"


@pytest.mark.proves("AUTH-6")
@pytest.mark.parametrize(("claim", "good", "bad"), [("exp", 29.9, 30), ("nbf", -30, -30.1), ("iat", -30, -30.1)])
def test_the_leeway_is_exact(claim: str, good: float, bad: float) -> None:
    check_claims(GOOD | {claim: NOW}, now=NOW + good)
    with pytest.raises(InvalidToken):
        check_claims(GOOD | {claim: NOW}, now=NOW + bad)


@pytest.mark.proves("AUTH-3")
@pytest.mark.parametrize("header", [{"kid": "1", "x": [1]}, {"cty": "JWT"}])
def test_unknown_header_fields_are_tolerated(anonymous: httpx2.Client, header: dict[str, Any]) -> None:
    assert send(anonymous, make(GOOD, {"alg": "HS256"} | header)).status_code == 200


@pytest.mark.proves("AUTH-3")
@pytest.mark.parametrize("name", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/jwt"])
def test_types_that_are_accepted(anonymous: httpx2.Client, name: str) -> None:
    assert send(anonymous, make(GOOD, {"alg": "HS256", "typ": name})).status_code == 200


@pytest.mark.proves("AUTH-6")
@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        1,
        ["JWT"],
        "JWE",
        "secevent+jwt",
        "application/",
        "application/application/jwt",
        "JWT ",
        "jwT\u212a",
    ],
)
def test_a_token_of_another_type_is_rejected(anonymous: httpx2.Client, name: object) -> None:
    answer = send(anonymous, make(GOOD, {"alg": "HS256", "typ": name}))
    assert (answer.status_code, answer.json()) == (401, {"detail": "The token has a typ header that is not JWT"})


@pytest.mark.proves("AUTH-6", "BA-5")
@pytest.mark.parametrize("prefix", ["", "application/"])
def test_the_session_cookie_that_the_key_set_signs_is_named(anonymous: httpx2.Client, prefix: str) -> None:
    answer = send(anonymous, make(GOOD, {"alg": "HS256", "typ": f"{prefix}better-auth.session-cache+jwt"}))
    assert answer.json() == {"detail": f"The token is Better Auth's session cookie: {HINT}"}


@pytest.mark.proves("AUTH-3")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_case_of_the_scheme_does_not_matter(anonymous: httpx2.Client, scheme: str) -> None:
    answer = anonymous.get("/api/tasks", headers={"Authorization": f"{scheme} {make(GOOD)}"})
    assert answer.status_code == 200


@pytest.mark.proves("AUTH-3", "TASK-1")
@pytest.mark.parametrize(
    "user_id", ["42", "N8rMAtNHXwCS7j2GxWvSa0123456789a", "123e4567-e89b-12d3-a456-426614174000", "😀é", "x" * 255]
)
def test_ids_of_every_form_fit(anonymous: httpx2.Client, user_id: str) -> None:
    headers = {"Authorization": f"Bearer {make(GOOD | {'sub': user_id})}"}
    assert anonymous.post("/api/tasks", json={"title": "mine"}, headers=headers).json()["user_id"] == user_id


ALGORITHMS: list[object] = ["none", "None", "HS384", "RS256", "hs256", "", None, 1, ["HS256"], {}]
OTHER_ALGORITHMS = [make(GOOD, {"alg": algorithm}) for algorithm in ALGORITHMS]
TIMES: list[object] = [None, "", str(GOOD["exp"]), True, [NOW], {}, 10**400, -(10**400)]
USER_IDS: list[object] = ["", 1, True, ["user"], {}, "x" * 256, "a\x00b", "a\nb", "\x7f", "\x9f", "\ud800"]
UNSIGNED = f"{encode({'alg': 'none'})}.{encode(GOOD)}."
ED25519 = jwt.encode(GOOD, Ed25519PrivateKey.generate(), "EdDSA")


@pytest.mark.proves("AUTH-4")
@pytest.mark.parametrize(
    "token",
    [
        UNSIGNED,
        *OTHER_ALGORITHMS,
        make(GOOD, {"typ": "JWT"}),
        jwt.encode(GOOD, SECRET * 2, "HS512"),
        ED25519,
    ],
    ids=itertools.count(),
)
def test_every_other_algorithm_is_rejected(anonymous: httpx2.Client, token: str) -> None:
    assert send(anonymous, token).status_code == 401


VALID = make(GOOD)


@pytest.mark.proves("AUTH-5")
@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "x",
        "x.y.z",
        "null",
        make(GOOD, secret="another-secret-of-at-least-32-bytes"),
        VALID[:-4] + ("AAAA" if VALID[-4:] != "AAAA" else "BBBB"),
        VALID.rsplit(".", 1)[0],
        VALID.rsplit(".", 1)[0] + ".",
        VALID + ".x",
        VALID + " x",
        VALID.replace(".", " . "),
        VALID + "!",
        VALID + "=",
        VALID + "\xa0",
        "é" + VALID,
        make(GOOD, [1]),
        make(GOOD, b"not json"),
        make(GOOD, b"[" * 5000),
        make([1]),
        make("text"),
        make(None),
        make(b"not json"),
        make(b"\xff\xfe"),
        make(b"[" * 5000),
        make(b'{"sub": "user", "exp": ' + b"9" * 5000 + b"}"),
        make(GOOD, {"alg": "HS256", "kid": 1}),
        make(GOOD, {"alg": "HS256", "b64": False}),
    ],
    ids=itertools.count(),
)
def test_a_malformed_token_is_rejected(anonymous: httpx2.Client, token: str) -> None:
    headers = [(b"Authorization", f"Bearer {token}".strip(" ").encode("latin-1"))]
    assert anonymous.get("/api/tasks", headers=headers).status_code == 401


@pytest.mark.proves("AUTH-5")
def test_a_token_over_8_kib_is_rejected(anonymous: httpx2.Client) -> None:
    def padded(length: int) -> str:
        payloads = (json.dumps(GOOD).encode().ljust(size) for size in range(6000, 6200))
        headers = [{"alg": "HS256", "x": "x" * size} for size in range(3)]
        tokens = (make(payload, header) for payload in payloads for header in headers)
        return next(token for token in tokens if len(token) == length)

    assert send(anonymous, padded(8192)).status_code == 200
    answer = send(anonymous, padded(8193))
    assert answer.status_code == 401
    assert answer.json() == {"detail": "The token is longer than 8 KiB"}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.proves("AUTH-6")
@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (without("exp"), "The token has no exp claim"),
        (without("sub"), "The token has no sub claim"),
        (GOOD | {"exp": NOW - 31}, "The token has expired"),
        (GOOD | {"nbf": NOW + 3600}, "The token is not valid yet"),
        (GOOD | {"iat": NOW + 3600}, "The token was issued in the future"),
        *(
            (GOOD | {name: value}, f"The token's {name} claim is not a time")
            for name in ("exp", "nbf", "iat")
            for value in TIMES
        ),
        *((GOOD | {"sub": value}, "The token's sub claim is not a user id") for value in USER_IDS),
        (GOOD | {"sub": None}, "The token has no sub claim"),
    ],
)
def test_claims_are_judged(anonymous: httpx2.Client, claims: dict[str, Any], reason: str) -> None:
    answer = send(anonymous, make(claims))
    assert (answer.status_code, answer.json()) == (401, {"detail": reason})


@pytest.mark.proves("AUTH-6")
@pytest.mark.parametrize("crit", [["exp"], [], None, "exp", {}, ["b64"]])
@pytest.mark.parametrize("header", [{}, {"b64": True}, {"b64": False}])
def test_crit_of_any_form_is_rejected(anonymous: httpx2.Client, header: dict[str, Any], crit: object) -> None:
    assert send(anonymous, make(GOOD, {"alg": "HS256", "crit": crit} | header)).status_code == 401


@pytest.mark.proves("AUTH-7")
@pytest.mark.parametrize("header", [None, "", "Basic dXNlcjpwYXNz", "Token x", make(GOOD)], ids=itertools.count())
def test_without_bearer_credentials_the_challenge_is_bare(anonymous: httpx2.Client, header: str | None) -> None:
    answer = anonymous.get("/api/tasks", headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    fault = "is missing" if header is None else "does not have the form Bearer <token>"
    assert answer.json() == {"detail": f"The Authorization header {fault}"}


HINT = "send the token of authClient.token()"
NO_TOKEN = "The token is the word undefined or null: nobody is signed in, or authClient.token() failed"


@pytest.mark.proves("AUTH-7")
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (f"Bearer {VALID}", "The token begins with the word Bearer, which belongs before it once"),
        (f'"{VALID}"', "The token has quotation marks around it"),
        (f"'{VALID}'", "The token has quotation marks around it"),
        ("x", f"The token is not a JWT: {HINT}, not the session token"),
        *((word, NO_TOKEN) for word in ("undefined", "null")),
        (
            make({"exp": GOOD["exp"], "session": {}}),
            f"The token is Better Auth's session cookie: {HINT}",
        ),
        ("a.b.c", "The token is not a well-formed JWT"),
        (make(b"{"), "The token is not a well-formed JWT"),
        (make([]), "The token's payload is not a JSON object"),
        (make(GOOD | {"x": "x" * 8192}), "The token is longer than 8 KiB"),
        (
            make(GOOD, {"alg": "HS256", "crit": ["b64"], "b64": True}),
            "The token has a crit header, which is not supported",
        ),
        (make({"sub": "user"}), "The token has no exp claim"),
        (make(GOOD | {"exp": "1"}), "The token's exp claim is not a time"),
        (make(GOOD | {"exp": 1}), "The token has expired"),
        (make(GOOD | {"nbf": NOW * 2}), "The token is not valid yet"),
        (make(GOOD | {"iat": NOW * 2}), "The token was issued in the future"),
        (make({"exp": GOOD["exp"]}), "The token has no sub claim"),
        (make(GOOD | {"sub": 1}), "The token's sub claim is not a user id"),
        (make(GOOD, secret="x" * 32), "The token's signature does not match BETTER_AUTH_SECRET"),
        (ED25519, "The token is signed with EdDSA, which needs BETTER_AUTH_URL"),
        (UNSIGNED, "The token's algorithm is not supported"),
    ],
    ids=itertools.count(),
)
def test_bad_credentials_are_told_why(anonymous: httpx2.Client, token: str, reason: str) -> None:
    answer = send(anonymous, token)
    assert (answer.status_code, answer.json()) == (401, {"detail": reason})
    challenge = f'Bearer error="invalid_token", error_description="{reason}"'
    assert answer.headers["WWW-Authenticate"] == challenge


@pytest.mark.proves("AUTH-7")
def test_two_authorization_headers_are_rejected(anonymous: httpx2.Client) -> None:
    headers = [("Authorization", f"Bearer {VALID}"), ("Authorization", f"Bearer {VALID}")]
    answer = anonymous.get("/api/tasks", headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": "There is more than one Authorization header"})
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", ')


@pytest.mark.proves("AUTH-8")
def test_the_user_comes_from_the_token_alone(anonymous: httpx2.Client) -> None:
    task = {"title": "mine", "user_id": "somebody"}
    answer = anonymous.post("/api/tasks?user_id=somebody", json=task, headers=bearer("me") | JSON)
    assert answer.json()["user_id"] == "me"


@pytest.mark.proves("AUTH-8")
def test_a_route_without_the_middleware_is_not_open() -> None:
    """Outside AuthMiddleware there is no user, and the dependency fails."""
    with pytest.raises(AttributeError, match="user"):
        asyncio.run(get_current_user(Request({"type": "http", "state": {}})))


@pytest.mark.proves("AUTH-8")
def test_the_user_is_in_the_state_of_the_request() -> None:
    request = Request({"type": "http", "state": {"user": {"id": "me"}}})
    assert asyncio.run(get_current_user(request)) == {"id": "me"}


def test_what_is_not_used_is_not_loaded() -> None:
    """Neither what only a key set needs nor what only a migration needs: each takes 10 MB in each worker."""
    unused = {"cryptography", "httpx2", "jwt", "alembic"}
    loaded = f"import sys, todo_backend.main; print(sorted({unused} & sys.modules.keys()))"
    environment = os.environ | {"DATABASE_URL": "postgresql:///unused", "BETTER_AUTH_SECRET": SECRET}
    printed = subprocess.check_output([sys.executable, "-c", loaded], env=environment, text=True)
    assert printed == "[]\n"
