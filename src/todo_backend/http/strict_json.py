"""JSON to the letter of RFC 8259, for bodies and tokens."""

import json
from typing import Any


def loads(data: bytes) -> Any:
    """Return what the data say, as `json.loads` does; but refuse NaN, UTF-16, encoded surrogates, byte order marks.

    Raises:
        ValueError: they are not JSON, or more of it than can be read: nested too deep, a number too long.
    """
    try:
        return json.loads(data.decode(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
