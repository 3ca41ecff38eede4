"""What the values of variables have to be, DATABASE_URL aside."""

import re
from urllib.parse import urlsplit

from pydantic import SecretStr

# Shorter HS256 keys are refused: RFC 7518, section 3.2.
SECRET_MIN_BYTES = 32

_ORIGIN = r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"


def valid_secret(secret: SecretStr) -> SecretStr:
    try:
        length = len(secret.get_secret_value().encode())
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    if length < SECRET_MIN_BYTES:
        raise ValueError(f"is too short, {length} bytes")
    if " " in secret.get_secret_value():  # as in every such key
        _refuse_public_key(secret)
    return secret


def _refuse_public_key(secret: SecretStr) -> None:
    """Whoever knows a public key could sign with it (RFC 8725, section 2.1)."""
    from jwt import InvalidKeyError  # and with it cryptography
    from jwt.algorithms import HMACAlgorithm

    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret.get_secret_value())
    except InvalidKeyError:
        raise ValueError("is a key in PEM or SSH form") from None


def valid_url(url: str) -> str:
    """Return the URL with its host in lower case."""
    if not _is_plain_http(url):
        raise ValueError("is not a plain http or https URL")
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.lower()).geturl()


def valid_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them (RFC 6454, section 6.2): lower case, no path, no trailing slash."""
    normal = tuple(origin.strip().rstrip("/").lower() for origin in origins)
    if not normal or not all(re.fullmatch(_ORIGIN, origin, re.ASCII) for origin in normal):
        raise ValueError("holds what is not an origin")
    return tuple(re.sub("^(http://.*):80$|^(https://.*):443$", r"\1\2", origin) for origin in normal)


def _is_plain_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        extra = (
            parts.username is not None or parts.query or parts.fragment or url.strip() != url or not url.isascii()
        )
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not extra
    except ValueError:
        return False


def comma_separated(value: object) -> object:
    return tuple(part for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value
