"""Rules for the values of variables; DATABASE_URL and CORS_ORIGINS have modules of their own."""

from urllib.parse import urlsplit

from pydantic import SecretStr

# The least for an HS256 key (RFC 7518, section 3.2).
SECRET_MIN_BYTES = 32


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


def _is_plain_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        extra = (
            parts.username is not None or parts.query or parts.fragment or url.strip() != url or not url.isascii()
        )
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not extra
    except ValueError:
        return False


def lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value
