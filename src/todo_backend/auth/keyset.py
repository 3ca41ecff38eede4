"""The key set: the public keys of Better Auth's jwt plugin (RFC 7517)."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from todo_backend.auth.tokens import ASYMMETRIC
from todo_backend.http import strict_json
from todo_backend.http.errors import TodoError

if TYPE_CHECKING:
    import jwt

log = logging.getLogger(__name__)

JWKS_TIMEOUT = 60.0  # seconds for a fetch: `next dev` compiles the route first, which takes 3 to 30
CONNECT_TIMEOUT = 10.0  # seconds of these for the connection
JWKS_WAIT = 8.0  # seconds that a request waits for a fetch
STALE_WAIT = 2.0  # the same for a request whose key is in a set older than MAX_AGE
RETRY_DELAY = 1.0  # seconds between two fetches while there is no key set
COOLDOWN = 10.0  # the same with a key set, so that made-up key ids do not cause requests to Better Auth
MAX_AGE = 300.0  # seconds until a key set is fetched again, so that a withdrawn key does not stay valid
MAX_REDIRECTS = 5

_BAD_PROXIES = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY cannot be used"


class KeySetUnavailable(TodoError):
    status = 503
    detail = "Better Auth's key set is unavailable"


class NoKeySet(Exception):
    """The key set could not be fetched from a URL; the text is the reason, on one line.

    Args:
        hint: how to fix it: a key of todo_backend.cli.token_hints.KEY_SET_HINTS.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


class KeySet:
    """A cached key set. Fetched at first use, for an unknown key, and after MAX_AGE; kept if a fetch fails.

    A fetch continues in the background after a request has stopped waiting for it.

    Args:
        url: the URL of the key set.
        on_change: called after each fetch, which may have brought other keys.
    """

    def __init__(self, url: str, *, on_change: Callable[[], None]) -> None:
        self.url = url
        self._on_change = on_change
        self._keys: list[jwt.PyJWK] | None = None
        self._last_error: str | None = None
        self._fetch: asyncio.Task[None] | None = None
        self._next_fetch = 0.0  # of time.monotonic(), as is the next
        self._stale_at = 0.0

    async def find(
        self,
        key_id: object,
        algorithm: str,
        *,
        deadline: float | None = None,
        newer_than: "jwt.PyJWK | None" = None,
    ) -> "jwt.PyJWK | None":
        """Return the one key of this id, or of any if the token names none, that is for this algorithm.

        Args:
            deadline: until when the request waits for a fetch, in the time of time.monotonic(); JWKS_WAIT from now
                by default.
            newer_than: a key that did not match: the set is fetched again, and None returned if that brings none.

        Raises:
            KeySetUnavailable: no fetch has succeeded yet, or one that may bring the key has not finished.
        """
        deadline = deadline or time.monotonic() + JWKS_WAIT
        key = self._find(key_id, algorithm)
        if key is newer_than:
            await self._refresh(max(0.0, deadline - time.monotonic()))
            key = self._find(key_id, algorithm)
        elif time.monotonic() >= self._stale_at and not self._is_fetching:
            await self._refresh(STALE_WAIT)
            key = self._find(key_id, algorithm)
        if self._keys is None or (key is newer_than and self._is_fetching):
            raise KeySetUnavailable(headers={"Retry-After": str(int(RETRY_DELAY))})
        return None if key is newer_than else key

    @property
    def _is_fetching(self) -> bool:
        return self._fetch is not None and not self._fetch.done()

    def _find(self, key_id: object, algorithm: str) -> "jwt.PyJWK | None":
        found = [
            key
            for key in self._keys or ()
            if key.algorithm_name == algorithm and (key_id is None or key.key_id == key_id)
        ]
        return found[0] if len(found) == 1 else None

    async def _refresh(self, seconds: float) -> None:
        """Start a fetch, unless one is under way or was just done, and wait for it, so many seconds at most."""
        if not self._is_fetching and time.monotonic() < self._next_fetch:
            return
        if not self._fetch or self._fetch.done():
            self._fetch = asyncio.create_task(self._fetch_keys())
        done, _ = await asyncio.wait([self._fetch], timeout=seconds)
        for fetch in done:
            fetch.result()  # raises unexpected errors

    async def _fetch_keys(self) -> None:
        try:
            self._keys = await fetch(self.url)
        except NoKeySet as error:
            if str(error) != self._last_error:  # log it once, not with each retry
                log.warning("Could not fetch the key set %s: %s", self.url, error)
            self._last_error = str(error)
        else:
            self._last_error = None
            self._stale_at = time.monotonic() + MAX_AGE
            self._on_change()
        self._next_fetch = time.monotonic() + (RETRY_DELAY if self._keys is None else COOLDOWN)


