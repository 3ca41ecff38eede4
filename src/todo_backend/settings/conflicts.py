"""Variables that must not, or must, be set together."""

from collections.abc import Collection

OVERRIDES = ("BETTER_AUTH_JWKS_URL", "BETTER_AUTH_ISSUER", "BETTER_AUTH_AUDIENCE")


def conflicts(given: Collection[str]) -> dict[str, ValueError]:
    """Return the conflicts, by the name of the variable.

    Args:
        given: the names of the variables that are set.
    """
    found = {}
    if "BETTER_AUTH_URL" in given and "NEON_AUTH_BASE_URL" in given:
        found["BETTER_AUTH_URL"] = ValueError("is set beside NEON_AUTH_BASE_URL: leave out one of the two")
        found["NEON_AUTH_BASE_URL"] = ValueError("is set beside BETTER_AUTH_URL: leave out one of the two")
    if "BETTER_AUTH_URL" not in given:
        for name in OVERRIDES:
            if name in given:
                found[name] = ValueError("is set without BETTER_AUTH_URL: set that too, or leave this out")
        if "BETTER_AUTH_SECRET" not in given and "NEON_AUTH_BASE_URL" not in given:
            found["BETTER_AUTH_SECRET"] = ValueError("is not set")
    return found


def raise_conflict(value: object) -> object:
    """Raise the conflict as the field's own error, so that it is reported with those of the other fields."""
    if isinstance(value, ValueError):
        raise value
    return value
