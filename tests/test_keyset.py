"""Key sets that Better Auth itself would not serve, and claims that it would not make."""

import asyncio
import contextlib
import html
import http.server
import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.proxy import Proxy
from tests.service import SECRET, Service, serving
from tests.test_auth import GOOD, make
from todo_backend.auth import keyset, tokens
from todo_backend.auth import verifier as verifier_module
from todo_backend.auth.keyset import KeySet, KeySetUnavailable, NoKeySet, fetch
from todo_backend.auth.tokens import InvalidToken
from todo_backend.auth.verifier import Verifier
from todo_backend.database import timeouts
from todo_backend.settings.issuer import Issuer

PATH = "/api/auth/jwks"
EDDSA, ES384 = Ed25519PrivateKey.generate(), generate_private_key(SECP384R1())
PUBLIC: dict[str, Any] = {"kid": "1", "alg": "EdDSA", **json.loads(OKPAlgorithm.to_jwk(EDDSA.public_key()))}
KEYS: list[object] = [
    PUBLIC,
    {"kid": "2", "alg": "ES384", **json.loads(ECAlgorithm.to_jwk(ES384.public_key()))},
    {"kid": "3", "alg": "HS256", "kty": "oct", "k": "eA"},
    {"kid": "4", "kty": "?"},
    {"kty": "oct"},
    {"kty": "RSA", "alg": "none"},
    {"kty": "RSA", "alg": ["RS256"]},
    {"kty": "RSA", "alg": {}},
    {"kid": "5", "alg": "ES384", **json.loads(ECAlgorithm.to_jwk(ES384))},  # which is private
    "not a key",
]


@pytest.fixture(scope="module")
def issuer(key_set: Callable[[object], str]) -> str:
    return key_set({"keys": KEYS})


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, url: Callable[[str], str], issuer: str) -> Iterator[Service]:
    """A service that trusts the issuer."""
    with serving(tmp_path_factory.mktemp("trusting"), url("shared"), BETTER_AUTH_URL=issuer) as service:
        yield service


