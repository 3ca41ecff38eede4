#!/usr/bin/env bash
# SQLModel 0.0.50 with Pydantic 2.14.4 and SQLAlchemy 2.1.9.
#
# Valid input: fields of a table with Pydantic's constraints: a length or digits, alone and with one that is about values.
# Behaviour: max_length makes the column VARCHAR(5), and max_digits with decimal_places NUMERIC(5, 2). With strict=True or
# allow_inf_nan=False beside them, the column has no limit: of the list in which Pydantic keeps a field's constraints
# SQLModel reads one entry, and Pydantic puts these two before the length. Then nothing holds the limit, because a model
# with table=True does not validate. A pattern comes later in the list, and the length stays.
# (Reported for constraints in the wrong order, in SQLModel's pull request 2036; here is one Field, with the length first.)
#
# Output seen:
#   max_length=5                                         VARCHAR(5)
#   max_length=5, pattern='^x'                           VARCHAR(5)
#   max_length=5, strict=True                            VARCHAR
#   max_digits=5, decimal_places=2                       NUMERIC(5, 2)
#   max_digits=5, decimal_places=2, allow_inf_nan=False  NUMERIC
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sqlmodel==0.0.50 pydantic==2.14.4 sqlalchemy==2.1.9
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from decimal import Decimal
from typing import Annotated

import pydantic
from sqlmodel import Field, SQLModel

NUMBER = {"max_digits": 5, "decimal_places": 2}
CASES = [
    (str, {"max_length": 5}, "VARCHAR(5)"),
    (str, {"max_length": 5, "pattern": "^x"}, "VARCHAR(5)"),
    (str, {"max_length": 5, "strict": True}, "VARCHAR"),
    (Decimal, NUMBER, "NUMERIC(5, 2)"),
    (Decimal, NUMBER | {"allow_inf_nan": False}, "NUMERIC"),
]
changed = False
for number, (kind, constraints, expected) in enumerate(CASES):
    constrained = Annotated[kind, pydantic.Field(**constraints)]

    class Table(SQLModel, table=True):
        __tablename__ = f"table{number}"
        id: int | None = Field(default=None, primary_key=True)
        value: constrained

    column = str(Table.__table__.c.value.type)
    print(f"{', '.join(f'{name}={value!r}' for name, value in constraints.items()):<52}", column)
    changed |= column != expected
sys.exit(changed)
PYTHON
