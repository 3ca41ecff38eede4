"""`todo-backend check` on the key set and on a token, and how to fix what is wrong with them."""

import json
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import jwt

from todo_backend.auth.keyset import KeySetUnavailable, NoKeySet, fetch
from todo_backend.auth.tokens import InvalidToken
from todo_backend.auth.verifier import Verifier
from todo_backend.cli.check_result import CheckResult
from todo_backend.settings.issuer import Issuer

MAX_SHOWN = 200  # characters of a claim
MAX_SECONDS = 1e11  # a time beyond this counts milliseconds

SIGN_HS256 = """\
    import { SignJWT } from "jose";

    const secret = new TextEncoder().encode(process.env.BETTER_AUTH_SECRET);

    jwt({
      // The plugin insists on both where there is a `sign`; neither is used to sign.
      jwks: { remoteUrl: "https://unused.example", keyPairConfig: { alg: "ES256" } },
      jwt: {
        sign: (payload) => new SignJWT(payload).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(secret),
      },
    }),"""

# How to fix a token that is refused. In braces: what the token says, and what is expected.
HINTS = {
    "algorithm": f"""\
If the jwt plugin signs as it comes, set BETTER_AUTH_URL in .env to the frontend's address,
such as http://localhost:3000, so that its key set is used; or NEON_AUTH_BASE_URL, if it is Neon Auth.
Or let the plugin sign with the shared secret. In auth.ts:

{SIGN_HS256}""",
    "audience": """\
The token has aud {aud}, and {expected} is expected.
Set BETTER_AUTH_URL in .env to Better Auth's baseURL. If the jwt plugin's options in auth.ts have `audience`,
leave it out there, or set BETTER_AUTH_AUDIENCE in .env to the same.""",
    "base url": """\
Set baseURL in auth.ts: without it, auth.api.getToken() in a server component signs an empty iss.

    betterAuth({ baseURL: process.env.BETTER_AUTH_URL, ... })""",
    "bearer": """\
The header is `Authorization: Bearer TOKEN`, with the word Bearer once; --token takes TOKEN alone.""",
    "claims": """\
Where the jwt plugin has a `sign`: sign the whole payload that it gets, with new SignJWT(payload).
Where your own route signs:

    new SignJWT()
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(String(session.user.id))
      .setIssuedAt()
      .setExpirationTime("15m")
      .sign(secret);""",
    "client": """\
In auth.ts: plugins: [jwt()], from "better-auth/plugins".
In auth-client.ts: plugins: [jwtClient()], from "better-auth/client/plugins".
Then: const { data } = await authClient.token(), and send data.token.
Without a user who is signed in, data is null.""",
    "crit": """\
Leave crit out of the token's header: setProtectedHeader in auth.ts.""",
    "expired": """\
Fetch a new one with authClient.token(). If it is new, set the clocks: here it is {now},
and the token expired at {exp}.""",
    "issued later": """\
The token was issued at {begins}, and here it is {now}. Set the clocks of both machines.""",
    "issuer": """\
The token has iss {iss}, and {expected} is expected.
Set BETTER_AUTH_URL in .env to Better Auth's baseURL. If the jwt plugin's options in auth.ts have `issuer`,
leave it out there, or set BETTER_AUTH_ISSUER in .env to the same.""",
    "key set": """\
Set {variable} in .env to the Better Auth that signed the token.
After a change of its keys, try again in ten seconds.""",
    "malformed": """\
Copy the token whole, and nothing else: three parts of letters, digits, - and _, with a dot between them.""",
    "milliseconds": """\
The token's iat or nbf counts milliseconds. The times of a token count seconds: Math.floor(Date.now() / 1000).""",
    "neon": """\
The token has iss {iss} and aud {aud}, and {expected} is expected.
Set NEON_AUTH_BASE_URL in .env to the Auth URL of the Neon project that signed the token.""",
    "no secret": """\
Set BETTER_AUTH_SECRET in .env to the one that Better Auth has.""",
    "number": """\
The token expired before it was issued: jwt.expirationTime in auth.ts is a number,
which Better Auth takes for seconds since 1970. Give the time from now on: expirationTime: "15m".""",
    "quotes": """\
Send data.token as it is, not JSON.stringify(data.token), and paste it here without quotation marks.""",
    "secret": """\
Give both sides the same BETTER_AUTH_SECRET, to the letter, and restart both.""",
    "size": """\
Better Auth puts the whole user into the token, a picture included. In auth.ts:

    jwt({ jwt: { definePayload: () => ({}) } }),""",
    "type": """\
The token is made for something else. If you sign it yourself: setProtectedHeader({ alg: "HS256", typ: "JWT" })""",
    "unsupported": f"""\
Let the jwt plugin sign with the shared secret. In auth.ts:

{SIGN_HS256}""",
    "valid later": """\
The token is valid from {begins} on, and here it is {now}. Wait, or leave nbf out of definePayload in auth.ts.
If it should be valid now, set the clocks of both machines.""",
}