class KeyServer(http.server.ThreadingHTTPServer):
    """Serves a key set, as long as it has one, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.keys: list[object] | None = KEYS[:1]
        self.delay = 0.0
        self.fetches = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(http.server.BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.fetches += 1
        time.sleep(self.server.delay)
        self.send_response(200 if self.server.keys and self.path == PATH else 500)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(json.dumps({"keys": self.server.keys}).encode())

    def log_message(self, *_: object) -> None:
        pass


class Clock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The one by which key sets grow old."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def counting() -> Iterator[KeyServer]:
    with KeyServer() as server:
        threading.Thread(target=server.serve_forever, args=[0.05]).start()
        yield server
        server.shutdown()


def status(service: Service, token: str) -> tuple[int, str]:
    with service.client() as client:
        answer = client.get("/api/tasks", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()["detail"] if answer.status_code != 200 else ""


@pytest.mark.proves("BA-2", "BA-4")
@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, ""),
        ({"iss": "{}/"}, ""),
        ({"iss": "{}X"}, "The token's iss claim is not the origin of BETTER_AUTH_URL"),
        ({"aud": "{}/"}, ""),
        ({"aud": ["x", "{}"]}, ""),
        ({"iss": "http://localhost:3000"}, "The token's iss claim is not the origin of BETTER_AUTH_URL"),
        ({"iss": ""}, "The token's iss claim is empty: set baseURL in Better Auth's options"),
        ({"iss": None}, "The token's iss claim is not the origin of BETTER_AUTH_URL"),
        ({"aud": "http://localhost:3000"}, "The token's aud claim is not the origin of BETTER_AUTH_URL"),
        ({"aud": ["x", 1]}, "The token's aud claim is not the origin of BETTER_AUTH_URL"),
        ({"aud": []}, "The token's aud claim is not the origin of BETTER_AUTH_URL"),
        ({"aud": None}, "The token's aud claim is not the origin of BETTER_AUTH_URL"),
        ({"exp": 1}, "The token has expired"),
        ({"sub": ""}, "The token's sub claim is not a user id"),
    ],
)
def test_claims(trusting: Service, issuer: str, claims: dict[str, Any], reason: str) -> None:
    whole = json.loads(json.dumps({**GOOD, "iss": "{}", "aud": "{}"} | claims).replace("{}", issuer))
    unsigned = jwt.PyJWS().encode(json.dumps(whole).encode(), EDDSA, "EdDSA", {"kid": "1"})
    assert status(trusting, unsigned) == (401 if reason else 200, reason)


@pytest.mark.proves("BA-2", "BA-4")
@pytest.mark.parametrize(
    ("key", "algorithm", "key_id", "accepted"),
    [
        (EDDSA, "EdDSA", "1", True),
        (EDDSA, "EdDSA", None, True),  # there is one of its kind
        (ES384, "ES384", "2", True),
        (EDDSA, "EdDSA", "2", False),
        (ES384, "ES384", "1", False),
        (Ed25519PrivateKey.generate(), "EdDSA", "1", False),
        (Ed25519PrivateKey.generate(), "EdDSA", "unknown", False),
        ("x", "HS256", "3", False),
        ("x", "HS256", None, False),
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_keys(trusting: Service, issuer: str, key: Any, algorithm: str, key_id: str | None, accepted: bool) -> None:
    token = jwt.encode(GOOD | {"iss": issuer, "aud": issuer}, key, algorithm, {"kid": key_id} if key_id else None)
    assert status(trusting, token)[0] == (200 if accepted else 401)


@pytest.mark.proves("BA-2", "BA-4")
def test_a_key_of_rsa_is_used_with_the_algorithm_that_it_names(key_set: Callable[[object], str]) -> None:
    key = rsa.generate_private_key(65537, 2048)
    for own, other in (("RS256", "PS256"), ("PS256", "RS256")):
        issuer = key_set({"keys": [{"alg": own, **json.loads(RSAAlgorithm.to_jwk(key.public_key()))}]})
        claims = GOOD | {"iss": issuer, "aud": issuer}
        assert (
            asyncio.run(Verifier(SECRET.encode(), Issuer.better_auth(issuer)).verify(jwt.encode(claims, key, own)))
            == "user"
        )
        with pytest.raises(InvalidToken, match="key set lacks"):
            asyncio.run(
                Verifier(SECRET.encode(), Issuer.better_auth(issuer)).verify(jwt.encode(claims, key, other))
            )


@pytest.mark.proves("BA-4")
def test_what_is_no_public_key_is_passed_over(issuer: str) -> None:
    """A symmetric key least of all is taken: whoever reads the set could sign with it."""
    assert [key.algorithm_name for key in asyncio.run(fetch(issuer + PATH))] == ["EdDSA", "ES384"]


@pytest.mark.proves("BA-4")
@pytest.mark.parametrize(
    ("members", "is_used"),
    [
        ({"use": "sig"}, True),
        ({"use": "enc"}, False),
        ({"use": None}, False),
        ({"key_ops": ["sign", "verify"]}, True),
        ({"key_ops": ["encrypt"]}, False),
        ({"key_ops": []}, False),
        ({"key_ops": None}, False),
        ({"use": "sig", "key_ops": ["wrapKey"]}, False),
        ({"use": "enc", "key_ops": ["verify"]}, False),
    ],
)
def test_a_key_that_is_for_something_else_is_passed_over(
    key_set: Callable[[object], str], members: dict[str, object], is_used: bool
) -> None:
    keys = asyncio.run(fetch(key_set({"keys": [PUBLIC | members]}) + PATH))
    assert [key.key_id for key in keys] == ["1"] * is_used


@pytest.mark.proves("BA-3")
@pytest.mark.parametrize("answer", [{"keys": {}}, [], "x", {}])
def test_what_is_no_key_set_is_none(
    tmp_path: Path, url: Callable[[str], str], key_set: Callable[[object], str], answer: object
) -> None:
    with serving(tmp_path, url("shared"), BETTER_AUTH_URL=key_set(answer)) as service:
        began = time.monotonic()
        assert status(service, make(GOOD, {"alg": "EdDSA"})) == (503, "Better Auth's key set is unavailable")
        assert time.monotonic() - began < 10


@pytest.mark.proves("AUTH-9")
@pytest.mark.parametrize(("lifetime", "remembered"), [(600, 60), (20, 50)])
def test_an_accepted_token_is_remembered(monkeypatch: pytest.MonkeyPatch, lifetime: int, remembered: int) -> None:
    """For a minute, or until it has expired, the leeway included."""
    clock = float(int(time.time()))
    monkeypatch.setattr(time, "time", lambda: clock)
    whole = make(GOOD | {"exp": clock + lifetime})
    verify = Verifier(SECRET.encode()).verify
    assert asyncio.run(verify(whole)) == "user"
    monkeypatch.setattr(verifier_module, "parse_header", None)  # nothing can be verified any more
    clock += remembered - 0.1
    assert asyncio.run(verify(whole)) == "user"
    clock += 0.1
    with pytest.raises(TypeError):
        asyncio.run(verify(whole))


@pytest.mark.proves("AUTH-9", "BA-3")
def test_a_key_that_was_withdrawn_does_not_stay_good(counting: KeyServer, clock: Clock) -> None:
    """The key set is fetched again when it is 5 minutes old, though every key that is asked for is in it."""

    async def live() -> None:
        key_set = KeySet(counting.url + PATH, on_change=lambda: None)
        assert await key_set.find("1", "EdDSA")
        clock.now += 299.9
        assert await key_set.find("1", "EdDSA")
        assert counting.fetches == 1

        counting.keys = None
        clock.now += 0.1
        assert await key_set.find("1", "EdDSA")  # the fetch failed, and the old set is kept
        assert await key_set.find("1", "EdDSA")  # and not fetched again at once
        assert counting.fetches == 2

        counting.keys = KEYS[1:2]
        clock.now += 10
        assert await key_set.find("1", "EdDSA") is None
        assert await key_set.find("2", "ES384")
        assert counting.fetches == 3

    asyncio.run(live())


@pytest.mark.proves("AUTH-9")
def test_a_key_that_was_withdrawn_is_forgotten(key_set: Callable[[object], str]) -> None:
    """A token that names an unknown key has the key set fetched again; the old key is no longer in it."""
    published = {"keys": KEYS[:1]}
    issuer = key_set(published)
    claims = GOOD | {"iss": issuer, "aud": issuer}
    old, unknown = (jwt.encode(claims, EDDSA, "EdDSA", {"kid": kid}) for kid in ("1", "9"))

    async def withdraw() -> None:
        verifier = Verifier(SECRET.encode(), Issuer.better_auth(issuer))
        assert await verifier.verify(old) == "user"
        published["keys"] = KEYS[1:2]
        assert await verifier.verify(old) == "user"
        assert verifier._key_set
        verifier._key_set._next_fetch = 0
        for token in (unknown, old):
            with pytest.raises(tokens.InvalidToken, match="a key that BETTER_AUTH_URL's key set lacks"):
                await verifier.verify(token)

    asyncio.run(withdraw())


@pytest.mark.proves("AUTH-9")
def test_what_is_remembered_is_bounded() -> None:
    """4,096 of 1,024 characters at most."""
    verifier = Verifier(SECRET.encode())
    headers = [{"alg": "HS256", "x": "x" * size} for size in range(3)]
    many = [make(GOOD | {"x": "x" * size}, header) for size in range(620, 720) for header in headers]
    by_length = {len(token): token for token in many}

    async def live() -> None:
        for number in range(4096):
            await verifier.verify(make(GOOD | {"jti": number}))
        assert len(verifier._cache) == 4096
        for length, total in (1025, 4096), (1024, 1), (1025, 1):
            await verifier.verify(by_length[length])
            assert len(verifier._cache) == total

    asyncio.run(live())


@pytest.mark.proves("BA-4", "BA-5", "AUTH-7", "DOC-1")
def test_the_reasons_are_the_ones_that_are_explained(
    service: Service, trusting: Service, tmp_path: Path, url: Callable[[str], str], issuer: str
) -> None:
    page = (Path(__file__).parent.parent / "docs" / "better-auth.md").read_text()
    rows = page.split("| `detail` | cause | fix |", 1)[1].splitlines()[2:]
    with serving(tmp_path, url("shared"), BETTER_AUTH_SECRET="", BETTER_AUTH_URL=issuer) as keyless:
        rejected = [
            (service, "undefined"),
            (service, "a-session-token"),
            (service, make({"exp": GOOD["exp"], "session": {}})),
            (service, make(GOOD | {"exp": 1})),
            (service, make(GOOD, secret=SECRET + "x")),
            (service, jwt.encode(GOOD, EDDSA, "EdDSA")),
            (keyless, make(GOOD)),
            (trusting, jwt.encode(GOOD, EDDSA, "EdDSA", {"kid": "unknown"})),
            (trusting, jwt.encode(GOOD, EDDSA, "EdDSA", {"kid": "1"})),
            (trusting, jwt.encode(GOOD | {"iss": ""}, EDDSA, "EdDSA", {"kid": "1"})),
        ]
        seen = [status(*one) for one in rejected]
    with service.client() as client:
        answers = [client.get("/api/tasks", headers=fields) for fields in ({}, {"Authorization": "x"})]
    without_token = [(answer.status_code, answer.json()["detail"]) for answer in answers]
    details = [html.unescape(row.split(" | ")[0].strip("| ")) for row in rows]
    assert without_token + seen == [(401, detail) for detail in details]


@pytest.mark.proves("BA-3")
def test_a_key_set_is_fetched_once_for_all_who_wait(counting: KeyServer) -> None:
    async def find_at_once() -> list[jwt.PyJWK | None]:
        key_set = KeySet(counting.url + PATH, on_change=lambda: None)
        return await asyncio.gather(*(key_set.find("1", "EdDSA") for _ in range(20)))

    assert all(asyncio.run(find_at_once()))
    assert counting.fetches == 1


@pytest.mark.proves("BA-3")
def test_a_key_set_is_fetched_again_for_an_unknown_key_and_not_too_often(counting: KeyServer, clock: Clock) -> None:
    async def live() -> None:
        key_set = KeySet(counting.url + PATH, on_change=lambda: None)
        assert await key_set.find("1", "EdDSA")
        assert await key_set.find("2", "ES384") is None
        counting.keys = KEYS[:2]
        clock.now += 9.9
        assert await key_set.find("2", "ES384") is None
        assert counting.fetches == 1
        clock.now += 0.1
        assert await key_set.find("2", "ES384")
        assert counting.fetches == 2

        counting.keys = None
        clock.now += 10
        assert await key_set.find("3", "ES256") is None  # the fetch failed, and the old set is kept
        assert await key_set.find("3", "ES256") is None  # and not fetched again at once
        assert await key_set.find("2", "ES384")
        assert counting.fetches == 3

    asyncio.run(live())


@pytest.mark.proves("BA-3")
def test_without_a_key_set_there_is_a_503_and_then_recovery(
    counting: KeyServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    counting.keys = None

    async def live() -> None:
        key_set = KeySet(counting.url + PATH, on_change=lambda: None)
        for _ in range(3):
            with pytest.raises(KeySetUnavailable) as refusal:
                await key_set.find("1", "EdDSA")
            assert refusal.value.headers == {"Retry-After": "1"}
        assert counting.fetches == 1
        counting.keys = KEYS[:1]
        clock.now += 0.9
        with pytest.raises(KeySetUnavailable):
            await key_set.find("1", "EdDSA")
        assert counting.fetches == 1
        clock.now += 0.1
        assert await key_set.find("1", "EdDSA")

    asyncio.run(live())
    assert f"Could not fetch the key set {counting.url}{PATH}: the answer has status 500" in caplog.text
    assert "\n" not in caplog.messages[0]


@pytest.mark.proves("BA-3")
def test_what_is_wrong_is_logged_when_it_changes(
    counting: KeyServer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """And not at each of the fetches, which there may be one of a second."""

    async def live() -> None:
        key_set = KeySet(counting.url + PATH, on_change=lambda: None)
        for keys in (None, None, KEYS, None):
            counting.keys = keys
            clock.now += 10
            with contextlib.suppress(KeySetUnavailable):
                await key_set.find("unknown", "EdDSA")

    asyncio.run(live())
    assert len(caplog.messages) == 2
    assert counting.fetches == 4


@pytest.mark.proves("BA-3")
def test_a_key_set_that_is_slow_at_first_is_fetched_in_the_background(
    counting: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request waits for a part of it, the next one for the rest."""
    assert (keyset.JWKS_WAIT, keyset.JWKS_TIMEOUT) == (8, 60)
    monkeypatch.setattr(keyset, "JWKS_WAIT", 0.5)
    counting.delay = 0.8

    async def live() -> None:
        key_set = KeySet(counting.url + PATH, on_change=lambda: None)
        with pytest.raises(KeySetUnavailable):
            await key_set.find("1", "EdDSA")
        assert await asyncio.gather(*(key_set.find("1", "EdDSA") for _ in range(5)))

    asyncio.run(live())
    assert counting.fetches == 1