async def fetch(url: str) -> "list[jwt.PyJWK]":
    """Return the keys at a URL that can verify tokens; others are passed over (RFC 7517, section 5).

    Raises:
        NoKeySet: there is no answer, or it is not a key set.
    """
    import httpx2  # as large as the rest of auth/, and most deployments have no key set

    try:
        client = httpx2.AsyncClient(timeout=httpx2.Timeout(JWKS_TIMEOUT, connect=CONNECT_TIMEOUT))
    except OSError as error:
        raise NoKeySet(f"SSL_CERT_FILE cannot be used: {_first_line(error)}", "certificates") from error
    except (httpx2.InvalidURL, ImportError, ValueError) as error:  # its text may have a part of a proxy's password
        raise NoKeySet(_BAD_PROXIES, "proxies") from error
    try:
        async with asyncio.timeout(JWKS_TIMEOUT), client:
            response = await client.get(url)
            for _ in range(MAX_REDIRECTS):
                if response.next_request and response.next_request.url.origin == response.url.origin:
                    response = await client.send(response.next_request)
    except ExceptionGroup as error:  # of anyio, for a port over 65535: that of a proxy, because ours was validated
        if error.subgroup(OverflowError) is None:
            raise
        raise NoKeySet(_BAD_PROXIES, "proxies") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        hint = "certificate" if _is_certificate_error(error) else "tls" if "[SSL: " in str(error) else "unreachable"
        raise NoKeySet(_first_line(error) or "no answer in time", hint) from error
    if response.has_redirect_location:
        target = response.next_request.url if response.next_request else "an invalid URL"
        raise NoKeySet(f"it redirects to {target}", "redirect")
    if response.status_code != 200:
        is_this_service = response.headers.get("WWW-Authenticate") == "Bearer"  # see auth/middleware.py
        hint = "itself" if is_this_service else "not found" if response.status_code == 404 else "status"
        raise NoKeySet(f"the answer has status {response.status_code}", hint)
    try:
        answer = strict_json.loads(response.content)
    except ValueError as error:
        raise NoKeySet(f"the answer is not JSON: {_first_line(error)}", "format") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("keys"), list):
        raise NoKeySet("the answer is not a JSON Web Key Set", "format")
    return [key for data in answer["keys"] if (key := _read(data)) is not None]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _is_certificate_error(error: BaseException | None) -> bool:
    """Tell whether it is about the server's certificate; httpx2 raises the same error for a refused connection."""
    return error is not None and (
        isinstance(error, ssl.SSLCertVerificationError)
        or _is_certificate_error(error.__cause__ or error.__context__)
    )


def _read(data: Any) -> "jwt.PyJWK | None":
    import jwt  # and with it cryptography

    try:
        key = jwt.PyJWK(data)
        # RFC 7517, sections 4.2 and 4.3; both are optional.
        verifies = data.get("use", "sig") == "sig" and "verify" in data.get("key_ops", ["verify"])
    except (jwt.PyJWTError, AttributeError, LookupError, RuntimeError, TypeError):
        return None
    # A symmetric or private key in a public key set is no secret: everyone could sign with it.
    return key if verifies and key.algorithm_name in ASYMMETRIC and "d" not in data else None
