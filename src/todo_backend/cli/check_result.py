"""One row of `todo-backend check`."""

from dataclasses import dataclass


@dataclass
class CheckResult:
    """The result of one check.

    Attributes:
        subject: what was checked.
        ok: it is as it should be; a note is ok, too.
        text: what was found.
        hint: how to fix it, on lines of its own; empty where nothing has to be done.
        note: worth a look, without being a fault.
    """

    subject: str
    ok: bool
    text: str
    hint: str = ""
    note: bool = False


def split_line(line: str) -> tuple[str, str]:
    """Return the problem, and the hint as a sentence, of a line of InvalidSettings: `NAME is not set: give it`."""
    problem, _, hint = line.partition(": ")
    return problem, f"{hint[:1].upper()}{hint[1:]}."
