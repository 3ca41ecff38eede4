"""The variables: types, defaults and hints."""

import logging
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from todo_backend.settings import env_file
from todo_backend.settings.conflicts import conflicts, raise_conflict
from todo_backend.settings.cors_origins import comma_separated, valid_origins
from todo_backend.settings.database_url import valid_database_url
from todo_backend.settings.errors import InvalidSettings
from todo_backend.settings.issuer import Issuer
from todo_backend.settings.validators import (
    SECRET_MIN_BYTES,
    lower,
    valid_secret,
    valid_url,
)

# It warns of lines that it cannot read, which are not always ours; those that are, env_file tells.
logging.getLogger("dotenv").setLevel(logging.ERROR)

HINTS = {
    "BETTER_AUTH_AUDIENCE": "give what jwt.audience is in auth.ts, or leave it out",
    "BETTER_AUTH_ISSUER": "give what jwt.issuer is in auth.ts, or leave it out",
    "BETTER_AUTH_JWKS_URL": "give the whole URL of the key set, or leave it out",
    "BETTER_AUTH_SECRET": f"put the frontend's secret, at least {SECRET_MIN_BYTES} bytes long, into .env",
    "BETTER_AUTH_URL": "give Better Auth's base URL, such as http://localhost:3000, or leave it out",
    "CORS_ORIGINS": "give the frontend's origins, such as http://localhost:3000,https://app.example.com",
    "DATABASE_POOL_SIZE": "give a whole number from 1 to 1000, or leave it out",
    "DATABASE_URL": "paste the connection string from Neon, which starts with postgresql://, into .env",
    "LOG_LEVEL": "give debug, info, warning, error or critical, or leave it out",
    "NEON_AUTH_BASE_URL": "paste the Auth URL from Neon, which ends with /neondb/auth, or leave it out",
}


Secret = Annotated[SecretStr, AfterValidator(valid_secret)]
Url = Annotated[str, AfterValidator(valid_url)]
Raises = BeforeValidator(raise_conflict)


class TokenSettings(BaseSettings):
    """The settings for signing and verifying tokens. An empty variable counts as one that is not set."""

    model_config = SettingsConfigDict(
        env_file=env_file.PATH,
        env_ignore_empty=True,
        extra="ignore",
        # Names are upper case, as for Next.js. On Windows, whose environment has no case, that is about .env alone.
        alias_generator=str.upper,
        case_sensitive=True,
    )

    better_auth_secret: Annotated[Secret | None, Raises] = None
    better_auth_url: Annotated[Url | None, Raises] = None
    neon_auth_base_url: Annotated[Url | None, Raises] = None
    better_auth_jwks_url: Annotated[Url | None, Raises] = None
    better_auth_issuer: Annotated[str | None, Raises] = None
    better_auth_audience: Annotated[str | None, Raises] = None

    @model_validator(mode="before")
    @classmethod
    def _check_together(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Put a ValueError in place of each value that is bad because of others; its field raises it."""
        return values | conflicts(values)

    @property
    def secret(self) -> bytes | None:
        """The key of HS256; None where tokens of the key set alone are accepted."""
        return self.better_auth_secret.get_secret_value().encode() if self.better_auth_secret else None

    @property
    def issuer(self) -> Issuer | None:
        """Whose key set is trusted; None where tokens signed with the secret alone are accepted."""
        if self.neon_auth_base_url:
            return Issuer.neon_auth(self.neon_auth_base_url)
        if self.better_auth_url:
            return Issuer.better_auth(
                self.better_auth_url, self.better_auth_jwks_url, self.better_auth_issuer, self.better_auth_audience
            )
        return None

    @classmethod
    def load(cls) -> Self:
        """Read the process environment, then `.env` in the working folder; the environment wins.

        Raises:
            InvalidSettings: a variable is missing or bad.
        """
        lines = env_file.unreadable_lines([name.upper() for name in cls.model_fields])
        try:
            settings = cls()
        except ValidationError as error:
            for fault in error.errors(include_input=False, include_url=False):
                name = str(fault["loc"][0])
                problem = {"missing": "is not set", "value_error": str(fault.get("ctx", {}).get("error"))}
                line = f"{name} {problem.get(fault['type'], 'is not valid')}"
                # Some problems come with a hint of their own.
                lines.setdefault(name, line if ": " in line else f"{line}: {HINTS[name]}")
        if lines:
            raise InvalidSettings("\n".join(lines.values()))
        return settings


class Settings(TokenSettings):
    """All settings of the service."""

    database_url: Annotated[SecretStr, AfterValidator(valid_database_url)]
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(comma_separated), AfterValidator(valid_origins)
    ] = ("http://localhost:3000",)
    database_pool_size: int = Field(default=10, ge=1, le=1000)
    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(lower)] = "info"
