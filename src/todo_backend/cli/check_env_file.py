"""`todo-backend check` on `.env`, and on the `.env.local` of Next.js."""

from collections.abc import Iterator

from todo_backend.cli.check_result import CheckResult, split_line
from todo_backend.settings import HINTS, InvalidSettings, env_file


def check_env_file() -> Iterator[CheckResult]:
    """Yield notes: what the environment overrides, lines or values, and lines that Next.js reads differently."""
    try:
        overridden = env_file.unreadable_lines(HINTS, overridden=True)
        unused = env_file.overridden_variables(HINTS)
        different = env_file.nextjs_differences(HINTS)
    except InvalidSettings:  # loading the settings has said that the file is not text
        return
    for line in overridden.values():
        problem, hint = split_line(line)
        yield CheckResult(".env", True, f"{problem}, but the environment sets it", hint, note=True)
    for name in unused:
        problem = f"{name} of .env is not used: the environment has another value"
        hint = f"Unset {name} in the environment, or correct the value there."
        yield CheckResult(".env", True, problem, hint, note=True)
    for name, number in different.items():
        problem = f"{name} in line {number} of .env has another value for Next.js: a #, $, \\ or quotation mark"
        hint = (
            f"Write {name}='value', with no $, \\ or quotation mark in the value.\n"
            "In a URL write them as %24, %5C, %27 and %22; a secret can be generated again."
        )
        yield CheckResult(".env", True, problem, hint, note=True)
    if env_file.NEXTJS_PATH.exists():
        hint = "Next.js reads it. Put what this service needs into .env."
        yield CheckResult(str(env_file.NEXTJS_PATH), True, "It is not read here", hint, note=True)
