"""The environment, validated once: docs/spec.md, "Assumptions & Env Vars Usage"."""

import logging
import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import psycopg.conninfo
from jwt import InvalidKeyError
from jwt.algorithms import HMACAlgorithm
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# It warns of lines that it cannot read, which are not always ours.
logging.getLogger("dotenv").setLevel(logging.ERROR)

# Shorter HS256 keys are refused: RFC 7518, section 3.2.
SECRET_MIN_BYTES = 32

REMEDIES = {
    "BETTER_AUTH_SECRET": f"put the frontend's secret, at least {SECRET_MIN_BYTES} bytes long, into .env",
    "BETTER_AUTH_URL": "give Better Auth's base URL, such as http://localhost:3000, or leave it out",
    "CORS_ORIGINS": "give the frontend's origins, such as http://localhost:3000,https://app.example.com",
    "DATABASE_POOL_SIZE": "give a whole number from 1 to 1000, or leave it out",
    "DATABASE_URL": "paste the connection string from Neon, which starts with postgresql://, into .env",
    "LOG_LEVEL": "give debug, info, warning, error or critical, or leave it out",
}


_LABEL = r"[^\W_]([\w-]{0,61}[^\W_])?"
_HOST = rf"({_LABEL}(\.{_LABEL})*\.?)?|[0-9a-fA-F:.%]+"  # a name of labels, or an address
_INTEGERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
)
_CHOICES = {
    "channel_binding": ["disable", "prefer", "require"],
    "sslmode": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    "target_session_attrs": ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"],
}
_ORIGIN = r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"


class CannotStart(Exception):
    """The program ends here; its text is the reason, for people."""

    exit_code = 1


class InvalidSettings(CannotStart):
    """The environment cannot be used; a line a variable names it and says how to mend it, without its value."""

    exit_code = 2


def _database_url(url: SecretStr) -> SecretStr:
    """Accept what libpq accepts, as it stands: nothing is rewritten, so nothing is lost."""
    text = url.get_secret_value()
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("is not a PostgreSQL URL")
    if "USER:PASSWORD@" in text:
        raise ValueError("still is the example's")
    try:
        parameters = psycopg.conninfo.conninfo_to_dict(text)
    except (psycopg.ProgrammingError, UnicodeError):
        # libpq's own message may quote a part of the URL, which holds the password.
        raise ValueError("is not a URL that PostgreSQL's libpq can read") from None
    for name, value in parameters.items():
        if not _is_valid(name, str(value)):
            raise ValueError(
                f"has a bad {name}, perhaps by a character of the password that is not percent-encoded"
            )
    return url


def _is_valid(name: str, value: str) -> bool:
    """Judge what libpq itself judges only when it connects, and then by quoting the value."""
    if name == "host":
        return all(host.startswith("/") or re.fullmatch(_HOST, host) for host in value.split(","))
    if name == "port":
        return all(not port or (port.isdecimal() and 0 < int(port) < 2**16) for port in value.split(","))
    if name in _INTEGERS:
        return re.fullmatch("-?[0-9]{1,9}", value) is not None
    return value in _CHOICES.get(name, [value])


def _secret(secret: SecretStr) -> SecretStr:
    try:
        length = len(secret.get_secret_value().encode())
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8") from None
    if length < SECRET_MIN_BYTES:
        raise ValueError(f"is too short, {length} bytes")
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret.get_secret_value())
    except InvalidKeyError:
        raise ValueError("is a key in PEM or SSH form") from None
    return secret


def _base_url(url: str) -> str:
    """Return the URL without its trailing slash, the form in which issuers are compared."""
    if not _is_plain_http(url):
        raise ValueError("is not a plain http or https URL")
    return url.rstrip("/")


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them (RFC 6454, section 6.2): lower case, no path, no trailing slash."""
    normal = tuple(origin.strip().rstrip("/").lower() for origin in origins)
    if not normal or not all(re.fullmatch(_ORIGIN, origin, re.ASCII) for origin in normal):
        raise ValueError("holds what is not an origin")
    return tuple(re.sub("^(http://.*):80$|^(https://.*):443$", r"\1\2", origin) for origin in normal)


def _is_plain_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        extra = parts.username is not None or parts.query or parts.fragment or url.strip() != url
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not extra
    except ValueError:
        return False


def _comma_separated(value: object) -> object:
    return tuple(part for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class TokenSettings(BaseSettings):
    """What signing and verifying tokens takes. An empty variable counts as one that is not set."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    better_auth_secret: Annotated[SecretStr, AfterValidator(_secret)]
    better_auth_url: Annotated[str, AfterValidator(_base_url)] | None = None

    @property
    def secret(self) -> bytes:
        """The key of HS256."""
        return self.better_auth_secret.get_secret_value().encode()

    @classmethod
    def load(cls) -> Self:
        """Read the process environment, then `.env` in the working folder; the environment wins.

        Raises:
            InvalidSettings: a variable is missing or bad.
        """
        try:
            return cls()
        except ValidationError as error:
            lines = []
            for fault in error.errors(include_input=False, include_url=False):
                name = str(fault["loc"][0]).upper()
                problem = {"missing": "is not set", "value_error": str(fault.get("ctx", {}).get("error"))}
                lines.append(f"{name} {problem.get(fault['type'], 'is not valid')}: {REMEDIES[name]}")
            raise InvalidSettings("\n".join(lines)) from None
        except (OSError, UnicodeError):
            raise InvalidSettings(".env cannot be read: make it a text file in UTF-8, or remove it") from None


class Settings(TokenSettings):
    """What the service takes."""

    database_url: Annotated[SecretStr, AfterValidator(_database_url)]
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_comma_separated), AfterValidator(_origins)
    ] = ("http://localhost:3000",)
    database_pool_size: int = Field(default=10, ge=1, le=1000)
    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)] = "info"
