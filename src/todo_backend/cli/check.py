"""Diagnostics, `todo-backend check`: what is well, what is not, and what to do about it."""

from collections.abc import AsyncIterator

from todo_backend.auth.verifier import Verifier
from todo_backend.cli.check_database import check_database
from todo_backend.cli.check_env_file import check_env_file
from todo_backend.cli.check_result import CheckResult
from todo_backend.cli.check_token import check_key_set, check_token
from todo_backend.settings import InvalidSettings, Settings, TokenSettings


async def run_checks(token: str | None) -> AsyncIterator[CheckResult]:
    """Yield a result for each thing that is checked, the token if there is one included."""
    try:
        settings = Settings.load()
    except InvalidSettings as error:
        for line in str(error).splitlines():
            problem, _, hint = line.partition(": ")
            yield CheckResult("Settings", False, problem, hint)
    else:
        yield CheckResult("Settings", True, "every variable is set and valid")
        for result in await check_database(settings.database_url.get_secret_value()):
            yield result
    for result in check_env_file():
        yield result
    try:
        verification = TokenSettings.load()
    except InvalidSettings:
        if token is not None:
            yield CheckResult("Token", False, "cannot be judged without the settings", "Mend them first.")
    else:
        if verification.issuer:
            yield await check_key_set(verification.issuer)
        if token is not None:
            yield await check_token(token, Verifier(verification.secret, verification.issuer))