@pytest.mark.proves("BA-3")
def test_a_request_that_is_cancelled_leaves_the_fetch_to_the_others(counting: KeyServer) -> None:
    counting.delay = 0.3

    async def live() -> None:
        key_set = KeySet(counting.url + PATH, on_change=lambda: None)
        first, second = (asyncio.create_task(key_set.find("1", "EdDSA")) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        assert await second
        assert first.cancelled()

    asyncio.run(live())
    assert counting.fetches == 1


@pytest.mark.proves("BA-3")
def test_an_old_key_set_that_does_not_come_again_holds_nobody_up(
    counting: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request that asks for it anew waits a little, the others not at all; the old key goes on being good."""
    assert keyset.STALE_WAIT == 2
    monkeypatch.setattr(keyset, "STALE_WAIT", 0.2)

    async def live() -> None:
        key_set = KeySet(counting.url + PATH, on_change=lambda: None)
        assert await key_set.find("1", "EdDSA")
        counting.delay = 1
        key_set._stale_at = key_set._next_fetch = 0.0
        for least, most in (0.2, 0.7), (0, 0.1), (0, 0.1):
            began = time.monotonic()
            assert await key_set.find("1", "EdDSA")
            assert least <= time.monotonic() - began < most

    asyncio.run(live())
    assert counting.fetches == 2


@pytest.mark.proves("BA-3")
def test_a_bug_in_the_fetch_is_not_an_unavailable_key_set(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(url: str) -> list[jwt.PyJWK]:
        raise AssertionError(url)

    monkeypatch.setattr(keyset, "fetch", fail)
    with pytest.raises(AssertionError, match="somewhere"):
        asyncio.run(KeySet("somewhere", on_change=lambda: None).find("1", "EdDSA"))


@pytest.mark.proves("BA-3")
@pytest.mark.parametrize(
    ("error", "raised", "text"),
    [
        (httpx2.HTTPError("the first\nthe second"), NoKeySet, "^the first$"),
        (ExceptionGroup("a bug", [AssertionError()]), ExceptionGroup, "^a bug"),
    ],
)
def test_a_reason_is_one_line_and_a_bug_is_none(
    monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type[Exception], text: str
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(httpx2.AsyncClient, "get", fail)
    with pytest.raises(raised, match=text):
        asyncio.run(fetch("http://localhost"))


@pytest.mark.proves("BA-3", "AUTH-9")
@pytest.mark.parametrize("key_id", ["1", None])
def test_a_key_id_that_comes_again_with_another_key(counting: KeyServer, clock: Clock, key_id: str | None) -> None:
    """As with serial ids, which begin at 1 in every new database. The old key is good no longer, cached or not."""
    new = Ed25519PrivateKey.generate()
    claims = GOOD | {"iss": counting.url, "aud": counting.url}
    header = {"kid": key_id} if key_id else None
    of_old, of_new = (jwt.encode(claims, key, "EdDSA", header) for key in (EDDSA, new))

    async def live() -> None:
        verifier = Verifier(SECRET.encode(), Issuer.better_auth(counting.url))
        assert await verifier.verify(of_old) == "user"
        counting.keys = [{"kid": "1", "alg": "EdDSA", **json.loads(OKPAlgorithm.to_jwk(new.public_key()))}]
        clock.now += 9.9
        for _ in range(3):
            with pytest.raises(InvalidToken, match="signature does not match its key"):
                await verifier.verify(of_new)
        assert counting.fetches == 1
        clock.now += 0.1
        assert await verifier.verify(of_new) == "user"
        for _ in range(3):
            with pytest.raises(InvalidToken, match="signature does not match its key"):
                await verifier.verify(of_old)
        assert counting.fetches == 2

        clock.now += 10
        with pytest.raises(InvalidToken, match="signature does not match its key"):
            await verifier.verify(of_old)
        assert counting.fetches == 3

    asyncio.run(live())


@pytest.mark.proves("BA-3")
def test_a_key_that_is_gone_when_its_signature_did_not_match(counting: KeyServer, clock: Clock) -> None:
    forged = jwt.encode(GOOD, Ed25519PrivateKey.generate(), "EdDSA", {"kid": "1"})

    async def live() -> None:
        verifier = Verifier(SECRET.encode(), Issuer.better_auth(counting.url))
        for keys in KEYS[:1], KEYS[1:2]:
            counting.keys = keys
            clock.now += 10
            with pytest.raises(InvalidToken, match="signature does not match its key"):
                await verifier.verify(forged)

    asyncio.run(live())


@pytest.mark.proves("BA-3")
def test_a_request_waits_for_a_key_set_once(counting: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a fetch because the set is old, and for the same one because a signature does not match."""
    monkeypatch.setattr(keyset, "STALE_WAIT", 0.6)
    for module in (keyset, verifier_module):
        monkeypatch.setattr(module, "JWKS_WAIT", 1.0)
    good, forged = (jwt.encode(GOOD, key, "EdDSA", {"kid": "1"}) for key in (EDDSA, Ed25519PrivateKey.generate()))

    async def live() -> None:
        verifier = Verifier(SECRET.encode(), Issuer.better_auth(counting.url))
        with pytest.raises(InvalidToken, match="iss claim"):
            await verifier.verify(good)
        assert verifier._key_set
        verifier._key_set._stale_at = verifier._key_set._next_fetch = 0.0
        counting.delay = 3
        began = time.monotonic()
        with pytest.raises(KeySetUnavailable):
            await verifier.verify(forged)
        assert 0.9 < time.monotonic() - began < 1.4  # and 1.6 if it waited twice

    asyncio.run(live())
    assert counting.fetches == 2


@pytest.mark.proves("BA-3", "DATA-5")
def test_a_503_comes_within_10_seconds_after_a_wait_for_the_key_set(
    tmp_path: Path, counting: KeyServer, proxy: Proxy
) -> None:
    """Also where the database takes its time after that."""
    token = jwt.encode(GOOD | {"iss": counting.url, "aud": counting.url}, EDDSA, "EdDSA", {"kid": "1"})
    counting.delay = 5
    with serving(tmp_path, proxy.url("shared"), BETTER_AUTH_URL=counting.url) as service:
        proxy.stall()
        began = time.monotonic()
        assert status(service, token) == (503, "Database unavailable")
        assert 5 < time.monotonic() - began < 11  # 9.8, and 12.5 without regard to the wait; 1.2 for a busy machine
        proxy.flow()


NEON_AUTH = Issuer.neon_auth("https://ep-name.neonauth.example/neondb/auth")


@pytest.mark.proves("BA-10")
@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, ""),
        ({"aud": "https://ep-name.neonauth.example"}, ""),
        ({"aud": "https://ep-name.neonauth.example/neondb/auth/"}, ""),
        ({"aud": ["x", "https://ep-name.neonauth.example/neondb/auth"]}, ""),
        ({"aud": "https://ep-name.neonauth.example/neondb"}, "aud claim is not NEON_AUTH_BASE_URL or its origin"),
        ({"aud": None}, "aud claim is not NEON_AUTH_BASE_URL or its origin"),
        ({"aud": []}, "aud claim is not NEON_AUTH_BASE_URL or its origin"),
        ({"iss": "https://ep-other.neonauth.example"}, "iss claim is not the origin of NEON_AUTH_BASE_URL"),
        ({"iss": NEON_AUTH.audiences[1]}, "iss claim is not the origin of NEON_AUTH_BASE_URL"),
    ],
)
def test_claims_of_neon_auth(claims: dict[str, Any], reason: str) -> None:
    verifier = Verifier(None, NEON_AUTH)
    assert verifier._key_set
    verifier._key_set._keys = [jwt.PyJWK(cast("dict[str, Any]", KEYS[0]))]
    verifier._key_set._stale_at = math.inf
    whole = json.dumps(GOOD | {"iss": NEON_AUTH.issuer} | claims).encode()
    token = jwt.PyJWS().encode(whole, EDDSA, "EdDSA", {"kid": "1"})
    with pytest.raises(InvalidToken, match=reason) if reason else contextlib.nullcontext():
        assert asyncio.run(verifier.verify(token)) == "user"


