"""`.env` as Next.js reads it, which differs from python-dotenv in quotation marks, `#`, `$` and backslashes.

A port of @next/env 16.4.6 (dotenv 16.3.1 and dotenv-expand); tests/test_env_file.py compares the two.
"""

import re
from collections.abc import Mapping

# JavaScript's white space and ends of lines are not Python's.
_SPACE = r"[\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
_END = r"(?=[\n\u2028\u2029]|\Z)"
_START = r"(?:\A|(?<=[\n\u2028\u2029]))"
_LINE = re.compile(
    rf"{_START}{_SPACE}*(?:export{_SPACE}+)?([\w.-]+)(?:{_SPACE}*={_SPACE}*?|:{_SPACE}+?)"
    rf"({_SPACE}*'(?:\\'|[^'])*'|{_SPACE}*\"(?:\\\"|[^\"])*\"|{_SPACE}*`(?:\\`|[^`])*`|[^#\n]+)?"
    rf"{_SPACE}*(?:#[^\n\u2028\u2029]*)?{_END}",
    re.ASCII,
)
_QUOTED = re.compile(rf"{_START}(['\"`])([\S\s]*)\1{_END}")
_REFERENCE = re.compile(r"\$\{?(\w+)(?::-([^}\\]*))?\}?", re.ASCII)
_MOST_REFERENCES = 100  # Next.js overflows its stack at a self-reference, and then reads nothing


def read(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a file.

    Args:
        text: the file, its line endings as line feeds.
        environ: the process environment of Next.js, without the variables that are compared.
    """
    values = {}
    for match in _LINE.finditer(text):
        raw = re.sub(rf"\A{_SPACE}+|{_SPACE}+\Z", "", match[2] or "")
        value = _QUOTED.sub(r"\2", raw)
        values[match[1]] = value.replace(r"\n", "\n").replace(r"\r", "\r") if raw[:1] == '"' else value
    try:
        for name, value in values.items():
            values[name] = _expand(environ.get(name, value), environ, values).replace(r"\$", "$")
    except RecursionError:
        return {}
    return values


def _expand(value: str, environ: Mapping[str, str], values: Mapping[str, str]) -> str:
    """Replace references, the last one first, until none is left."""
    for _ in range(_MOST_REFERENCES):
        dollars = [match.start() for match in re.finditer(r"(?<!\\)\$", value)]
        reference = _REFERENCE.match(value, dollars[-1]) if dollars else None
        if not reference:
            return value
        name, default = reference.groups()
        value = value.replace(reference[0], environ.get(name) or default or values.get(name) or "", 1)
    raise RecursionError
