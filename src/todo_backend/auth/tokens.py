"""Signing and verifying the HS256 tokens that Better Auth and this service share a secret for."""

import json
import re
import time
from typing import Any

import jwt

ALGORITHM = "HS256"
LEEWAY = 30  # seconds that the clocks of two machines may differ
MAX_TOKEN_BYTES = 8 * 1024
MAX_USER_ID_LENGTH = 255

# Python's integers and JSON's 1e999 know no bounds; JavaScript's dates end well below this many seconds.
_MAX_NUMERIC_DATE = 2**53

_UNFIT_FOR_USER_ID = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, lone surrogates

_jws = jwt.PyJWS(algorithms=[ALGORITHM])


class InvalidToken(Exception):
    """A token that is not accepted; its text is the reason, one ASCII sentence that never quotes the token."""


def sign(user_id: str, *, secret: bytes, lifetime: float) -> str:
    """Return a token for a user, as Better Auth's `jwt.sign` hook makes it.

    Args:
        lifetime: seconds until it expires.
    """
    now = int(time.time())
    return jwt.encode({"sub": user_id, "iat": now, "exp": now + int(lifetime)}, secret, ALGORITHM)


def verify(token: str, *, secret: bytes) -> str:
    """Return the user id of a token.

    Signature and structure are PyJWT's to judge (RFC 7515), the claims are judged here (RFC 7519): PyJWT lets
    pass a missing `exp`, an empty `sub`, numbers in strings and infinity, and refuses the `aud` that Better Auth
    sets to its own URL, for which the shared secret is proof enough.

    Raises:
        InvalidToken: the token is not accepted.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken(f"The token is longer than {MAX_TOKEN_BYTES // 1024} KiB")
    try:
        decoded = _jws.decode_complete(token, secret, [ALGORITHM])
        claims = json.loads(decoded["payload"])
    except jwt.InvalidAlgorithmError:
        raise InvalidToken(f"The token is not signed with {ALGORITHM}") from None
    except jwt.InvalidSignatureError:
        raise InvalidToken("The token's signature does not match BETTER_AUTH_SECRET") from None
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise InvalidToken("The token is not a well-formed JWT") from None
    if "crit" in decoded["header"]:
        raise InvalidToken("The token has a crit header, which is not supported")
    if not isinstance(claims, dict):
        raise InvalidToken("The token's payload is not a JSON object")
    return _judge(claims, now=time.time())


def _judge(claims: dict[str, Any], *, now: float) -> str:
    expires_at = _numeric_date(claims, "exp")
    not_before = _numeric_date(claims, "nbf")
    issued_at = _numeric_date(claims, "iat")
    if expires_at is None:
        raise InvalidToken("The token has no exp claim")
    if now >= expires_at + LEEWAY:
        raise InvalidToken("The token has expired")
    if not_before is not None and now < not_before - LEEWAY:
        raise InvalidToken("The token is not valid yet")
    if issued_at is not None and now < issued_at - LEEWAY:
        raise InvalidToken("The token was issued in the future")
    user_id = claims.get("sub")
    if user_id is None:
        raise InvalidToken("The token has no sub claim")
    if not is_user_id(user_id):
        raise InvalidToken("The token's sub claim is not a user id")
    return str(user_id)


def _numeric_date(claims: dict[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    # NaN compares false with everything, so it is refused here too.
    if type(value) not in (int, float) or not -_MAX_NUMERIC_DATE < value < _MAX_NUMERIC_DATE:
        raise InvalidToken(f"The token's {name} claim is not a time")
    return float(value)


def is_user_id(value: object) -> bool:
    """Tell whether a `sub` claim can be a user: 1 to 255 characters, no control character, no lone surrogate."""
    return (
        isinstance(value, str) and 0 < len(value) <= MAX_USER_ID_LENGTH and _UNFIT_FOR_USER_ID.search(value) is None
    )
