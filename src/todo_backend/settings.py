"""The environment, validated once: docs/spec.md, "Assumptions & Env Vars Usage"."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import psycopg.conninfo
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

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
        psycopg.conninfo.conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        # libpq's own message may quote a part of the URL, which holds the password.
        raise ValueError("is not a URL that PostgreSQL's libpq can read") from None
    return url


def _secret(secret: SecretStr) -> SecretStr:
    length = len(secret.get_secret_value().encode())
    if length < SECRET_MIN_BYTES:
        raise ValueError(f"is too short, {length} bytes")
    return secret


def _base_url(url: str) -> str:
    """Return the URL without its trailing slash, the form in which issuers are compared."""
    if not _is_http(url):
        raise ValueError("is not an http or https URL")
    return url.rstrip("/")


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them (RFC 6454, section 6.2): lower case, no path, no trailing slash."""
    normal = tuple(origin.strip().rstrip("/").lower() for origin in origins)
    for origin in normal:
        if not _is_http(origin) or urlsplit(origin).path:
            raise ValueError("holds what is not an origin")
    return normal


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _comma_separated(value: object) -> object:
    return tuple(value.split(",")) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class TokenSettings(BaseSettings):
    """What signing a token takes: the shared secret. An empty variable counts as one that is not set."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    better_auth_secret: Annotated[SecretStr, AfterValidator(_secret)]

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


class Settings(TokenSettings):
    """What the service takes."""

    database_url: Annotated[SecretStr, AfterValidator(_database_url)]
    better_auth_url: Annotated[str, AfterValidator(_base_url)] | None = None
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_comma_separated), AfterValidator(_origins)
    ] = ("http://localhost:3000",)
    database_pool_size: int = Field(default=10, ge=1, le=1000)
    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)] = "info"
