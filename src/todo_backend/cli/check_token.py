"""`todo-backend check` on the key set and on a token, and how to fix what is wrong with them."""

import time

import jwt

from todo_backend.auth.keyset import JWKS_PATH, KeySetUnavailable, NoKeySet, fetch
from todo_backend.auth.tokens import InvalidToken
from todo_backend.auth.verifier import Verifier
from todo_backend.cli.check_result import CheckResult

HINTS = {
    "algorithm": """\
If the jwt plugin signs as it comes, set BETTER_AUTH_URL in .env to the frontend's address,
such as http://localhost:3000, so that its key set is used.
Or let the plugin sign with the shared secret. In auth.ts:

    import { SignJWT } from "jose";

    const secret = new TextEncoder().encode(process.env.BETTER_AUTH_SECRET);

    jwt({
      // The plugin insists on both where there is a `sign`; neither is used to sign.
      jwks: { remoteUrl: "https://unused.example", keyPairConfig: { alg: "ES256" } },
      jwt: {
        sign: (payload) => new SignJWT(payload).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(secret),
      },
    }),""",
    "client": """\
In auth.ts: plugins: [jwt()], from "better-auth/plugins".
In auth-client.ts: plugins: [jwtClient()], from "better-auth/client/plugins".
Then: const { data } = await authClient.token(), and send data.token.""",
    "expired": """\
Fetch a new one with authClient.token(). If it is new, set the clocks.""",
    "issuer": """\
Set BETTER_AUTH_URL in .env to Better Auth's baseURL,
and leave `issuer` and `audience` out of the jwt plugin's options in auth.ts.""",
    "key set": """\
Set BETTER_AUTH_URL in .env to the Better Auth that signed the token.
After a change of its keys, try again in ten seconds.""",
    "secret": """\
Give both sides the same BETTER_AUTH_SECRET, to the letter, and restart both.""",
}


async def check_key_set(base_url: str) -> CheckResult:
    url = base_url + JWKS_PATH
    try:
        keys = await fetch(url)
    except NoKeySet as error:
        hint = "Start Better Auth with its jwt plugin. Where that signs HS256, leave BETTER_AUTH_URL out."
        return CheckResult("Key set", False, f"{url}: {error}", hint)
    algorithms = ", ".join(key.algorithm_name for key in keys) or "no key that can be used"
    return CheckResult(
        "Key set", bool(keys), f"{url}: {algorithms}", "" if keys else "Look at the jwt plugin's options."
    )


async def check_token(token: str, verifier: Verifier) -> CheckResult:
    try:
        user_id = await verifier.verify(token)
    except InvalidToken as error:
        return CheckResult("Token", False, str(error), HINTS[error.hint] if error.hint else "")
    except KeySetUnavailable as error:
        return CheckResult("Token", False, error.detail, "Start Better Auth.")
    seconds = jwt.decode(token, options={"verify_signature": False})["exp"] - time.time()
    return CheckResult("Token", True, f'for user "{user_id}", good for {max(0, seconds) / 60:.0f} more minutes')
