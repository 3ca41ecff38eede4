"""Tokens that an attacker would try: each is a 401 that discloses nothing (RFC 7515, 7519, 7797 and 8725).

What they are made after: the test suites of PyJWT and of jose, and the attacks that RFC 8725 lists.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import math
import socket
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.service import SECRET, Service, serving
from tests.test_auth import GOOD, NOW, encode, make
from todo_backend.auth.tokens import InvalidToken
from todo_backend.auth.verifier import Verifier
from todo_backend.settings.issuer import Issuer

VALID = make(GOOD)
SIGNED, SIGNATURE = VALID.rsplit(".", 1)
WRONG = "a-secret-of-the-stranger-s-own-making"  # made up

STRANGER = Ed25519PrivateKey.generate()
STRANGERS_JWK = {"kty": "oct", "k": encode(WRONG.encode())}


def hs256_of(text: str) -> bytes:
    return hmac.digest(SECRET.encode(), text.encode(), hashlib.sha256)


DIGEST = hs256_of(SIGNED)


def unsigned(header: object, claims: object = GOOD) -> str:
    return f"{encode(header)}.{encode(claims)}."


def hs256(**fields: object) -> dict[str, object]:
    return {"alg": "HS256"} | fields


def signed_by(digest: str, header: object) -> str:
    signed = f"{encode(header)}.{encode(GOOD)}"
    return f"{signed}.{encode(hmac.digest(SECRET.encode(), signed.encode(), digest))}"


def deflated(data: bytes) -> bytes:
    return zlib.compress(data, 9, -15)


# As in RFC 7797: the payload is signed as it is.
UNENCODED = f"{encode(hs256(b64=False, crit=['b64']))}.user"

ALGORITHMS = {
    **{f"unsigned {name!a}": unsigned({"alg": name}) for name in ("none", "None", "NONE", "nOnE", "none ", "")},
    **{f"signed, but {name!a}": make(GOOD, {"alg": name}) for name in ("none", "None", "NONE", "nOnE")},
    "unsigned HS256": unsigned({"alg": "HS256"}),
    "no alg": make(GOOD, {"typ": "JWT"}),
    "no alg, unsigned": unsigned({"typ": "JWT"}),
    "none, after HS256": make(GOOD, b'{"alg": "HS256", "alg": "none"}'),
    "none, before HS256, unsigned": unsigned(b'{"alg": "none", "alg": "HS256"}'),
    "HS256 with a capital member": make(GOOD, {"ALG": "HS256"}),
    "hs256": make(GOOD, {"alg": "hs256"}),
    "HS256 and a space": make(GOOD, {"alg": "HS256 "}),
    "HS256 and NUL": make(GOOD, {"alg": "HS256\x00"}),
    "HS256, full width": make(GOOD, {"alg": "\uff28\uff33\uff12\uff15\uff16"}),
    "HS1": signed_by("sha1", {"alg": "HS1"}),
    "HS384": signed_by("sha384", {"alg": "HS384"}),
    "HS512": signed_by("sha512", {"alg": "HS512"}),
    "HS256 that is SHA-512": signed_by("sha512", hs256()),
    "alg a list": make(GOOD, {"alg": ["HS256"]}),
    "alg a mapping": make(GOOD, {"alg": {"HS256": True}}),
    "alg a number": make(GOOD, {"alg": 256}),
    "alg true": make(GOOD, {"alg": True}),
    "alg null": make(GOOD, {"alg": None}),
    "alg of JWE": make(GOOD, {"alg": "dir", "enc": "A256GCM"}),
    "alg a name of Python's": make(GOOD, {"alg": "__class__"}),
    "ES256K": make(GOOD, {"alg": "ES256K"}),
}

SIGNATURES = {
    "another secret": make(GOOD, secret=WRONG),
    "an empty secret": make(GOOD, secret=""),
    "a secret of one NUL": make(GOOD, secret="\x00"),
    "the secret in upper case": make(GOOD, secret=SECRET.upper()),
    "the secret and a line feed": make(GOOD, secret=SECRET + "\n"),
    "the secret in base64": make(GOOD, secret=base64.b64encode(SECRET.encode()).decode()),
    "no signature": SIGNED + ".",
    "half a signature": f"{SIGNED}.{encode(DIGEST[:16])}",
    "a signature and more": f"{SIGNED}.{encode(DIGEST + bytes(1))}",
    "a signature of zeros": f"{SIGNED}.{encode(bytes(32))}",
    "a signature in hex": f"{SIGNED}.{DIGEST.hex()}",
    "a signature of the payload alone": f"{SIGNED}.{encode(hs256_of(SIGNED.split('.')[1]))}",
    "other claims under the signature": f"{encode(hs256())}.{encode(GOOD | {'sub': 'admin'})}.{SIGNATURE}",
    "another header under the signature": f"{encode(hs256(typ='JWT'))}.{SIGNED.split('.')[1]}.{SIGNATURE}",
}

CRITS: list[object] = [[], ["exp"], ["b64"], "exp", None, {}, [1]]

HEADERS = {
    "header a list": make(GOOD, [{"alg": "HS256"}]),
    "header a string": make(GOOD, "HS256"),
    "header a number": make(GOOD, 256),
    "header null": make(GOOD, b"null"),
    "header empty": make(GOOD, b""),
    "header no JSON": make(GOOD, b"alg=HS256"),
    "header cut off": make(GOOD, b'{"alg": "HS256"'),
    "header and more": make(GOOD, b'{"alg": "HS256"}{}'),
    "header no UTF-8": make(GOOD, b'{"alg": "HS256", "x": "\xff"}'),
    "header nested deep": make(GOOD, b'{"alg": "HS256", "x": ' + b"[" * 5000),
    "header with a number of 5000 digits": make(GOOD, b'{"alg": "HS256", "x": ' + b"9" * 5000 + b"}"),
    **{f"crit {crit!a}": make(GOOD, hs256(crit=crit)) for crit in CRITS},
    "crit that PyJWT understands": make(GOOD, hs256(b64=True, crit=["b64"])),
    "crit in a duplicate member": make(GOOD, b'{"alg": "HS256", "crit": [], "crit": ["x"]}'),
    "b64 false": make(GOOD, hs256(b64=False)),
    "b64 false, no payload": f"{encode(hs256(b64=False))}..{SIGNATURE}",
    "an unencoded payload": f"{UNENCODED}.{encode(hs256_of(UNENCODED))}",
    "a detached payload": f"{SIGNED.split('.')[0]}..{SIGNATURE}",
    "kid a number": make(GOOD, hs256(kid=1)),
    "kid a list": make(GOOD, hs256(kid=["1"])),
    "kid a mapping": make(GOOD, hs256(kid={"1": 1})),
    "kid a path to nothing": make(GOOD, hs256(kid="../../../../dev/null"), secret=""),
    "kid a path to a file": make(GOOD, hs256(kid="file:///proc/sys/kernel/ostype"), secret="Linux\n"),
    "kid SQL": make(GOOD, hs256(kid=f"x' UNION SELECT '{WRONG}' --"), secret=WRONG),
    "kid a command": make(GOOD, hs256(kid="|true"), secret=WRONG),
    "kid huge": make(GOOD, hs256(kid="k" * 5000), secret=WRONG),
    "kid with a lone surrogate": make(GOOD, hs256(kid="\ud800"), secret=WRONG),
    "jwk": make(GOOD, hs256(jwk=STRANGERS_JWK), secret=WRONG),
    "jwk, asymmetric": jwt.encode(
        GOOD, STRANGER, "EdDSA", {"jwk": json.loads(OKPAlgorithm.to_jwk(STRANGER.public_key()))}
    ),
    "x5c": make(GOOD, hs256(x5c=[base64.b64encode(WRONG.encode()).decode()]), secret=WRONG),
    "zip": make(deflated(json.dumps(GOOD).encode()), hs256(zip="DEF")),
    "zip, a bomb": make(deflated(bytes(4_000_000)), hs256(zip="DEF")),
}

NO_TIMES: list[object] = [
    None,
    True,
    "",
    "99999999999",
    "1e99",
    [],
    {},
    math.nan,
    math.inf,
    -math.inf,
    10**400,
    2**53,
    -(2**53),
]
NO_USERS: list[object] = [
    None,
    0,
    1,
    True,
    1.5,
    [],
    ["user"],
    {},
    {"id": "user"},
    "",
    "x" * 256,
    "\ud800",
    "a\udfffb",
]

CLAIMS = {
    "payload a list": make([GOOD]),
    "payload a string": make("user"),
    "payload a number": make(1),
    "payload null": make(b"null"),
    "payload empty": make(b""),
    "payload no JSON": make(b"sub=user"),
    "payload cut off": make(json.dumps(GOOD).encode()[:-1]),
    "payload and more": make(json.dumps(GOOD).encode() + b"{}"),
    "payload no UTF-8": make(b'{"sub": "\xff", "exp": 99999999999}'),
    "payload UTF-16": make(json.dumps(GOOD).encode("utf-16")),
    "payload with a byte order mark": make(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()),
    "payload nested deep": make(b'{"a":' * 1000),
    "payload with NaN": make(GOOD | {"other": math.nan}),
    "payload a token": make(VALID.encode(), hs256(cty="JWT")),
    "payload a token in JSON": make(VALID, hs256(cty="JWT")),
    "sub twice": make(b'{"exp": 99999999999, "sub": "user", "sub": ""}'),
    "exp twice": make(b'{"exp": 99999999999, "sub": "user", "exp": 1}'),
    "no sub": make({"exp": GOOD["exp"]}),
    "no exp": make({"sub": "user"}),
    "SUB": make({"exp": GOOD["exp"], "SUB": "user"}),
    "nothing": make({}),
    "expired": make(GOOD | {"exp": NOW - 60}),
    "expired, in milliseconds' clothes": make(GOOD | {"exp": (NOW - 60) / 1000}),
    "not valid yet": make(GOOD | {"nbf": NOW + 3600}),
    "issued in the future": make(GOOD | {"iat": NOW + 3600}),
    **{f"{name} {value!a:.20}": make(GOOD | {name: value}) for name in ("exp", "nbf", "iat") for value in NO_TIMES},
    "exp 1e999": make(b'{"sub": "user", "exp": 1e999}'),
    "exp of 5000 digits": make(b'{"sub": "user", "exp": ' + b"9" * 5000 + b"}"),
    "exp minus nothing": make(b'{"sub": "user", "exp": -0.0}'),
    **{f"sub {value!a:.20}": make(GOOD | {"sub": value}) for value in NO_USERS},
    **{f"sub with {character!a}": make(GOOD | {"sub": f"user{character}"}) for character in "\x00\n\r\x1b\x7f\x85"},
}

FORMS = {
    "nothing at all": "",
    "one part": "x",
    "a dot": ".",
    "two dots": "..",
    "three dots": "...",
    "a session's token": "f3Vn1yY2c8iM0cJvWzQhL5dK7tR4xB9s.k2Qm",
    "two parts": SIGNED,
    "four parts": VALID + ".x",
    "five parts, as of a JWE": f"{encode({'alg': 'dir', 'enc': 'A256GCM'})}..{encode(bytes(12))}.x.x",
    "a leading dot": "." + VALID,
    "a trailing dot": VALID + ".",
    "no header": f".{encode(GOOD)}.{SIGNATURE}",
    "padding": VALID + "=",
    "padding of each part": ".".join(part + "=" * (-len(part) % 4) for part in VALID.split(".")),
    "much padding": VALID + "====",
    "a space within": VALID.replace(".", ". "),
    "a tab within": VALID.replace(".", ".\t"),
    "a space in a part": VALID[:5] + " " + VALID[5:],
    "characters of no alphabet": VALID[:5] + "!" + VALID[5:],
    "standard base64": f"{SIGNED}.{'/+' * 21}8",
    "another last character of the same meaning": VALID[:-1] + chr(ord(VALID[-1]) + 1),
    "percent-encoded": VALID.replace(".", "%2e"),
    "quoted": f'"{VALID}"',
    "twice": f"{VALID},{VALID}",
    "twice, with the scheme": f"{VALID}, Bearer {VALID}",
    "the scheme twice": f"Bearer {VALID}",
    "JSON": json.dumps(
        {"payload": SIGNED.split(".")[1], "protected": SIGNED.split(".")[0], "signature": SIGNATURE}
    ),
    "no ASCII": VALID + "é",
    "a space of Latin-1": VALID + "\xa0",
    "8193 bytes": "x" * 8193,
    "60 KiB": make(GOOD | {"x": "x" * 45_000}),
    "only dots": "." * 8000,
    "null": "null",
    "undefined": "undefined",
    "[object Object]": "[object Object]",
}

HOSTILE = ALGORITHMS | SIGNATURES | HEADERS | CLAIMS | FORMS


def send(service: Service, token: str) -> httpx2.Response:
    with service.client() as client:
        value = f"Bearer {token}".rstrip(" ").encode("latin-1")
        return client.get("/api/tasks", headers=[(b"Authorization", value)])


def assert_refused(answer: httpx2.Response, token: str) -> None:
    """401 in the contract's form, with a challenge, of which nothing is the token's."""
    assert answer.status_code == 401, answer.text
    [(name, reason)] = answer.json().items()
    assert name == "detail"
    assert answer.headers["WWW-Authenticate"] == f'Bearer error="invalid_token", error_description="{reason}"'
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not any(part in answer.text for part in token.split(".") if len(part) > 20)


@pytest.mark.proves("SEC-1")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_refused(service: Service, name: str) -> None:
    assert_refused(send(service, HOSTILE[name]), HOSTILE[name])


def test_the_tokens_are_hostile_for_one_reason_each(service: Service) -> None:
    """What they are made of is accepted where nothing is wrong with it."""
    for token in (VALID, make(json.dumps(GOOD).encode(), b'{"alg": "HS256"}'), make(GOOD, hs256(kid="1", jku="x"))):
        assert send(service, token).status_code == 200
    assert len(HOSTILE) > 150


KEYS: dict[str, Any] = {
    "EdDSA": Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}
TO_JWK: dict[str, Callable[[Any], str]] = {
    "EdDSA": OKPAlgorithm.to_jwk,
    "ES256": ECAlgorithm.to_jwk,
    "ES512": ECAlgorithm.to_jwk,
    "RS256": RSAAlgorithm.to_jwk,
}
# The key's id is its algorithm.
KEY_SET = {
    "keys": [{**json.loads(TO_JWK[name](key.public_key())), "kid": name, "alg": name} for name, key in KEYS.items()]
}


def forms(name: str) -> dict[str, bytes]:
    """Return the forms in which a public key may be at hand where HMAC wants a secret."""
    key = KEYS[name].public_key()
    spki = PublicFormat.SubjectPublicKeyInfo
    jwk = next(key for key in KEY_SET["keys"] if key["kid"] == name)
    pem = key.public_bytes(Encoding.PEM, spki)
    found = {
        "PEM": pem,
        "PEM without a last line feed": pem.rstrip(b"\n"),
        "PEM with CRLF": pem.replace(b"\n", b"\r\n"),
        "DER": key.public_bytes(Encoding.DER, spki),
        "OpenSSH": key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "JWK": json.dumps(jwk).encode(),
        "compact JWK": json.dumps(jwk, separators=(",", ":")).encode(),
        "key set": json.dumps(KEY_SET).encode(),
        "coordinate in base64url": (jwk.get("x") or jwk["n"]).encode(),
        "coordinate": base64.urlsafe_b64decode((jwk.get("x") or jwk["n"]) + "=="),
    }
    if name == "EdDSA":
        found["raw"] = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    if name.startswith("ES"):
        found["point"] = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if name == "RS256":
        found["PKCS 1"] = key.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    return found


@pytest.fixture(scope="module")
def issuer(key_set: Callable[[object], str]) -> str:
    return key_set(KEY_SET)


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, url: Callable[[str], str], issuer: str) -> Iterator[Service]:
    """A service that has the issuer's key set."""
    with serving(tmp_path_factory.mktemp("trusting"), url("shared"), BETTER_AUTH_URL=issuer) as service:
        yield service


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """A listener that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


def asymmetric(name: str, issuer: str, header: dict[str, object] | None = None, /, **claims: object) -> str:
    """Return a token that is good but for the given header fields and claims; a None leaves the claim out."""
    whole = GOOD | {"iss": issuer, "aud": issuer} | claims
    payload = json.dumps({claim: value for claim, value in whole.items() if value is not None}).encode()
    return jwt.PyJWS().encode(payload, KEYS[name], name, {"kid": name} | (header or {}))


def with_signature(token: str, signature: bytes) -> str:
    return f"{token.rsplit('.', 1)[0]}.{encode(signature)}"


@pytest.mark.proves("SEC-1")
def test_hostile_tokens_are_rejected_beside_a_key_set_too(trusting: Service) -> None:
    for token in HOSTILE.values():
        assert_refused(send(trusting, token), token)


@pytest.mark.proves("SEC-2")
@pytest.mark.parametrize("name", KEYS)
def test_a_public_key_in_no_form_is_a_secret(trusting: Service, issuer: str, name: str) -> None:
    claims = GOOD | {"iss": issuer, "aud": issuer}
    assert send(trusting, asymmetric(name, issuer)).status_code == 200
    for secret in forms(name).values():
        for header in ({"alg": "HS256"}, {"alg": "HS256", "kid": name}, {"alg": name, "kid": name}):
            signed = f"{encode(header)}.{encode(claims)}"
            for digest in ("sha256", "sha384", "sha512"):
                token = f"{signed}.{encode(hmac.digest(secret, signed.encode(), digest))}"
                assert_refused(send(trusting, token), token)


@pytest.mark.proves("SEC-2")
@pytest.mark.parametrize("name", KEYS)
def test_a_signature_is_of_its_own_key_and_algorithm(trusting: Service, issuer: str, name: str) -> None:
    good = asymmetric(name, issuer)
    others = [asymmetric(name, issuer, {"kid": other}) for other in KEYS if other != name]
    algorithms = ("none", "HS256", "PS256", "ES384", *(other for other in KEYS if other != name))
    rest = good.split(".", 1)[1]
    others += [f"{encode({'alg': other, 'kid': name})}.{rest}" for other in algorithms]
    kids: list[object] = ["../keys", "' OR 1=1 --", "", 0, None, [name], "k" * 5000, name.lower(), name + "\x00"]
    others += [f"{encode({'alg': name, 'kid': kid})}.{rest}" for kid in kids]
    # r = s = 0 once was the signature of any message (CVE-2022-21449).
    signatures = [
        b"",
        bytes(32),
        bytes(64),
        bytes(132),
        bytes(256),
        b"\x01" + bytes(63),
        b"\xff" * 64,
        b"0\x06\x02\x01\x01" * 9,
    ]
    others += [with_signature(good, signature) for signature in signatures]
    for token in others:
        assert_refused(send(trusting, token), token)


@pytest.mark.proves("SEC-2")
@pytest.mark.parametrize("claim", ["iss", "aud"])
def test_the_issuer_has_to_be_exactly_better_auth(trusting: Service, issuer: str, claim: str) -> None:
    others: list[object] = [None, "", 1, True, {}, {"0": issuer}, [], [[issuer]], issuer.upper(), issuer + "x"]
    others += [f" {issuer}", f"{issuer}\x00", f"{issuer}@evil.example", issuer.split("//")[1], [None, 1, "x"]]
    for value in others:
        token = asymmetric("EdDSA", issuer, None, **{claim: value})
        assert_refused(send(trusting, token), token)


@pytest.mark.proves("SEC-2")
def test_no_header_makes_the_service_fetch(
    service: Service, trusting: Service, issuer: str, trap: socket.socket
) -> None:
    """The keys of a token come from where the operator said, never from where the token says."""
    there = f"http://127.0.0.1:{trap.getsockname()[1]}/api/auth/jwks"
    own = json.loads(OKPAlgorithm.to_jwk(STRANGER.public_key()))
    for field in ("jku", "x5u", "jwk_url", "iss", "kid", "x5c"):
        header = {"kid": "stranger", "jwk": own} | {field: [there] if field == "x5c" else there}
        for target in (service, trusting):
            for claims in (GOOD, GOOD | {"iss": there.removesuffix("/api/auth/jwks"), "aud": issuer}):
                for token in (
                    jwt.PyJWS().encode(json.dumps(claims).encode(), STRANGER, "EdDSA", header),
                    make(claims, hs256(**header), secret=WRONG),
                ):
                    assert_refused(send(target, token), token)


BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


async def accepted(verifier: Verifier, token: str) -> bool:
    try:
        await verifier.verify(token)
    except InvalidToken:
        return False
    return True


@pytest.mark.proves("SEC-3")
def test_no_character_of_a_token_can_be_another() -> None:
    """Not even one whose bits are not used: of a token there is one spelling."""

    async def try_all() -> set[str]:
        verifier = Verifier(SECRET.encode())
        assert await accepted(verifier, VALID)
        others = (
            VALID[:place] + character + VALID[place + 1 :]
            for place in range(len(VALID))
            for character in BASE64URL + ".=+/ \x00\x7f\xa0\xff"
            if character != VALID[place]
        )
        return {token for token in others if await accepted(verifier, token)}

    assert asyncio.run(try_all()) == set()


characters = st.characters(max_codepoint=0xFF)
edits = st.one_of(
    st.tuples(st.just("replace"), st.floats(0, 1, exclude_max=True), characters),
    st.tuples(st.just("insert"), st.floats(0, 1), characters),
    st.tuples(st.just("delete"), st.floats(0, 1, exclude_max=True), st.just("")),
)


@pytest.mark.proves("SEC-3")
@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA", "ES256", "RS256"])
def test_no_mutation_of_a_token_is_another_users(algorithm: str) -> None:
    public = (
        None if algorithm == "HS256" else jwt.PyJWK(next(key for key in KEY_SET["keys"] if key["kid"] == algorithm))
    )
    verifier = Verifier(SECRET.encode(), Issuer.better_auth("http://issuer.example"))
    assert verifier._key_set
    verifier._key_set._keys = [public] if public else []
    verifier._key_set._next_fetch = verifier._key_set._stale_at = math.inf
    token = VALID if public is None else asymmetric(algorithm, "http://issuer.example")

    async def verify(token: str) -> str | None:
        try:
            return await verifier.verify(token)
        except InvalidToken:
            return None

    @given(st.lists(edits, min_size=1, max_size=3))
    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    def mutate(changes: list[tuple[str, float, str]]) -> None:
        mutant = token
        for kind, where, character in changes:
            place = int(where * len(mutant))
            mutant = mutant[:place] + character + mutant[place + (kind != "insert") :]
        assert runner.run(verify(mutant)) == ("user" if mutant == token else None)

    with asyncio.Runner() as runner:
        assert runner.run(verify(token)) == "user"
        mutate()


@pytest.mark.proves("SEC-3")
def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """hmac.compare_digest is told both signatures whole, and its word is the last: nothing else compares them."""
    compared: list[tuple[bytes, bytes]] = []
    verdict = True

    def compare_digest(given: bytes, right: bytes) -> bool:
        compared.append((given, right))
        return verdict

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    forged = bytes(reversed(DIGEST))
    assert asyncio.run(accepted(Verifier(SECRET.encode()), f"{SIGNED}.{encode(forged)}"))
    verdict = False
    assert not asyncio.run(accepted(Verifier(SECRET.encode()), VALID))
    assert compared == [(forged, DIGEST), (DIGEST, DIGEST)]
