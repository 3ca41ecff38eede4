"""Diagnostics, `todo-backend check`: runs all checks."""

from collections.abc import AsyncIterator

from todo_backend.auth.verifier import Verifier
from todo_backend.cli.check_database import check_database
from todo_backend.cli.check_env_file import check_env_file
from todo_backend.cli.check_result import CheckResult, split_line
from todo_backend.cli.check_token import check_key_set, check_token
from todo_backend.settings import InvalidSettings, Settings, TokenSettings, env_file


async def run_checks(token: str | None) -> AsyncIterator[CheckResult]:
    """Check the settings, the database, `.env`, the key set and, if one is given, a token; yield the results."""
    try:
        settings = Settings.load()
    except InvalidSettings as error:
        for line in str(error).splitlines():
            yield CheckResult("Settings", False, *split_line(line))
        if not env_file.PATH.exists():
            hint = "Run `todo-backend check` in the folder that has it, or set the variables in the environment."
            yield CheckResult(".env", True, "This folder has no .env", hint, note=True)
    else:
        yield CheckResult("Settings", True, "Every variable is set and valid")
        for result in await check_database(settings.database_url.get_secret_value()):
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
