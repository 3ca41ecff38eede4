"""Strict JSON (RFC 8259), for bodies and tokens."""

import json
from typing import Any


def loads(data: bytes) -> Any:
    """Parse JSON as `json.loads` does, but reject NaN, UTF-16, encoded surrogates and byte order marks.

    Raises:
        ValueError: the data are not JSON, are nested too deep, or have a number with too many digits.
    """
    try:
        return json.loads(data.decode(), parse_constant=_reject_constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
