"""The service with the real Better Auth, in each of its ways."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.frontend import FOLDER, Frontend, better_auth, build, free_port
from tests.service import SECRET, Service, invoke, running, serving
from tests.test_auth import make
from tests.test_check_token import says
from todo_backend.auth.tokens import InvalidToken
from todo_backend.auth.verifier import Verifier
from todo_backend.cli.token_hints import HINTS, KEY_SET_HINTS
from todo_backend.settings.issuer import Issuer

pytestmark = pytest.mark.xdist_group("better_auth")


@pytest.fixture(autouse=True, scope="module")
def built() -> None:
    build()


@pytest.fixture(scope="module")
def hs256(built: None) -> Iterator[Frontend]:
    with better_auth("hs256") as frontend:
        yield frontend


@pytest.fixture(scope="module")
def eddsa(built: None) -> Iterator[Frontend]:
    with better_auth("eddsa") as frontend:
        yield frontend


@pytest.fixture
def with_key_set(tmp_path: Path, url: Callable[[str], str], eddsa: Frontend) -> Iterator[Service]:
    with serving(tmp_path, url("shared"), BETTER_AUTH_URL=eddsa.url) as service:
        yield service


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def use_every_operation(service: Service, ada: tuple[str, str], bob: tuple[str, str]) -> None:
    """Let two users, each an id and a token, do everything; neither sees or changes what is the other's."""
    with service.client() as client:

        def ask(user: tuple[str, str], method: str, path: str, body: object = None) -> httpx2.Response:
            return client.request(method, path, json=body, headers=bearer(user[1]))

        task = ask(ada, "POST", "/api/tasks", {"title": "Ada's"}).json()
        path = f"/api/tasks/{task['id']}"
        assert task["user_id"] == ada[0]
        assert [one["id"] for one in ask(ada, "GET", "/api/tasks").json()] == [task["id"]]
        assert ask(bob, "GET", "/api/tasks").json() == []
        for method, suffix in [("GET", ""), ("PATCH", "/complete"), ("DELETE", "")]:
            assert ask(bob, method, path + suffix).status_code == 403
        assert ask(bob, "PUT", path, {"title": "Bob's"}).status_code == 403
        assert ask(ada, "GET", path).json() == task
        assert ask(ada, "PUT", path, {"title": "Ada's own"}).json()["title"] == "Ada's own"
        assert ask(ada, "PATCH", f"{path}/complete").json()["completed"] is True
        assert ask(ada, "DELETE", path).status_code == 200
        assert ask(ada, "GET", "/api/tasks").json() == []


def two_users(frontend: Frontend, name: str, path: str | None = None) -> list[tuple[str, str]]:
    users = [f"{name}-ada", f"{name}-bob"]
    return [(frontend.sign_up(user), frontend.token(user, path)) for user in users]


@pytest.mark.proves("BA-1")
def test_hs256_by_the_hook(service: Service, hs256: Frontend) -> None:
    ada, bob = two_users(hs256, "hook")
    claims = jwt.decode(ada[1], options={"verify_signature": False})
    assert (claims["iss"], claims["aud"]) == (hs256.url, hs256.url)
    use_every_operation(service, ada, bob)


@pytest.mark.proves("BA-1")
@pytest.mark.parametrize(
    ("ids", "form"), [("", "[A-Za-z0-9]{32}"), ("uuid", "[0-9a-f-]{36}"), ("serial", "[0-9]+")]
)
def test_hs256_without_iss_and_aud_and_ids_of_every_form(service: Service, ids: str, form: str) -> None:
    with better_auth("bare", IDS=ids) as frontend:
        ada, bob = two_users(frontend, "bare")
    assert jwt.decode(ada[1], options={"verify_signature": False}).keys().isdisjoint({"iss", "aud"})
    assert re.fullmatch(form, ada[0])
    use_every_operation(service, ada, bob)


@pytest.mark.proves("BA-1")
def test_hs256_by_a_route_of_its_own(service: Service) -> None:
    with better_auth("route") as frontend:
        use_every_operation(service, *two_users(frontend, "route", "/api/token"))


@pytest.mark.proves("BA-2")
def test_eddsa_as_the_plugin_comes(with_key_set: Service, eddsa: Frontend) -> None:
    ada, bob = two_users(eddsa, "plain")
    header = jwt.get_unverified_header(ada[1])
    claims = jwt.decode(ada[1], options={"verify_signature": False})
    assert (header["alg"], claims["exp"] - claims["iat"]) == ("EdDSA", 900)
    assert (claims["iss"], claims["aud"]) == (eddsa.url, eddsa.url)
    use_every_operation(with_key_set, ada, bob)


