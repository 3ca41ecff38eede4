"""The errors that end the program, with their exit codes."""


class CannotStart(Exception):
    """The program ends here; its text is the reason, for people."""

    exit_code = 1


class InvalidSettings(CannotStart):
    """The environment cannot be used; one line for each bad variable has its name and a hint, but not its value."""

    exit_code = 2
