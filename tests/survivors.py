"""The mutants that `make mutation` cannot kill, because they do not change what the service does, and why.

They are written as mutation.py prints them, without the line number.
"""

_TABLE_DEFAULT = (
    "SQLModel does not validate the rows of a table, and SQLAlchemy has None for what is not set: the default is"
    " for type checkers"
)

SURVIVORS = {
    "auth/keyset.py: 0.0 -> (1.0)": "a monotonic clock that is past 0 is past 1; twice",
    "http/paths.py: \"\" -> ('XX')": "a path begins with a slash, and so with no root path of XX",
    "http/errors.py: False -> None": "only its truth value is used",
    "tasks/models.py: Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity()])"
    " -> (Field(primary_key=True, sa_type=BigInteger, sa_column_args=[Identity()]))": _TABLE_DEFAULT,
    "tasks/models.py: Field(default=None, max_length=DESCRIPTION_MAX_LENGTH)"
    " -> (Field(max_length=DESCRIPTION_MAX_LENGTH))": _TABLE_DEFAULT,
    'tasks/models.py: Field(default=False, sa_column_kwargs={"server_default": text("false")})'
    " -> (Field(sa_column_kwargs={'server_default': text('false')}))": _TABLE_DEFAULT,
    "tasks/models.py: Field( default=None, nullable=False, sa_type=DateTime(timezone=True),"
    ' sa_column_kwargs={"server_default": func.now()}, )'
    " -> (Field(nullable=False, sa_type=DateTime(timezone=True),"
    " sa_column_kwargs={'server_default': func.now()}))": f"{_TABLE_DEFAULT}; twice",
    "tasks/routes.py: len(text) < 100 -> (len(text) <= 100)": "an id of 100 digits is too large either way",
    "tasks/routes.py: 100 -> (101)": "an id of 100 digits is too large either way",
}