@pytest.mark.proves("BA-2")
@pytest.mark.parametrize("algorithm", ["ES256", "ES512", "RS256", "PS256"])
def test_keys_of_other_kinds(tmp_path: Path, url: Callable[[str], str], algorithm: str) -> None:
    with better_auth("keys", ALGORITHM=algorithm) as frontend:
        ada, bob = two_users(frontend, algorithm.lower())
        assert jwt.get_unverified_header(ada[1])["alg"] == algorithm
        with serving(tmp_path, url("shared"), BETTER_AUTH_URL=frontend.url + "/") as service:
            use_every_operation(service, ada, bob)


def status(service: Service, token: str) -> tuple[int, str]:
    with service.client() as client:
        answer = client.get("/api/tasks", headers=bearer(token))
    return answer.status_code, answer.json()["detail"] if answer.status_code != 200 else ""


@pytest.mark.proves("BA-3")
def test_a_new_key_works_without_a_restart(tmp_path: Path, url: Callable[[str], str]) -> None:
    with better_auth("keys", ALGORITHM="ES256", ROTATION="3") as frontend:
        frontend.sign_up("rotated")
        first = frontend.token("rotated")
        with serving(tmp_path, url("shared"), BETTER_AUTH_URL=frontend.url) as service:
            assert status(service, first) == (200, "")
            fetched = time.monotonic()
            time.sleep(4)
            second = frontend.token("rotated")
            assert jwt.get_unverified_header(first)["kid"] != jwt.get_unverified_header(second)["kid"]
            refused = (401, "The token is signed with a key that BETTER_AUTH_URL's key set lacks")
            assert status(service, second) == refused  # for ten seconds after a fetch there is no other
            time.sleep(fetched + 10.2 - time.monotonic())
            assert status(service, second) == (200, "")
            assert status(service, first) == (200, "")


@pytest.mark.proves("BA-3")
def test_the_key_set_is_kept_while_better_auth_is_unavailable(tmp_path: Path, url: Callable[[str], str]) -> None:
    port = free_port()
    with serving(tmp_path, url("shared"), BETTER_AUTH_URL=f"http://localhost:{port}") as service:
        with better_auth("eddsa", port) as frontend:
            frontend.sign_up("kept")
            token = frontend.token("kept")
            assert status(service, token) == (200, "")
        assert status(service, token) == (200, "")
        with better_auth("eddsa", port) as frontend:  # another one, with other keys
            frontend.sign_up("other")
            other = frontend.token("other")
        time.sleep(10.2)
        assert status(service, other)[0] == 401  # the fetch failed, and what was known is still known
        assert status(service, token) == (200, "")


@pytest.mark.proves("BA-3", "CORS-1")
def test_no_key_set_to_be_had_is_a_503(tmp_path: Path, url: Callable[[str], str], eddsa: Frontend) -> None:
    eddsa.sign_up("early")
    token = eddsa.token("early")
    nowhere = f"http://localhost:{free_port()}"
    with serving(tmp_path, url("shared"), BETTER_AUTH_URL=nowhere) as service, service.client() as client:
        for _ in range(2):
            answer = client.get("/api/tasks", headers=bearer(token) | {"Origin": "http://localhost:3000"})
            assert answer.status_code == 503
            assert answer.json() == {"detail": "Better Auth's key set is unavailable"}
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
            assert answer.elapsed.total_seconds() < 10
        assert client.get("/api/tasks", headers=bearer(make({"sub": "x", "exp": 2**33}))).status_code == 200


@pytest.mark.proves("BA-4")
def test_a_public_key_is_no_secret(with_key_set: Service, eddsa: Frontend) -> None:
    [data] = eddsa.ask("nobody", "GET", "/api/auth/jwks").json()["keys"]
    key: Any = jwt.PyJWK(data).key
    good = {"sub": "me", "exp": time.time() + 60, "iss": eddsa.url, "aud": eddsa.url}
    for form in [
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip(),
        data["x"],
    ]:
        for header in ({"alg": "HS256", "kid": data["kid"]}, {"alg": "EdDSA", "kid": data["kid"]}):
            assert status(with_key_set, make(good, header, secret=form))[0] == 401
    assert status(with_key_set, make(good, {"alg": "HS256", "kid": data["kid"]}, secret=SECRET))[0] == 200


