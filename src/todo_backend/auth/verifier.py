"""Verification of tokens, with the shared secret or the key set, and the token cache."""

import hmac
import time
from typing import TYPE_CHECKING, Any

from todo_backend.auth.claims import LEEWAY, check_claims
from todo_backend.auth.keyset import JWKS_WAIT, KeySet
from todo_backend.auth.tokens import ASYMMETRIC, HMAC, InvalidToken, decode_part, parse_claims, parse_header
from todo_backend.settings.issuer import Issuer, without_slash

if TYPE_CHECKING:
    import jwt

# Seconds for which an accepted token is cached: clients send the same one for minutes.
CACHE_TTL = 60.0
# Tokens in the cache, each of MAX_CACHED_LENGTH at most: 4 MiB. A full cache is cleared.
CACHE_SIZE = 4096
MAX_CACHED_LENGTH = 1024


class Verifier:
    """Verifies HS256 with the shared secret and the algorithms of a key set with its keys.

    The algorithm decides which, and each key is used with its own algorithm alone, so that a public key is never
    taken for an HMAC secret (RFC 8725, section 3.1).

    Args:
        secret: BETTER_AUTH_SECRET's raw bytes; without it HS256 tokens are rejected.
        issuer: whose key set is trusted; without it tokens with other algorithms are rejected.
    """

    def __init__(self, secret: bytes | None, issuer: Issuer | None = None) -> None:
        self.secret = secret
        self.issuer = issuer
        self._cache: dict[str, tuple[str, float]] = {}  # user id, and until when
        self._key_set = KeySet(issuer.jwks_url, on_change=self._cache.clear) if issuer else None

    async def verify(self, token: str) -> str:
        """Return the id of the user whom the token is for.

        Raises:
            InvalidToken: the token is not accepted.
            KeySetUnavailable: the key set is needed, and cannot be fetched.
        """
        cached = self._cache.get(token)
        if cached and time.time() < cached[1]:
            return cached[0]
        header = parse_header(token)
        algorithm = header.get("alg")
        if algorithm == HMAC:
            claims = self._verify_hmac(token)
        elif algorithm in ASYMMETRIC:
            claims = await self._verify_asymmetric(token, header.get("kid"), algorithm)
        else:
            raise InvalidToken("The token's algorithm is not supported", "unsupported")
        self._cache_token(token, claims)
        user_id: str = claims["sub"]
        return user_id

    def _cache_token(self, token: str, claims: dict[str, Any]) -> None:
        if len(token) <= MAX_CACHED_LENGTH:
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[token] = claims["sub"], min(claims["exp"] + LEEWAY, time.time() + CACHE_TTL)

    def _verify_hmac(self, token: str) -> dict[str, Any]:
        """Ignore `iss` and `aud`: Better Auth puts its own URL there, and the shared secret is the proof."""
        if self.secret is None:
            raise InvalidToken("The token is signed with HS256, which needs BETTER_AUTH_SECRET", "no secret")
        signed, signature = _split(token)
        if not hmac.compare_digest(signature, hmac.digest(self.secret, signed, "sha256")):  # RFC 7518, section 3.2
            raise InvalidToken("The token's signature does not match BETTER_AUTH_SECRET", "secret")
        claims = parse_claims(token)
        check_claims(claims, now=time.time())
        return claims

    async def _verify_asymmetric(self, token: str, key_id: object, algorithm: str) -> dict[str, Any]:
        if self.issuer is None or self._key_set is None:
            raise InvalidToken(f"The token is signed with {algorithm}, which needs BETTER_AUTH_URL", "algorithm")
        deadline = time.monotonic() + JWKS_WAIT
        key = await self._key_set.find(key_id, algorithm, deadline=deadline)
        if key is None:
            reason = f"The token is signed with a key that {self.issuer.variable}'s key set lacks"
            raise InvalidToken(reason, "key set")
        while not _is_signed_by(key, token):
            # Key ids come again: with serial ids, those of every new database begin at "1".
            key = await self._key_set.find(key_id, algorithm, deadline=deadline, newer_than=key)
            if key is None:
                raise InvalidToken("The token's signature does not match its key", "key set")
        claims = parse_claims(token)
        check_claims(claims, now=time.time())
        _check_issuer(claims, self.issuer)
        return claims


def _split(token: str) -> tuple[bytes, bytes]:
    """Return what is signed, and the signature (RFC 7515, section 5.2)."""
    signed, _, signature = token.rpartition(".")
    return signed.encode(), decode_part(signature)


def _is_signed_by(key: "jwt.PyJWK", token: str) -> bool:
    signed, signature = _split(token)
    is_signed: bool = key.Algorithm.verify(signed, key.key, signature)
    return is_signed


def _check_issuer(claims: dict[str, Any], issuer: Issuer) -> None:
    """Check who has issued the token, and for whom (RFC 8725, sections 3.8 and 3.9)."""
    claimed = claims.get("iss")
    if claimed == "":  # what auth.api.getToken() signs in a server component
        reason = "The token's iss claim is empty: set baseURL in Better Auth's options"
        raise InvalidToken(reason, "base url")
    if not (isinstance(claimed, str) and without_slash(claimed) == issuer.issuer):
        raise InvalidToken(f"The token's iss claim is not {issuer.issuer_name}", "issuer")
    if "aud" not in claims and not issuer.needs_audience:
        return
    audiences = claims.get("aud")
    if not any(
        isinstance(audience, str) and without_slash(audience) in issuer.audiences
        for audience in (audiences if isinstance(audiences, list) else [audiences])
    ):
        raise InvalidToken(f"The token's aud claim is not {issuer.audience_name}", "audience")
