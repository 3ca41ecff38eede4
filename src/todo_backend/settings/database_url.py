"""DATABASE_URL: what libpq accepts, as it stands."""

import re

import psycopg.conninfo
from pydantic import SecretStr

_LABEL = r"[^\W_]([\w-]{0,61}[^\W_])?"
_HOST = rf"({_LABEL}(\.{_LABEL})*\.?)?|[0-9a-fA-F:.%]+"  # a name of labels, or an address
_INTEGERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
)
_CHOICES = {
    "channel_binding": ["disable", "prefer", "require"],
    "sslmode": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    "target_session_attrs": ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"],
}


def valid_database_url(url: SecretStr) -> SecretStr:
    """Accept what libpq accepts, as it stands: nothing is rewritten, so nothing is lost."""
    text = url.get_secret_value()
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("is not a PostgreSQL URL")
    if "USER:PASSWORD@" in text:
        raise ValueError("still is the example's")
    try:
        parameters = psycopg.conninfo.conninfo_to_dict(text)
    except (psycopg.ProgrammingError, UnicodeError):
        # libpq's own message may quote a part of the URL, which holds the password.
        raise ValueError("is not a URL that PostgreSQL's libpq can read") from None
    for name, value in parameters.items():
        if not _is_valid(name, str(value)):
            raise ValueError(
                f"has a bad {name}, perhaps by a character of the password that is not percent-encoded"
            )
    return url


def _is_valid(name: str, value: str) -> bool:
    """Judge what libpq itself judges only when it connects, and then by quoting the value."""
    if name == "host":
        return all(host.startswith("/") or re.fullmatch(_HOST, host) for host in value.split(","))
    if name == "port":
        return all(not port or (port.isdecimal() and 0 < int(port) < 2**16) for port in value.split(","))
    if name in _INTEGERS:
        return re.fullmatch("-?[0-9]{1,9}", value) is not None
    return value in _CHOICES.get(name, [value])