SEND_THE_JWT = "send the token of authClient.token()"
MISTAKES = {
    "eddsa": "The token is signed with EdDSA, which needs BETTER_AUTH_URL",
    "undefined": "The token is the word undefined or null: nobody is signed in, or authClient.token() failed",
    "session": f"The token is not a JWT: {SEND_THE_JWT}, not the session token",
    "cookie": f"The token is Better Auth's session cookie: {SEND_THE_JWT}",
    "secret": "The token's signature does not match BETTER_AUTH_SECRET",
    "expired": "The token has expired",
}


@pytest.fixture(scope="module")
def mistakes(eddsa: Frontend) -> dict[str, str]:
    """What people send instead of the right token."""
    eddsa.sign_up("mistaken")
    with (
        better_auth("cookie") as cookie,
        better_auth("hs256", BETTER_AUTH_SECRET="another secret, of 32 bytes or more") as other,
    ):
        cookie.sign_up("mistaken")
        other.sign_up("mistaken")
        return {
            "eddsa": eddsa.token("mistaken"),
            "undefined": "undefined",  # data?.token of authClient.token() without a session
            "session": eddsa.cookie("mistaken", "better-auth.session_token"),
            "cookie": cookie.cookie("mistaken", "better-auth.session_data"),
            "secret": other.token("mistaken"),
            "expired": make({"sub": "mistaken", "exp": 1}),
        }


@pytest.mark.proves("BA-5", "AUTH-7")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_named(service: Service, mistakes: dict[str, str], mistake: str) -> None:
    assert status(service, mistakes[mistake]) == (401, MISTAKES[mistake])


@pytest.mark.proves("BA-5")
def test_the_cookie_that_the_key_set_signs_is_rejected_too(tmp_path: Path, url: Callable[[str], str]) -> None:
    with better_auth("cookie", COOKIE_KEYS="1") as frontend:
        frontend.sign_up("signed")
        cookie = frontend.cookie("signed", "better-auth.session_data")
        assert jwt.get_unverified_header(cookie)["typ"] == "better-auth.session-cache+jwt"
        with serving(tmp_path, url("shared"), BETTER_AUTH_URL=frontend.url) as service:
            assert status(service, cookie) == (401, MISTAKES["cookie"])
            assert status(service, frontend.token("signed"))[0] == 200
        explained = invoke(tmp_path, "check", "--token", cookie, BETTER_AUTH_URL=frontend.url)
        assert says(explained, HINTS["client"])


# How Better Auth is mounted, and what this service is told of it; {url} is Better Auth's origin.
MOUNTS: dict[str, tuple[dict[str, str], dict[str, object], dict[str, str]]] = {
    "the path in BETTER_AUTH_URL": (
        {"BETTER_AUTH_URL": "{url}/api/auth"},
        {},
        {"BETTER_AUTH_URL": "{url}/api/auth"},
    ),
    "another path": ({"BETTER_AUTH_URL": "{url}/auth"}, {}, {"BETTER_AUTH_URL": "{url}/auth/"}),
    "Neon Auth": (
        {"BETTER_AUTH_URL": "{url}/neondb/auth"},
        {"jwks": {"jwksPath": "/.well-known/jwks.json"}, "jwt": {"issuer": "{url}", "audience": "{url}"}},
        {"NEON_AUTH_BASE_URL": "{url}/neondb/auth"},
    ),
    "options of the plugin": (
        {},
        {"jwks": {"jwksPath": "/keys"}, "jwt": {"issuer": "https://todo.example/", "audience": "api://todo"}},
        {
            "BETTER_AUTH_URL": "{url}",
            "BETTER_AUTH_JWKS_URL": "{url}/api/auth/keys",
            "BETTER_AUTH_ISSUER": "https://todo.example",
            "BETTER_AUTH_AUDIENCE": "api://todo",
        },
    ),
}


