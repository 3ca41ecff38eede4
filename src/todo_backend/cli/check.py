"""Diagnostics, `todo-backend check`: runs all checks."""

from collections.abc import AsyncIterator

from todo_backend.auth.verifier import Verifier
from todo_backend.cli.check_database import check_database
from todo_backend.cli.check_env_file import check_env_file
from todo_backend.cli.check_result import CheckResult, split_line
from todo_backend.cli.check_token import check_key_set, check_token
from todo_backend.database.embedded import DEV_FOLDER, EmbeddedServerFailed, embedded_server
from todo_backend.settings import HINTS, InvalidSettings, Settings, TokenSettings, env_file


async def run_checks(token: str | None) -> AsyncIterator[CheckResult]:
    """Check the settings, the database, `.env`, the key set and, if one is given, a token; yield the results."""
    async for result in _check_settings():
        yield result
    for result in check_env_file():
        yield result
    try:
        verification = TokenSettings.load()
    except InvalidSettings:
        if token is not None:
            yield CheckResult(
                "Token", False, "Not checked, because the settings are not valid", "Fix the settings first."
            )
    else:
        if verification.issuer:
            yield await check_key_set(verification.issuer)
        if token is not None:
            yield await check_token(token, Verifier(verification.secret, verification.issuer))


async def _check_settings() -> AsyncIterator[CheckResult]:
    """Check all settings, and the database that they name."""
    try:
        settings = Settings.load()
    except InvalidSettings as error:
        for line in str(error).splitlines():
            if line.startswith("DATABASE_URL is not set") and DEV_FOLDER.is_dir():
                for result in await _check_dev_database():
                    yield result
            else:
                yield CheckResult("Settings", False, *split_line(line))
        if not env_file.PATH.exists():
            hint = "Run `todo-backend check` in the folder that has it, or set the variables in the environment."
            yield CheckResult(".env", True, "This folder has no .env", hint, note=True)
    else:
        yield CheckResult("Settings", True, "Every variable is set and valid")
        for result in await check_database(settings.database_url.get_secret_value()):
            yield result


async def _check_dev_database() -> list[CheckResult]:
    """Check the database that `dev` uses in this folder as long as DATABASE_URL is not set."""
    hint = f"`todo-backend serve` needs it: {HINTS['DATABASE_URL']}."
    note = CheckResult("Settings", True, "DATABASE_URL is not set, so `dev` has its own database", hint, note=True)
    try:
        with embedded_server(DEV_FOLDER) as url:
            return [note, *await check_database(url)]
    except EmbeddedServerFailed as error:
        return [note, CheckResult("Database", False, str(error))]