# How to fix a key set that cannot be fetched.
KEY_SET_HINTS = {
    "empty": """\
Leave jwks.keyPairConfig out of the jwt plugin's options in auth.ts.""",
    "format": """\
Something else than Better Auth answers there. Set BETTER_AUTH_URL in .env to Better Auth's baseURL.
If it is a page of the application, such as its login: leave /api/auth out of the matcher of
proxy.ts (middleware.ts).""",
    "neon": """\
Paste the Auth URL as Neon gives it into NEON_AUTH_BASE_URL, such as
https://ep-NAME.neonauth.REGION.aws.neon.tech/neondb/auth""",
    "not found": """\
In auth.ts: plugins: [jwt()], from "better-auth/plugins".
If Better Auth is not mounted at /api/auth: set BETTER_AUTH_URL with its path, such as http://localhost:3000/auth.
If the plugin has jwks.jwksPath: set BETTER_AUTH_JWKS_URL to the whole URL.
If the plugin signs HS256 by jwt.sign: it has no key set; leave BETTER_AUTH_URL out, and set BETTER_AUTH_SECRET.""",
    "proxy": """\
The environment has an HTTP proxy. Where it does not lead there, leave the host out of it:
NO_PROXY={host}""",
    "redirect": """\
Redirects are followed within an origin only. Set BETTER_AUTH_URL in .env to the address that answers itself.""",
    "status": """\
Better Auth's own log says why. Without its table jwks, run its migration: npx auth@latest migrate""",
    "unreachable": """\
Start Better Auth, and set BETTER_AUTH_URL in .env to the address where it answers.""",
}


async def check_key_set(issuer: Issuer) -> CheckResult:
    """Say whether there are keys, and if there are none, why and what to do."""
    url = issuer.jwks_url
    try:
        keys = await fetch(url)
    except NoKeySet as error:
        return CheckResult("Key set", False, f"{url}: {error}", _key_set_hint(issuer, error.hint))
    if not keys:
        return CheckResult("Key set", False, f"{url}: no key that can be used", KEY_SET_HINTS["empty"])
    algorithms = ", ".join(key.algorithm_name for key in keys)
    return CheckResult("Key set", True, f"{url}: {algorithms}")


def _key_set_hint(issuer: Issuer, hint: str) -> str:
    parts = urlsplit(issuer.jwks_url)
    host = str(parts.hostname)
    proxies = urllib.request.getproxies()  # as httpx does
    if (parts.scheme in proxies or "all" in proxies) and not urllib.request.proxy_bypass(host):
        return KEY_SET_HINTS["proxy"].format(host=host)
    return KEY_SET_HINTS["neon" if issuer.variable == "NEON_AUTH_BASE_URL" else hint]


async def check_token(token: str, verifier: Verifier) -> CheckResult:
    """Say whose token it is, or why it is refused and what to do."""
    try:
        user_id = await verifier.verify(token)
    except InvalidToken as error:
        return CheckResult("Token", False, str(error), _token_hint(token, error.hint, verifier.issuer))
    except KeySetUnavailable as error:
        return CheckResult("Token", False, error.detail, "See what is said of the key set.")
    seconds = _claims(token)["exp"] - time.time()
    return CheckResult("Token", True, f'for user "{user_id}", good for {max(0, seconds) / 60:.0f} more minutes')


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
    """Return a claim as JSON in ASCII, which no terminal takes for a command."""
    return json.dumps(claim)[:MAX_SHOWN]


def _show_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
