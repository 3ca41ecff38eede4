"""`.env`: lines that cannot be read, and lines that Next.js reads differently."""

import io
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import dotenv
from dotenv.parser import Binding, parse_stream

from todo_backend.settings import nextjs
from todo_backend.settings.errors import InvalidSettings

PATH = Path(".env")
NEXTJS_PATH = Path(".env.local")  # not read here

# What stands before the name in a line that was copied from a shell, a Dockerfile or YAML; not a comment.
_BEFORE_NAME = r"""[^\w#;/=]*(?:(?:export|set|env|declare\s+-x)\b[\s:"']*)?"""


def unreadable_lines(names: Collection[str], *, overridden: bool = False) -> dict[str, str]:
    """Find the lines that name a variable and do not set it: an open quotation mark, a colon, lower case, ...

    Args:
        names: the variables to look for, in upper case.
        overridden: find those whose variable the process environment sets, in place of the others.

    Returns:
        For each variable that has such lines a line for people: its name, the numbers of the lines, and the fix.

    Raises:
        InvalidSettings: the file is not text in UTF-8.
    """
    text = _read()
    set_by, opened_by = {}, {}
    for first, binding in _statements(text):
        last = first + binding.original.string.strip().count("\n")
        # No value of ours has several lines: that is a quotation mark which a later one happens to close.
        if last == first and not binding.error and binding.value is not None:
            set_by[first] = binding.key
        opened_by.update(dict.fromkeys(range(first + 1, last + 1), first))
    found: dict[str, list[int]] = {}
    naming = re.compile(f"{_BEFORE_NAME}({'|'.join(names)})(?![\\w.-])", re.IGNORECASE)
    for number, line in enumerate(text.split("\n"), 1):
        name = match[1].upper() if (match := naming.match(line)) else None
        if name and set_by.get(number) != name and bool(os.environ.get(name)) == overridden:
            found.setdefault(name, []).append(number)
    return {name: _describe(name, numbers, opened_by.get(numbers[0])) for name, numbers in found.items()}


def _describe(name: str, numbers: list[int], opened_by: int | None) -> str:
    lines = " and ".join(f"line {number}" for number in numbers)
    if opened_by:
        hint = f"close the quotation mark that line {opened_by} opens"
    else:
        hint = f"write {name}=value, the name in upper case, each quotation mark closed"
    return f"{name} in {lines} of {PATH} cannot be read: {hint}"


def nextjs_differences(names: Collection[str]) -> dict[str, int]:
    """Find the variables that Next.js reads differently from the same line.

    Returns:
        The number of the line for each such variable.

    Raises:
        InvalidSettings: the file is not text in UTF-8.
    """
    text = _read()
    ours = dotenv.dotenv_values(stream=io.StringIO(text))
    theirs = nextjs.read(text, {name: value for name, value in os.environ.items() if name not in names})
    lines = {binding.key: first for first, binding in _statements(text)}
    return {name: lines[name] for name in names if name in ours and ours[name] != theirs.get(name)}


def overridden_variables(names: Collection[str]) -> list[str]:
    """Find the variables that have one value in the file, and another in the process environment, which wins.

    Raises:
        InvalidSettings: the file is not text in UTF-8.
    """
    ours = dotenv.dotenv_values(stream=io.StringIO(_read()))
    return [name for name in names if (value := ours.get(name)) and os.environ.get(name, "") not in ("", value)]


def _read() -> str:
    """Return the text, its line endings as line feeds; empty where there is no file, or a pipe to be read once."""
    try:
        return PATH.read_text(encoding="utf-8") if PATH.is_file() else ""
    except (OSError, UnicodeError):
        raise InvalidSettings(f"{PATH} cannot be read: make it a text file in UTF-8, or remove it") from None


def _statements(text: str) -> Iterator[tuple[int, Binding]]:
    """Yield python-dotenv's statements, each with the number of its first line that is not empty."""
    for binding in parse_stream(io.StringIO(text)):
        statement = binding.original.string
        yield binding.original.line + statement[: len(statement) - len(statement.lstrip())].count("\n"), binding
