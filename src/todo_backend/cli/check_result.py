"""What `todo-backend check` says of one thing."""

from dataclasses import dataclass


@dataclass
class CheckResult:
    """One thing that was looked at.

    Attributes:
        note: it is no fault, and worth a look.
        hint: what to do about it, in lines of its own; empty where nothing is.
    """

    subject: str
    ok: bool
    text: str
    hint: str = ""
    note: bool = False
