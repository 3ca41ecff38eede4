"""What makes a token acceptable, and signing one like it."""

import re
import time
from typing import Any

import jwt

from todo_backend.http import strict_json

HMAC = "HS256"
ASYMMETRIC = ("EdDSA", "ES256", "ES384", "ES512", "RS256", "PS256")

LEEWAY = 30  # seconds that the clocks of two machines may differ
MAX_TOKEN_BYTES = 8 * 1024
MAX_USER_ID_LENGTH = 255

# Python's integers and JSON's 1e999 know no bounds; JavaScript's dates end well below this many seconds.
_MAX_NUMERIC_DATE = 2**53

_UNFIT_FOR_USER_ID = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, lone surrogates

_jws = jwt.PyJWS()

SEND_THE_JWT = "send the token of authClient.token()"


class InvalidToken(Exception):
    """A token that is not accepted; its text is the reason, one ASCII sentence that never quotes the token.

    Args:
        hint: how to fix it: a key of todo_backend.cli.check_token.HINTS.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def sign(user_id: str, *, secret: bytes, lifetime: int) -> str:
    """Return a token for a user, with the claims that are required.

    Args:
        lifetime: seconds until it expires.
    """
    now = int(time.time())
    return jwt.encode({"sub": user_id, "iat": now, "exp": now + lifetime}, secret, HMAC)


def read_header(token: str) -> dict[str, Any]:
    """Return the header of a token, of which nothing is verified yet.

    Raises:
        InvalidToken: it is no JWT in the compact form of RFC 7515, or has a header that is not supported.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken(f"The token is longer than {MAX_TOKEN_BYTES // 1024} KiB", "size")
    if token[:7].lower() == "bearer ":
        raise InvalidToken("The token begins with the word Bearer, which belongs before it once", "bearer")
    if token[:1] in ("'", '"'):
        raise InvalidToken("The token has quotation marks around it", "quotes")
    if token.count(".") != 2:
        raise InvalidToken(f"The token is not a JWT; Better Auth's session token is none: {SEND_THE_JWT}", "client")
    try:
        if "=" in token:  # padding, which PyJWT would forgive
            raise ValueError
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError):
        raise InvalidToken("The token is not a well-formed JWT", "malformed") from None
    if "crit" in header:
        raise InvalidToken("The token has a crit header, which is not supported", "crit")
    return header


def read_claims(token: str, key: bytes | jwt.PyJWK, algorithm: str, *, now: float) -> dict[str, Any]:
    """Return the claims of a token that the key has signed, once they are judged.

    Signature and structure are PyJWT's to judge (RFC 7515), the claims are judged here (RFC 7519): PyJWT lets
    pass a missing `exp`, an empty `sub`, numbers in strings and infinity.

    Args:
        algorithm: the one with which the key is used, whatever the token says.
        now: seconds since the epoch.

    Raises:
        InvalidToken: the token is not accepted.
    """
    try:
        claims = strict_json.loads(_jws.decode(token, key, [algorithm]))
    except jwt.InvalidSignatureError:
        what, hint = ("BETTER_AUTH_SECRET", "secret") if algorithm == HMAC else ("its key", "key set")
        raise InvalidToken(f"The token's signature does not match {what}", hint) from None
    except (jwt.InvalidTokenError, ValueError):
        raise InvalidToken("The token is not a well-formed JWT", "malformed") from None
    if not isinstance(claims, dict):
        raise InvalidToken("The token's payload is not a JSON object", "malformed")
    _judge_times(claims, now)
    _judge_subject(claims)
    return claims


def _judge_times(claims: dict[str, Any], now: float) -> None:
    expires_at = _numeric_date(claims, "exp")
    not_before = _numeric_date(claims, "nbf")
    issued_at = _numeric_date(claims, "iat")
    if expires_at is None:
        raise InvalidToken("The token has no exp claim", "claims")
    if now >= expires_at + LEEWAY:
        raise InvalidToken("The token has expired", "expired")
    if not_before is not None and now < not_before - LEEWAY:
        raise InvalidToken("The token is not valid yet", "valid later")
    if issued_at is not None and now < issued_at - LEEWAY:
        raise InvalidToken("The token was issued in the future", "issued later")


def _judge_subject(claims: dict[str, Any]) -> None:
    user_id = claims.get("sub")
    if user_id is None and "session" in claims:
        raise InvalidToken(
            f"The token has no sub claim, it is Better Auth's session cookie: {SEND_THE_JWT}", "client"
        )
    if user_id is None:
        raise InvalidToken("The token has no sub claim", "claims")
    if not is_user_id(user_id):
        raise InvalidToken("The token's sub claim is not a user id", "claims")


def _numeric_date(claims: dict[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in (int, float) or not -_MAX_NUMERIC_DATE < value < _MAX_NUMERIC_DATE:
        raise InvalidToken(f"The token's {name} claim is not a time", "claims")
    return float(value)


def is_user_id(value: object) -> bool:
    """Tell whether a `sub` claim can be a user: 1 to 255 characters, no control character, no lone surrogate."""
    return (
        isinstance(value, str) and 0 < len(value) <= MAX_USER_ID_LENGTH and _UNFIT_FOR_USER_ID.search(value) is None
    )
