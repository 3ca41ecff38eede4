"""`todo-backend check` on the key set and on a token."""

import json
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import jwt

from todo_backend.auth.claims import LEEWAY
from todo_backend.auth.keyset import KeySetUnavailable, NoKeySet, fetch
from todo_backend.auth.tokens import InvalidToken
from todo_backend.auth.verifier import Verifier
from todo_backend.cli.check_result import CheckResult
from todo_backend.cli.token_hints import HINTS, KEY_SET_HINTS
from todo_backend.settings.issuer import Issuer

MAX_SHOWN = 200  # characters of a claim
MAX_SECONDS = 1e11  # a larger time is in milliseconds


async def check_key_set(issuer: Issuer) -> CheckResult:
    """Fetch the key set, and return its algorithms, or why there are none."""
    url = issuer.jwks_url
    try:
        keys = await fetch(url)
    except NoKeySet as error:
        return CheckResult("Key set", False, f"{url}: {error}", _key_set_hint(issuer, error.hint))
    if not keys:
        return CheckResult("Key set", False, f"{url}: no usable key", KEY_SET_HINTS["empty"])
    algorithms = ", ".join(key.algorithm_name for key in keys)
    return CheckResult("Key set", True, f"{url}: {algorithms}")


def _key_set_hint(issuer: Issuer, hint: str) -> str:
    if hint in ("certificate", "certificates", "proxies", "tls"):
        return KEY_SET_HINTS[hint].format(variable=issuer.variable)
    text = KEY_SET_HINTS["neon" if issuer.variable == "NEON_AUTH_BASE_URL" else hint]
    parts = urlsplit(issuer.jwks_url)
    host = str(parts.hostname)
    proxies = urllib.request.getproxies()  # as httpx2 does
    if (parts.scheme in proxies or "all" in proxies) and not urllib.request.proxy_bypass(host):
        return f"{KEY_SET_HINTS['proxy'].format(host=host)}\n{text}"
    return text


async def check_token(token: str, verifier: Verifier) -> CheckResult:
    """Return whose token it is and how long it is valid, or why it is rejected."""
    try:
        user_id = await verifier.verify(token)
    except InvalidToken as error:
        return CheckResult("Token", False, str(error), _token_hint(token, error.hint, verifier.issuer))
    except KeySetUnavailable as error:
        return CheckResult("Token", False, error.detail, "See the key set above.")
    return CheckResult("Token", True, f'For user "{user_id}", {_validity(_claims(token)["exp"] - time.time())}')


def _validity(seconds: float) -> str:
    if seconds <= 0:
        return f"expired, and still accepted because clocks may differ by {LEEWAY} s"
    return f"valid for another {seconds:.0f} s" if seconds < 120 else f"valid for another {seconds / 60:.0f} min"


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _token_hint(token: str, hint: str, issuer: Issuer | None) -> str:
    if hint in ("expired", "issued later", "valid later"):
        return _time_hint(hint, _claims(token))
    if issuer and hint == "key set":
        return HINTS[hint].format(variable=issuer.variable)
    if issuer and hint in ("issuer", "audience"):
        claims = _claims(token)
        values = {"iss": _show(claims.get("iss")), "aud": _show(claims.get("aud"))}
        expected = _show(issuer.issuer if hint == "issuer" else issuer.audiences[0])
        hint = "neon" if issuer.variable == "NEON_AUTH_BASE_URL" else hint
        return HINTS[hint].format(expected=expected, **values)
    return HINTS[hint]


def _time_hint(hint: str, claims: dict[str, Any]) -> str:
    begins = max(claims.get("iat", 0), claims.get("nbf", 0))
    if hint == "expired" and claims["exp"] < begins:
        hint = "number"
    if hint != "expired" and begins > MAX_SECONDS:
        hint = "milliseconds"
    return HINTS[hint].format(begins=_show_time(begins), exp=_show_time(claims["exp"]), now=_show_time(time.time()))


def _show(claim: object) -> str:
    """Return a claim as JSON in ASCII, without escape sequences for the terminal."""
    return json.dumps(claim)[:MAX_SHOWN]


def _show_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
