"""The form and the header of a token, before it is verified; and signing one."""

import base64
import re
import time
from typing import Any

from todo_backend.http import strict_json

HMAC = "HS256"
ASYMMETRIC = ("EdDSA", "ES256", "ES384", "ES512", "RS256", "PS256")

MAX_TOKEN_BYTES = 8 * 1024
MAX_USER_ID_LENGTH = 255

_UNFIT_FOR_USER_ID = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, lone surrogates

_MALFORMED = "The token is not a well-formed JWT"

TYPES = ("jwt", "at+jwt")
SESSION_COOKIE_TYPE = "better-auth.session-cache+jwt"  # of Better Auth 1.7 with sessionCookieCache

SEND_THE_JWT = "send the token of authClient.token()"
SESSION_COOKIE = f"The token is Better Auth's session cookie: {SEND_THE_JWT}"


class InvalidToken(Exception):
    """A token that is not accepted; its text is the reason, one ASCII sentence that never quotes the token.

    Args:
        hint: how to fix it: a key of todo_backend.cli.token_hints.HINTS.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def sign(user_id: str, *, secret: bytes, lifetime: int) -> str:
    """Return a token for a user, with the claims that are required.

    Args:
        lifetime: seconds until it expires.
    """
    import jwt  # and with it cryptography, 10 MB that a service without a key set does not need

    now = int(time.time())
    return jwt.encode({"sub": user_id, "iat": now, "exp": now + lifetime}, secret, HMAC)


def parse_header(token: str) -> dict[str, Any]:
    """Return the header of a token that is not verified yet.

    Raises:
        InvalidToken: it is not a JWT in the compact form of RFC 7515, or has a header that is not supported.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise InvalidToken(f"The token is longer than {MAX_TOKEN_BYTES // 1024} KiB", "size")
    if not token:
        raise InvalidToken("The token is empty", "empty")
    if token in ("undefined", "null"):  # data?.token and String(data) in JavaScript, without data
        reason = "The token is the word undefined or null: nobody is signed in, or authClient.token() failed"
        raise InvalidToken(reason, "empty")
    if token[:7].lower() == "bearer ":
        raise InvalidToken("The token begins with the word Bearer, which belongs before it once", "bearer")
    if token[:1] in ("'", '"'):
        raise InvalidToken("The token has quotation marks around it", "quotes")
    if token.count(".") != 2:
        raise InvalidToken(f"The token is not a JWT: {SEND_THE_JWT}, not the session token", "client")
    header = _parse_part(token.partition(".")[0])
    # A key id is text (RFC 7515, section 4.1.4), and claims are encoded (RFC 7797, section 3).
    if not (
        isinstance(header, dict) and isinstance(header.get("kid", ""), str) and header.get("b64", True) is True
    ):
        raise InvalidToken(_MALFORMED, "malformed")
    if "crit" in header:
        raise InvalidToken("The token has a crit header, which is not supported", "crit")
    if "typ" in header:
        _check_type(header["typ"])
    return header


def parse_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token whose header has been parsed.

    Raises:
        InvalidToken: they are not a JSON object.
    """
    claims = _parse_part(token.split(".")[1])
    if not isinstance(claims, dict):
        raise InvalidToken("The token's payload is not a JSON object", "malformed")
    return claims


def decode_part(part: str) -> bytes:
    """Return the bytes of the header, the claims or the signature (RFC 7515, appendix C).

    Raises:
        InvalidToken: it is not base64url, in the one form that these bytes have.
    """
    try:
        decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise InvalidToken(_MALFORMED, "malformed") from None
    if base64.urlsafe_b64encode(decoded).decode().rstrip("=") != part:
        raise InvalidToken(_MALFORMED, "malformed")
    return decoded


def _parse_part(part: str) -> Any:
    try:
        return strict_json.loads(decode_part(part))
    except ValueError:
        raise InvalidToken(_MALFORMED, "malformed") from None


def _check_type(value: object) -> None:
    """Reject a token that is meant for another purpose (RFC 8725, section 3.11; RFC 7515, section 4.1.9)."""
    name = value.lower().removeprefix("application/") if isinstance(value, str) else None
    if name == SESSION_COOKIE_TYPE:
        raise InvalidToken(SESSION_COOKIE, "client")
    if name not in TYPES:
        raise InvalidToken("The token has a typ header that is not JWT", "type")


def is_user_id(value: object) -> bool:
    """Tell whether a `sub` claim can be a user: 1 to 255 characters, no control character, no lone surrogate."""
    return (
        isinstance(value, str) and 0 < len(value) <= MAX_USER_ID_LENGTH and _UNFIT_FOR_USER_ID.search(value) is None
    )
