"""The doctor, `todo-backend check`: what is well, what is not, and what to do about it."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import jwt
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from todo_backend.auth.keyset import JWKS_PATH, KeySetUnavailable, NoKeySet, fetch
from todo_backend.auth.tokens import InvalidToken
from todo_backend.auth.verifier import Verifier
from todo_backend.database.engine import create_engine
from todo_backend.database.migrations import is_current
from todo_backend.database.session import describe
from todo_backend.database.startup import time_limit
from todo_backend.settings import InvalidSettings, Settings, TokenSettings

TIME_LIMIT = 8.0  # seconds for the database
PINGS = 5

CURES = {
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


@dataclass
class Finding:
    """One thing that was looked at.

    Attributes:
        cure: what to do about it, in lines of its own; empty where all is well.
    """

    subject: str
    well: bool
    text: str
    cure: str = ""


async def examine(token: str | None) -> AsyncIterator[Finding]:
    """Yield what is found, with the token if there is one."""
    try:
        settings = Settings.load()
    except InvalidSettings as error:
        for line in str(error).splitlines():
            problem, _, cure = line.partition(": ")
            yield Finding("Settings", False, problem, cure)
    else:
        yield Finding("Settings", True, "every variable is set and valid")
        for finding in await _examine_database(settings.database_url.get_secret_value()):
            yield finding
    try:
        verification = TokenSettings.load()
    except InvalidSettings:
        if token is not None:
            yield Finding("Token", False, "cannot be judged without the settings", "Mend them first.")
    else:
        if verification.better_auth_url:
            yield await _examine_key_set(verification.better_auth_url)
        if token is not None:
            yield await _examine_token(token, Verifier(verification.secret, verification.better_auth_url))


async def _examine_database(url: str) -> list[Finding]:
    engine = create_engine(url, pool_size=1)
    try:
        async with time_limit(asyncio.get_running_loop().time() + TIME_LIMIT), engine.connect() as connection:
            return [finding async for finding in _examine_connection(connection, url)]
    except (DBAPIError, TimeoutError) as error:
        cure = "Look at DATABASE_URL, and whether the server runs and can be reached from here."
        return [Finding("Database", False, describe(error), cure)]
    finally:
        await engine.dispose()


async def _examine_connection(connection: AsyncConnection, url: str) -> AsyncIterator[Finding]:
    raw: Any = (await connection.get_raw_connection()).driver_connection
    version, backend = (
        await connection.execute(text("SELECT current_setting('server_version'), pg_backend_pid()"))
    ).one()
    times = []
    for _ in range(PINGS):
        began = time.perf_counter()
        await connection.execute(text("SELECT 1"))
        times.append(time.perf_counter() - began)
    trip = f"{statistics.median(times) * 1000:.1f} ms a round trip"
    # A pooler makes up the process id that it tells its clients.
    pooled = "-pooler" in raw.info.host or raw.info.backend_pid != backend
    way = "through a pooler" if pooled else "direct"
    yield Finding("Database", True, f"PostgreSQL {version}, {way}, {trip}")

    local = raw.info.host.startswith(("/", "127.")) or raw.info.host in ("localhost", "::1")
    required = conninfo_to_dict(url).get("channel_binding") == "require"
    if raw.pgconn.ssl_in_use:
        binding = "channel binding required and done" if required else "channel binding not required"
        cure = "" if required else "Add channel_binding=require to DATABASE_URL, as Neon gives it."
        yield Finding("Transport", True, f"TLS, {binding}", cure)
    else:
        cure = "" if local else "Add sslmode=require&channel_binding=require to DATABASE_URL."
        yield Finding("Transport", local, "no TLS, on this machine" if local else "no TLS", cure)

    if await connection.run_sync(is_current):
        yield Finding("Schema", True, "up to date")
    else:
        yield Finding("Schema", False, "not up to date", "Start the service, which makes and moves it.")


async def _examine_key_set(base_url: str) -> Finding:
    url = base_url + JWKS_PATH
    try:
        keys = await fetch(url)
    except NoKeySet as error:
        cure = "Start Better Auth with its jwt plugin. Where that signs HS256, leave BETTER_AUTH_URL out."
        return Finding("Key set", False, f"{url}: {error}", cure)
    algorithms = ", ".join(key.algorithm_name for key in keys) or "no key that can be used"
    return Finding(
        "Key set", bool(keys), f"{url}: {algorithms}", "" if keys else "Look at the jwt plugin's options."
    )


async def _examine_token(token: str, verifier: Verifier) -> Finding:
    try:
        user_id = await verifier.verify(token)
    except InvalidToken as error:
        return Finding("Token", False, str(error), CURES[error.cure] if error.cure else "")
    except KeySetUnavailable as error:
        return Finding("Token", False, error.detail, "Start Better Auth.")
    seconds = jwt.decode(token, options={"verify_signature": False})["exp"] - time.time()
    return Finding("Token", True, f'for user "{user_id}", good for {max(0, seconds) / 60:.0f} more minutes')