@pytest.mark.proves("BA-10")
@pytest.mark.parametrize("mount", MOUNTS)
def test_every_way_of_mounting_it(tmp_path: Path, url: Callable[[str], str], mount: str) -> None:
    """Without BETTER_AUTH_SECRET: `serve` needs a key set or a secret, and `check` likes either."""
    variables, options, ours = MOUNTS[mount]
    with better_auth("options", None, OPTIONS=json.dumps(options), **variables) as frontend:
        told = {name: value.replace("{url}", frontend.url) for name, value in ours.items()}
        ada, bob = two_users(frontend, "mounted")
        claims = jwt.decode(ada[1], options={"verify_signature": False})
        if "jwt" not in options:
            assert (claims["iss"], claims["aud"]) == (frontend.url, frontend.url)
        with serving(tmp_path, url("shared"), healthy=True, **told | {"BETTER_AUTH_SECRET": ""}) as service:
            use_every_operation(service, ada, bob)
            hs256 = "The token is signed with HS256, which needs BETTER_AUTH_SECRET"
            assert status(service, make({"sub": "x", "exp": 2**33})) == (401, hs256)
        well = invoke(tmp_path, "check", "--token", ada[1], DATABASE_URL=url("shared"), **told)
        assert (well.returncode, "FAIL" in well.stdout) == (0, False)
        missing = invoke(tmp_path, "check", "--token", make({"sub": "x", "exp": 2**33}), **told)
        assert says(missing, HINTS["no secret"])


@pytest.mark.proves("BA-10")
def test_capitals_in_the_host(tmp_path: Path) -> None:
    """Better Auth puts the origin in lower case into the token."""
    written = f"http://LocalHost:{free_port()}"
    with better_auth("eddsa", int(written.rpartition(":")[2]), BETTER_AUTH_URL=written) as frontend:
        frontend.sign_up("capitals")
        token = frontend.token("capitals")
        assert jwt.decode(token, options={"verify_signature": False})["iss"] == written.lower()
        assert "ok    Token" in invoke(tmp_path, "check", "--token", token, BETTER_AUTH_URL=written).stdout


@pytest.mark.proves("BA-10", "CLI-1")
def test_dev_makes_a_secret_beside_a_key_set(tmp_path: Path, url: Callable[[str], str], eddsa: Frontend) -> None:
    """Its own token needs one; tokens of the key set are accepted too."""
    eddsa.sign_up("beside")
    with running(tmp_path, "dev", DATABASE_URL=url("shared"), BETTER_AUTH_URL=eddsa.url) as service:
        assert "Wrote a new BETTER_AUTH_SECRET to .env" in service.log.read_text()
        assert f"Key set   {eddsa.url}/api/auth/jwks\n" in service.log.read_text()
        own = service.wait_for_log(r"Bearer [\w.-]+'")[7:-1]
        assert status(service, own) == (200, "")
        assert status(service, eddsa.token("beside")) == (200, "")


@pytest.mark.proves("BA-3")
def test_a_new_database_whose_key_ids_begin_again() -> None:
    port = free_port()

    def token(frontend: Frontend) -> str:
        frontend.sign_up("serial")
        token = frontend.token("serial")
        assert jwt.get_unverified_header(token)["kid"] == "1"
        return token

    async def live() -> None:
        verifier = Verifier(None, Issuer.better_auth(f"http://localhost:{port}"))
        with better_auth("options", port, IDS="serial") as frontend:
            await verifier.verify(first := token(frontend))
        assert verifier._key_set
        verifier._key_set._next_fetch = 0  # ten seconds later
        with better_auth("options", port, IDS="serial") as frontend:
            await verifier.verify(token(frontend))
        with pytest.raises(InvalidToken, match="signature does not match its key"):
            await verifier.verify(first)

    asyncio.run(live())


@pytest.mark.proves("BA-5")
def test_a_server_component_without_a_base_url(tmp_path: Path) -> None:
    for base_url in "", "{url}":
        with better_auth("server", BASE_URL=base_url) as frontend:
            frontend.sign_up("server")
            token = frontend.token("server", "/api/token")
            explained = invoke(tmp_path, "check", "--token", token, BETTER_AUTH_URL=frontend.url).stdout
        reason = "FAIL  Token      The token's iss claim is empty: set baseURL in Better Auth's options\n"
        assert (reason in explained) == (HINTS["base url"].splitlines()[0] in explained) == (not base_url)
        assert ("ok    Token" in explained) == bool(base_url)


