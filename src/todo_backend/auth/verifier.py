"""Which key a token is verified with: the shared secret, or one of Better Auth's key set."""

import time
from typing import Any

from todo_backend.auth.keyset import KeySet
from todo_backend.auth.tokens import ASYMMETRIC, HMAC, LEEWAY, InvalidToken, read_claims, read_header

# A token is verified once in so many seconds, and looked up in between: clients send the same one for minutes.
MEMORY = 60.0
# All that are remembered are forgotten when there are so many, of this length at most: 4 MiB.
MAX_KNOWN = 4096
MAX_KNOWN_LENGTH = 1024


class Verifier:
    """Verifies HS256 with the shared secret and, if Better Auth's URL is known, its key set's algorithms.

    The algorithm decides which, and each key is used with its own algorithm alone, so that a public key is never
    taken for an HMAC secret (RFC 8725, section 3.1).

    Args:
        secret: BETTER_AUTH_SECRET's raw bytes.
        better_auth_url: without a trailing slash.
    """

    def __init__(self, secret: bytes, better_auth_url: str | None = None) -> None:
        self.secret = secret
        self.better_auth_url = better_auth_url
        self._known: dict[str, tuple[str, float]] = {}  # user id, and until when
        self.key_set = KeySet(better_auth_url, on_change=self._known.clear) if better_auth_url else None

    async def verify(self, token: str) -> str:
        """Return the id of the user whom the token is for.

        Raises:
            InvalidToken: the token is not accepted.
            KeySetUnavailable: it might be, and the key set is not to be had.
        """
        known = self._known.get(token)
        if known and time.time() < known[1]:
            return known[0]
        header = read_header(token)
        algorithm = header.get("alg")
        if algorithm == HMAC:
            # Better Auth sets iss and aud to its own URL, which need not be known here: the secret is the proof.
            claims = read_claims(token, self.secret, HMAC, now=time.time())
        elif algorithm in ASYMMETRIC:
            claims = await self._read_asymmetric(token, header.get("kid"), algorithm)
        else:
            raise InvalidToken("The token's algorithm is none of those that are accepted", "unsupported")
        self._remember(token, claims)
        user_id: str = claims["sub"]
        return user_id

    def _remember(self, token: str, claims: dict[str, Any]) -> None:
        if len(token) <= MAX_KNOWN_LENGTH:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[token] = claims["sub"], min(claims["exp"] + LEEWAY, time.time() + MEMORY)

    async def _read_asymmetric(self, token: str, key_id: object, algorithm: str) -> dict[str, Any]:
        if self.key_set is None:
            raise InvalidToken(f"The token is signed with {algorithm}, which needs BETTER_AUTH_URL", "algorithm")
        key = await self.key_set.find(key_id, algorithm)
        if key is None:
            raise InvalidToken("The token is signed with a key that BETTER_AUTH_URL's key set lacks", "key set")
        claims = read_claims(token, key, algorithm, now=time.time())
        audience = claims.get("aud")
        if not self._is_better_auth(claims.get("iss")):
            raise InvalidToken("The token's iss claim is not BETTER_AUTH_URL", "issuer")
        if not any(map(self._is_better_auth, audience if isinstance(audience, list) else [audience])):
            raise InvalidToken("The token's aud claim is not BETTER_AUTH_URL", "audience")
        return claims

    def _is_better_auth(self, claim: object) -> bool:
        return isinstance(claim, str) and claim.rstrip("/") == self.better_auth_url
