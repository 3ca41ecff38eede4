"""Why the program does not start."""


class CannotStart(Exception):
    """The program ends here; its text is the reason, for people."""

    exit_code = 1


class InvalidSettings(CannotStart):
    """The environment cannot be used; a line a variable names it and says how to mend it, without its value."""

    exit_code = 2