def check(folder: Path, database: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    settings = {"DATABASE_URL": database, "BETTER_AUTH_SECRET": SECRET} | variables
    return invoke(folder, "check", *arguments, **settings)


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_check_says_what_to_change(
    tmp_path: Path, service: Service, url: Callable[[str], str], mistakes: dict[str, str], mistake: str
) -> None:
    ended = check(tmp_path, url("shared"), "--token", mistakes[mistake])
    hints = {"undefined": "empty", "eddsa": "algorithm", "session": "client", "cookie": "client"}
    assert ended.returncode == 1
    assert f"FAIL  Token      {MISTAKES[mistake]}\n" in ended.stdout
    assert says(ended, HINTS[hints.get(mistake, mistake)])
    assert mistake == "undefined" or mistakes[mistake] not in ended.stdout
    assert "\x1b" not in ended.stdout


PLUGIN: dict[str, dict[str, object]] = {
    "audience": {"jwt": {"audience": "todo"}},
    "issuer": {"jwt": {"issuer": "https://app.example.com"}},
    "number": {"jwt": {"expirationTime": 900}},
    "size": {},
}


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize("hint", PLUGIN)
def test_options_that_are_changed_as_check_says(tmp_path: Path, hint: str) -> None:
    port = free_port()

    def report(**variables: str) -> subprocess.CompletedProcess[str]:
        with better_auth("options", port, **variables) as frontend:
            frontend.sign_up("user", image="data:image/png;base64," + "A" * 8192 if hint == "size" else "")
            settings = {"BETTER_AUTH_SECRET": SECRET, "BETTER_AUTH_URL": frontend.url}
            return invoke(tmp_path, "check", "--token", frontend.token("user"), **settings)

    assert says(refused := report(OPTIONS=json.dumps(PLUGIN[hint])), HINTS[hint])
    assert f"http://localhost:{port}" in refused.stdout
    assert 'ok    Token      For user "' in report(**({"LEAN": "1"} if hint == "size" else {})).stdout


@pytest.mark.proves("BA-6")
@pytest.mark.parametrize(
    ("hint", "way", "bad", "good"),
    [
        ("not found", "cookie", {}, {"COOKIE_KEYS": "1"}),
        ("status", "options", {"NO_TABLE": "1"}, {}),
    ],
)
def test_a_key_set_that_is_fixed_as_check_says(
    tmp_path: Path, hint: str, way: str, bad: dict[str, str], good: dict[str, str]
) -> None:
    for variables, row in (bad, "FAIL"), (good, "ok"):
        with better_auth(way, None, **variables) as frontend:
            ended = invoke(tmp_path, "check", BETTER_AUTH_SECRET=SECRET, BETTER_AUTH_URL=frontend.url)
        assert f"{row:<4}  Key set  " in ended.stdout
        assert says(ended, KEY_SET_HINTS[hint]) == (row == "FAIL")


@pytest.mark.proves("BA-6")
def test_check_explains_good_tokens(
    tmp_path: Path, service: Service, url: Callable[[str], str], eddsa: Frontend, hs256: Frontend
) -> None:
    for frontend in (eddsa, hs256):
        user_id = frontend.sign_up("checked")
        ended = check(tmp_path, url("shared"), "--token", frontend.token("checked"), BETTER_AUTH_URL=eddsa.url)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert f'ok    Token      For user "{user_id}", valid for another 15 min' in ended.stdout
        assert f"ok    Key set    {eddsa.url}/api/auth/jwks: EdDSA" in ended.stdout


@pytest.mark.proves("BA-6")
def test_check_says_what_a_wrong_url_needs(
    tmp_path: Path, service: Service, url: Callable[[str], str], eddsa: Frontend, hs256: Frontend
) -> None:
    eddsa.sign_up("wrong")
    away = check(tmp_path, url("shared"), "--token", eddsa.token("wrong"), BETTER_AUTH_URL="http://localhost:1")
    assert away.returncode == 1
    assert "FAIL  Key set    http://localhost:1/api/auth/jwks: " in away.stdout
    assert "FAIL  Token      Better Auth's key set is unavailable" in away.stdout
    none = check(tmp_path, url("shared"), BETTER_AUTH_URL=hs256.url)
    assert none.returncode == 1
    assert "404" in none.stdout
    assert says(none, KEY_SET_HINTS["not found"])
    hs256.sign_up("without")
    assert check(tmp_path, url("shared"), "--token", hs256.token("without")).returncode == 0


@pytest.mark.proves("BA-6")
def test_the_hint_that_check_prints_is_the_one_that_runs() -> None:
    source = (FOLDER / "ways" / "hs256.ts").read_text()
    code = [line.strip() for line in HINTS["algorithm"].split("\n\n", 1)[1].splitlines() if line.strip()]
    assert [line for line in code if line not in source] == []


@pytest.mark.proves("BA-9")
def test_a_typed_client(service: Service, hs256: Frontend) -> None:
    """tsc --strict has compiled it against openapi.json before."""
    hs256.sign_up("typed")
    program = ["node", "build/client.js", service.base_url, hs256.token("typed")]
    subprocess.run(program, cwd=FOLDER, check=True, timeout=60)
