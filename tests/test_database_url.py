"""DATABASE_URL as people paste it."""

import re

import pytest
from pydantic import SecretStr

from todo_backend.settings.database_url import valid_database_url

NEON = (
    "postgresql://neondb_owner:npg_a%40b@ep-cool-name-a1b2c3d4-pooler.c-4.us-east-1.aws.neon.tech/neondb"
    "?sslmode=require&channel_binding=require"
)


def read(text: str) -> str:
    return valid_database_url(SecretStr(text)).get_secret_value()


@pytest.mark.proves("ENV-6")
@pytest.mark.parametrize(
    "text",
    [
        f" {NEON}\n",
        f"\t{NEON}\r\n",
        f"\ufeff{NEON}\u00a0",
        f"\u200b {NEON} \u200b",
        f"'{NEON}'",
        f'"{NEON}"',
        f"`{NEON}`",
        f"\u201c{NEON}\u201d",
        f"\u2018{NEON}\u2019\n",
        f"\"'{NEON}'\"",
        f"psql '{NEON}'",
        f'psql "{NEON}"\n',
        f"psql {NEON}",
        f"\"psql '{NEON}'\"",
        f"DATABASE_URL={NEON}",
        f"DATABASE_URL = '{NEON}'",
        *(
            NEON.replace("postgresql://", f"postgresql+{driver}://")
            for driver in ("psycopg", "asyncpg", "psycopg2")
        ),
        f"{NEON}&pgbouncer=true",
        f"{NEON}&pgbouncer=true&connection_limit=1&pool_timeout=0&socket_timeout=5&statement_cache_size=0",
        NEON.replace("?", "?schema=public&"),
        NEON.replace("?", "?uselibpqcompat=true&").replace("&channel", "&prepared_statement_cache_size=0&channel"),
    ],
)
def test_what_has_one_meaning_is_taken(text: str) -> None:
    assert read(text) == NEON


@pytest.mark.proves("ENV-2", "ENV-6")
@pytest.mark.parametrize(
    "url",
    [
        NEON,
        "postgres://u@h/db",
        "postgresql://u:a#b$c&pgbouncer=1@h/db?sslmode=require&&".removesuffix("&"),
        "postgresql://u:p?pgbouncer=true@h/db?sslmode=require",
        "postgresql://u:100%25@h/db?options=-c%20search_path%3Dtodo",
        "postgresql://u:%3F%26@h/db?application_name=%20x%20&ssl=true",
        "postgresql://u:'p\"@h/db",
        "postgresql://h/db?options=endpoint%3Dep-cool-name",
    ],
)
def test_everything_else_stays_to_the_byte(url: str) -> None:
    assert read(url) == url


@pytest.mark.proves("ENV-6")
def test_the_parameters_of_other_clients_alone_are_left_out() -> None:
    assert read("postgresql://u@h/db?pgbouncer=true") == "postgresql://u@h/db?"
    assert (
        read("postgres+psycopg://u@h/db?schema=public&connect_timeout=3") == "postgres://u@h/db?connect_timeout=3"
    )


@pytest.mark.proves("ENV-6")
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"'{NEON}", "has a quotation mark at one end: "),
        (f'{NEON}"', "has a quotation mark at one end: "),
        (f"psql '{NEON}' --file marked", "has a quotation mark at one end: "),
        ("psql -h marked -U marked", "has a space or a line break in it: "),
        ("jdbc:postgresql://marked/db", "is not a PostgreSQL URL"),
        ("host=marked", "is not a PostgreSQL URL"),
        ("prisma+postgres://marked", "is not a PostgreSQL URL"),
        ("postgresql://u:****************@marked/db", "has asterisks for a password: press Show password"),
        ("postgresql://u:mar ked@h/db", "has a space or a line break in it: .* as %20"),
        ("postgresql://u:p@h/db?sslmode=require\n  &channel_binding=marked", "has a space or a line break in it: "),
        ("postgresql://u:marked%@h/db", "has a % without two hexadecimal digits: .* as %25"),
        ("postgresql://u:100%marked@h/db", "has a % without two hexadecimal digits: .* as %25"),
        ("postgresql://u:marked%00@h/db", "has the character NUL in it: "),
        ("postgresql://u:p@h/db?sslmode=require&amp;channel_binding=marked", "has &amp; in it: write & "),
        ("postgresql://u:p@h/db?schema=marked", "has Prisma's parameter schema: leave it out"),
        ("postgresql+asyncpg://u:p@h/db?ssl=marked", "has the parameter ssl: write sslmode"),
        ("postgresql://u:p@h/db?sslaccept=marked", "has Prisma's parameter sslaccept: write sslmode"),
        (
            "postgresql://u:p@h/db?sslidentity=marked",
            "has Prisma's parameter sslidentity: write sslcert and sslkey",
        ),
        ("postgresql://u:p@h/db?marked=marked", "has a parameter that libpq does not know: leave it out, or "),
        ("postgresql://u:p?marked/x@h/db?sslmode=require", "has a parameter that libpq does not know: .* as %3F"),
        ("postgresql://u:p@h/db?marked", "has a parameter that libpq does not know: "),
        ("postgresql://u:p@[marked/db", "is not a URL that PostgreSQL's libpq can read"),
        ("postgresql://u:p@marked@h/db", "has a bad host: .* @ as %40"),
        ("postgresql://u:mar/ked@h/db", "has a bad port: .* / as %2F"),
        ("postgresql://u:p@h/db?sslmode=no-marked", "has a bad sslmode: give disable, allow, prefer, require, "),
        ("postgresql://u:p@h/db?connect_timeout=5s-marked", "has a bad connect_timeout: give a whole number"),
        ("postgresql://u:p@h/db?sslmode=require;marked", "has a bad sslmode: "),
    ],
)
def test_what_is_wrong_is_named_without_the_value(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}") as failed:
        read(url)
    assert "marked" not in str(failed.value)
    assert "\n" not in str(failed.value)
    assert re.fullmatch("[^:]*(: [^:]*)?", str(failed.value))  # the problem, and perhaps a fix
