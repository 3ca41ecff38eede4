"""The variables: their types, their defaults, and what to do about a bad one."""

import logging
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from todo_backend.settings import env_file
from todo_backend.settings.database_url import valid_database_url
from todo_backend.settings.errors import InvalidSettings
from todo_backend.settings.validators import (
    SECRET_MIN_BYTES,
    comma_separated,
    lower,
    valid_base_url,
    valid_origins,
    valid_secret,
)

# It warns of lines that it cannot read, which are not always ours; those that are, env_file tells.
logging.getLogger("dotenv").setLevel(logging.ERROR)

HINTS = {
    "BETTER_AUTH_SECRET": f"put the frontend's secret, at least {SECRET_MIN_BYTES} bytes long, into .env",
    "BETTER_AUTH_URL": "give Better Auth's base URL, such as http://localhost:3000, or leave it out",
    "CORS_ORIGINS": "give the frontend's origins, such as http://localhost:3000,https://app.example.com",
    "DATABASE_POOL_SIZE": "give a whole number from 1 to 1000, or leave it out",
    "DATABASE_URL": "paste the connection string from Neon, which starts with postgresql://, into .env",
    "LOG_LEVEL": "give debug, info, warning, error or critical, or leave it out",
}


class TokenSettings(BaseSettings):
    """What signing and verifying tokens takes. An empty variable counts as one that is not set."""

    model_config = SettingsConfigDict(
        env_file=env_file.PATH,
        env_ignore_empty=True,
        extra="ignore",
        # Names are upper case, as for Next.js. On Windows, whose environment has no case, that is about .env alone.
        alias_generator=str.upper,
        case_sensitive=True,
    )

    better_auth_secret: Annotated[SecretStr, AfterValidator(valid_secret)]
    better_auth_url: Annotated[str, AfterValidator(valid_base_url)] | None = None

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
    """What the service takes."""

    database_url: Annotated[SecretStr, AfterValidator(valid_database_url)]
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(comma_separated), AfterValidator(valid_origins)
    ] = ("http://localhost:3000",)
    database_pool_size: int = Field(default=10, ge=1, le=1000)
    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(lower)] = "info"
