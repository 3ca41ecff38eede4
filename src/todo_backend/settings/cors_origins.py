"""CORS_ORIGINS: the form of an origin. What a listed origin may do is in http/cors.py."""

import re

_ORIGIN = r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"


def comma_separated(value: object) -> object:
    return tuple(part for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def valid_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Return the origins in the form in which browsers send them (RFC 6454, section 6.2).

    That is lower case, without a default port, path or trailing slash.

    Raises:
        ValueError: one is not an http or https origin, or there are none.
    """
    normal = tuple(origin.strip().rstrip("/").lower() for origin in origins)
    if not normal or not all(re.fullmatch(_ORIGIN, origin, re.ASCII) for origin in normal):
        raise ValueError("has a value that is not an origin")
    return tuple(re.sub("^(http://.*):80$|^(https://.*):443$", r"\1\2", origin) for origin in normal)
