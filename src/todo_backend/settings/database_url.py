"""DATABASE_URL: what libpq accepts, as it stands, and the forms in which people paste it."""

import re

import psycopg.conninfo
from pydantic import SecretStr

_INVISIBLE = "\ufeff\u200b\u2060"  # what pages and editors put around text, and str.strip() leaves
_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u2018": "\u2019"}
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

# Parameters by which other clients are tuned, which say nothing of the connection: of Prisma
# (https://www.prisma.io/docs/orm/overview/databases/postgresql), SQLAlchemy's asyncpg dialect, and node-postgres.
_OF_OTHER_CLIENTS = (
    "(pgbouncer|connection_limit|pool_timeout|socket_timeout|statement_cache_size|prepared_statement_cache_size"
    "|single_use_connections|max_connection_lifetime|max_idle_connection_lifetime|uselibpqcompat)=.*|schema=public"
)
# What libpq rejects with messages that quote the URL, by pattern.
_REJECTED = {
    "%(?![0-9a-fA-F]{2})": "has a % without two hexadecimal digits: write a % of the password as %25",
    "%00": "has the character NUL in it: leave %00 out",
    "&amp;": "has &amp; in it: write & in its place",
    # Parameters of other clients that do say something.
    r"[?&]schema=": "has Prisma's parameter schema: leave it out, and give the role a search_path with ALTER ROLE",
    r"[?&]ssl=": "has the parameter ssl: write sslmode, such as sslmode=require",
    r"[?&]sslaccept=": "has Prisma's parameter sslaccept: write sslmode, such as sslmode=verify-full",
    r"[?&]sslidentity=": "has Prisma's parameter sslidentity: write sslcert and sslkey",
}
_ENCODE = "percent-encode the password, @ as %40, / as %2F, ? as %3F"


def valid_database_url(url: SecretStr) -> SecretStr:
    """Return the URL for libpq: as it was given, but for what tools and other clients have added to it.

    That is white space, quotation marks and `psql` around it, SQLAlchemy's driver in its scheme, and parameters by
    which other clients are tuned. Everything else goes to libpq as it is: each of its parameters is honoured.

    Raises:
        ValueError: libpq would reject it. The text is the problem, without the value.
    """
    text = re.sub(r"\A(postgres|postgresql)\+\w+://", r"\1://", _unwrap(url.get_secret_value()))
    if text[:1] in _QUOTES or text[-1:] in _QUOTES.values():
        raise ValueError("has a quotation mark at one end: give the URL alone")
    if re.search(r"\s", text):
        raise ValueError("has a space or a line break in it: write it on one line, a space of the password as %20")
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("is not a PostgreSQL URL")
    if "USER:PASSWORD@" in text:
        raise ValueError("still has the example's USER:PASSWORD")
    if re.search(r":\*{3,}@", text):
        raise ValueError("has asterisks for a password: press Show password in Neon's dashboard, and copy it again")
    text = _without_parameters_of_other_clients(text)
    try:
        parameters = psycopg.conninfo.conninfo_to_dict(text)
    except (psycopg.ProgrammingError, UnicodeError) as error:
        # libpq's own message may quote a part of the URL, which holds the password.
        problems = [problem for pattern, problem in _REJECTED.items() if re.search(pattern, text)]
        if "query parameter" in str(error):
            problems.append(f"has a parameter that libpq does not know: leave it out, or {_ENCODE}")
        raise ValueError([*problems, "is not a URL that PostgreSQL's libpq can read"][0]) from None
    for name, value in parameters.items():
        if not _is_valid(name, str(value)):
            raise ValueError(f"has a bad {name}: {_hint(name)}")
    return SecretStr(text)


def _unwrap(text: str) -> str:
    """Remove what a terminal, a dashboard or a form has left around the URL."""
    while True:
        inner = re.sub(r"\A(psql\s+|DATABASE_URL\s*=)", "", text.strip().strip(_INVISIBLE))
        if _QUOTES.get(inner[:1]) == inner[-1:]:
            inner = inner[1:-1]
        if inner == text:
            return text
        text = inner


def _without_parameters_of_other_clients(text: str) -> str:
    query = re.match(r"\w+://([^@/]*@)?[^?]*\?", text)
    if not query:
        return text
    parts = text[query.end() :].split("&")
    return query[0] + "&".join(part for part in parts if not re.fullmatch(_OF_OTHER_CLIENTS, part))


def _is_valid(name: str, value: str) -> bool:
    """Check what libpq checks only when it connects, with messages that quote the value."""
    if name == "host":
        return all(host.startswith("/") or re.fullmatch(_HOST, host) for host in value.split(","))
    if name == "port":
        return all(not port or (port.isdecimal() and 0 < int(port) < 2**16) for port in value.split(","))
    if name in _INTEGERS:
        return re.fullmatch("-?[0-9]{1,9}", value) is not None
    return value in _CHOICES.get(name, [value])


def _hint(name: str) -> str:
    if name in _INTEGERS:
        return "give a whole number"
    return f"give {', '.join(_CHOICES[name])}" if name in _CHOICES else f"correct it, or {_ENCODE}"