@pytest.mark.proves("BA-10", "AUTH-4")
def test_hs256_is_rejected_without_a_secret() -> None:
    """Not even a token that is signed with nothing is accepted."""
    for secret in (SECRET, "", "None"):
        with pytest.raises(InvalidToken, match="signed with HS256, which needs BETTER_AUTH_SECRET"):
            asyncio.run(Verifier(None, NEON_AUTH).verify(make(GOOD, secret=secret)))


@pytest.mark.proves("BA-3")
def test_a_key_set_that_does_not_come_is_not_waited_for(
    counting: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "JWKS_TIMEOUT", 0.2)
    counting.delay = 3
    with pytest.raises(NoKeySet, match=r"^no answer in time$"):
        asyncio.run(fetch(counting.url + PATH))


@pytest.mark.proves("BA-3")
def test_a_host_that_does_not_accept_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keyset.CONNECT_TIMEOUT == 10
    monkeypatch.setattr(keyset, "CONNECT_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as clients:
        for _ in range(3):  # what its queue holds, and more
            clients.enter_context(client := socket.socket()).setblocking(False)
            client.connect_ex(server.getsockname())
        began = time.monotonic()
        with pytest.raises(NoKeySet, match=r"^no answer in time$"):
            asyncio.run(fetch(f"http://127.0.0.1:{server.getsockname()[1]}"))
        assert time.monotonic() - began < 3


@pytest.mark.proves("BA-3")
def test_the_timeouts_together_keep_the_promise() -> None:
    """A request may wait for the key set, then for the database, and then for the statement to stop."""
    for waited in (0.0, 1.0, keyset.STALE_WAIT, keyset.JWKS_WAIT, keyset.JWKS_WAIT + 0.3):
        left = timeouts.time_left(waited)
        assert 0 <= left <= timeouts.DATABASE_TIMEOUT
        assert waited + left + timeouts.CANCEL_TIMEOUT < 10


@pytest.mark.proves("BA-3")
@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", "^HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY cannot be used$"),
        ("SSL_CERT_FILE", "/nowhere", r"^SSL_CERT_FILE cannot be used: \[Errno 2\] No such file or directory$"),
    ],
)
def test_a_proxy_or_certificates_that_are_not_there_are_told(
    monkeypatch: pytest.MonkeyPatch, issuer: str, variable: str, value: str, reason: str
) -> None:
    """httpx2 reads them in the environment."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(NoKeySet, match=reason):
        asyncio.run(fetch(issuer + PATH))


@pytest.mark.proves("BA-3")
@pytest.mark.parametrize("url", ["http://1.2.3.999", "http://xn--a", "http://localhost.invalid"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(NoKeySet):
        asyncio.run(fetch(url + PATH))


@pytest.mark.proves("BA-3")
@pytest.mark.parametrize(
    ("answer", "reason"), [(b"[" * 100_000, "nested too deep"), (b'{"keys": NaN}', "NaN is not JSON")]
)
def test_what_is_no_json_to_the_letter_is_told(
    key_set: Callable[[object], str], answer: bytes, reason: str
) -> None:
    with pytest.raises(NoKeySet, match=f"^the answer is not JSON: {reason}$"):
        asyncio.run(fetch(key_set(answer) + PATH))


@pytest.mark.proves("BA-3")
@pytest.mark.parametrize("answer", [{"keys": {}}, [], "x", {}])
def test_what_is_no_key_set_is_told(key_set: Callable[[object], str], answer: object) -> None:
    with pytest.raises(NoKeySet, match=r"^the answer is not a JSON Web Key Set$"):
        asyncio.run(fetch(key_set(answer) + PATH))


@pytest.mark.proves("BA-4")
def test_two_keys_of_one_algorithm_are_told_apart_by_their_id(key_set: Callable[[object], str]) -> None:
    other = {**KEYS[0], "kid": "other"} if isinstance(KEYS[0], dict) else {}
    keys = KeySet(key_set({"keys": [*KEYS, other]}) + PATH, on_change=lambda: None)
    assert asyncio.run(keys.find("other", "EdDSA"))
    assert asyncio.run(keys.find(None, "EdDSA")) is None
    assert asyncio.run(keys.find(None, "ES384"))


@pytest.mark.proves("BA-3")
def test_a_token_is_not_rejected_while_its_key_may_be_on_the_way(
    counting: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 401 would sign the user out."""
    monkeypatch.setattr(keyset, "JWKS_WAIT", 0.3)
    monkeypatch.setattr(keyset, "COOLDOWN", 0.0)

    async def live() -> None:
        key_set = KeySet(counting.url + PATH, on_change=lambda: None)
        old = await key_set.find("1", "EdDSA")
        counting.delay = 1
        for key_id, known in (("unknown", None), ("1", old)):
            with pytest.raises(KeySetUnavailable):
                await key_set.find(key_id, "EdDSA", newer_than=known)
        monkeypatch.undo()
        assert await key_set.find("unknown", "EdDSA") is None

    asyncio.run(live())
