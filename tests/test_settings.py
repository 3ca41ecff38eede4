"""The environment."""

import re
from pathlib import Path

import pytest

from tests.service import run
from todo_backend.settings import HINTS, InvalidSettings, Settings

ROOT = Path(__file__).parent.parent
NEON = (
    "postgresql://user:a%40password@ep-cool-name-a1b2c3d4-pooler.c-4.us-east-1.aws.neon.tech/neondb"
    "?sslmode=require&channel_binding=require"
)
VALID = {"DATABASE_URL": NEON, "BETTER_AUTH_SECRET": "s" * 32}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in HINTS:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings.load()


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, **VALID)
    assert settings.secret == b"s" * 32
    assert settings.better_auth_url is None
    assert settings.cors_origins == ("http://localhost:3000",)
    assert settings.database_pool_size == 10
    assert settings.log_level == "info"


@pytest.mark.proves("ENV-1")
def test_the_environment_wins_over_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text(
        f'DATABASE_URL={NEON}\nBETTER_AUTH_SECRET="{"f" * 32}"\nLOG_LEVEL=debug\nDATABASE_POOL_SIZE=\nOTHER=1\n'
    )
    settings = load(monkeypatch, BETTER_AUTH_SECRET="e" * 32, LOG_LEVEL="")
    assert settings.secret == b"e" * 32
    assert settings.database_url.get_secret_value() == NEON
    assert settings.log_level == "debug"
    assert settings.database_pool_size == 10


@pytest.mark.proves("ENV-2")
@pytest.mark.parametrize(
    "url",
    [
        NEON,
        NEON.replace("postgresql://", "postgres://"),
        "postgresql://u@one:1,two:2/db?target_session_attrs=read-write&connect_timeout=3&application_name=x",
        "postgresql://postgres@/postgres?host=%2Ftmp%2Fa%20b",
        "postgresql://u@[::1]:5432/db?keepalives_idle=30",
        "postgresql://u@xn--bcher-kva.example./db?hostaddr=127.0.0.1",
        "postgresql://bücher.example/db",
    ],
)
def test_a_url_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert load(monkeypatch, **VALID | {"DATABASE_URL": url}).database_url.get_secret_value() == url


@pytest.mark.proves("CLI-6")
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("DATABASE_URL", "", "is not set"),
        ("DATABASE_URL", "mysql://marked@host/db", "is not a PostgreSQL URL"),
        (
            "DATABASE_URL",
            "postgresql://u:marked@host/db?no_such_parameter=1",
            "has a parameter that libpq does not know",
        ),
        ("DATABASE_URL", "postgresql://u:marked%zz@host/db", "has a % without two hexadecimal digits"),
        ("DATABASE_URL", "postgresql://u:p@marked@host/db", "has a bad host"),
        ("DATABASE_URL", "postgresql://u:mar/ked@host/db", "has a bad port"),
        ("DATABASE_URL", "postgresql://u:p@host..marked/db", "has a bad host"),
        ("DATABASE_URL", f"postgresql://u:p@{'marked' * 11}/db", "has a bad host"),
        ("DATABASE_URL", "postgresql://u:p@host:99999/marked", "has a bad port"),
        ("DATABASE_URL", "postgresql://u:p@host/db?sslmode=marked", "has a bad sslmode"),
        ("DATABASE_URL", "postgresql://u:p@host/db?channel_binding=marked", "has a bad channel_binding"),
        ("DATABASE_URL", "postgresql://u:p@host/db?connect_timeout=marked", "has a bad connect_timeout"),
        ("DATABASE_URL", "postgresql://u:\udcffmarked@host/db", "libpq can read"),
        (
            "DATABASE_URL",
            "postgresql://USER:PASSWORD@ep-NAME-pooler/neondb",
            "still has the example's USER:PASSWORD",
        ),
        ("BETTER_AUTH_SECRET", "", "is not set"),
        ("BETTER_AUTH_SECRET", "marked-" + "x" * 24, "is too short, 31 bytes"),
        ("BETTER_AUTH_SECRET", "marked\udcff" * 10, "is not UTF-8"),
        ("BETTER_AUTH_SECRET", "ssh-rsa marked" + "x" * 32, "is a key in PEM or SSH form"),
        ("BETTER_AUTH_SECRET", f"-----BEGIN PUBLIC KEY-----\n{'marked' * 9}\n-----END PUBLIC KEY-----", "in PEM"),
        ("BETTER_AUTH_URL", "localhost:3000/marked", "is not a plain http or https URL"),
        ("BETTER_AUTH_URL", "http://", "is not a plain http or https URL"),
        ("BETTER_AUTH_URL", "http://[marked", "is not a plain http or https URL"),
        ("BETTER_AUTH_URL", "http://marked:99999", "is not a plain http or https URL"),
        ("BETTER_AUTH_URL", "http://bücher.marked", "is not a plain http or https URL"),
        *(
            ("BETTER_AUTH_URL", url, "is not a plain http or https URL")
            for url in (
                "http://marked@localhost:3000",
                "http://localhost:3000/?marked",
                "http://localhost:3000/#marked",
                " http://localhost:3000/marked",
            )
        ),
        ("CORS_ORIGINS", ",", "is not an origin"),
        ("CORS_ORIGINS", "*", "is not an origin"),
        ("CORS_ORIGINS", "http://localhost:3000,marked", "is not an origin"),
        *(
            ("CORS_ORIGINS", origin, "is not an origin")
            for origin in (
                "http://localhost:3000/marked",
                "http://u:marked@localhost",
                "http://localhost?marked",
                "http://*.marked.example",
                "http://mar ked",
                "http://bücher.marked",
            )
        ),
        ("DATABASE_POOL_SIZE", "0", "is not valid"),
        ("DATABASE_POOL_SIZE", "marked", "is not valid"),
        ("LOG_LEVEL", "marked", "is not valid"),
    ],
)
def test_a_bad_variable_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    with pytest.raises(InvalidSettings) as failed:
        load(monkeypatch, **VALID | {name: value})
    [line] = str(failed.value).splitlines()
    assert re.fullmatch(f"{name} .*{problem}.*: .+", line)
    assert "marked" not in line


def test_secrets_are_measured_in_bytes_and_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, **VALID | {"BETTER_AUTH_SECRET": "é" * 16})
    assert "é" not in repr(settings)
    assert "password" not in repr(settings)


LOCAL = "http://localhost:3000"


@pytest.mark.proves("BA-10")
@pytest.mark.parametrize(
    ("url", "key_set", "origin"),
    [
        (LOCAL, f"{LOCAL}/api/auth/jwks", LOCAL),
        (f"{LOCAL}/", f"{LOCAL}/api/auth/jwks", LOCAL),
        (f"{LOCAL}/api/auth", f"{LOCAL}/api/auth/jwks", LOCAL),
        (f"{LOCAL}/api/auth//", f"{LOCAL}/api/auth/jwks", LOCAL),
        ("https://App.Example.com/Auth", "https://app.example.com/Auth/jwks", "https://app.example.com"),
        ("HTTPS://app.example.com:443", "https://app.example.com:443/api/auth/jwks", "https://app.example.com"),
        ("http://[::1]:80/a/b", "http://[::1]:80/a/b/jwks", "http://[::1]"),
        ("http://[::1]:3000", "http://[::1]:3000/api/auth/jwks", "http://[::1]:3000"),
        ("https://app.example.com:80", "https://app.example.com:80/api/auth/jwks", "https://app.example.com:80"),
    ],
)
def test_the_url_is_read_as_better_auth_reads_it(
    monkeypatch: pytest.MonkeyPatch, url: str, key_set: str, origin: str
) -> None:
    issuer = load(monkeypatch, **VALID, BETTER_AUTH_URL=url).issuer
    assert issuer
    assert (issuer.jwks_url, issuer.issuer, issuer.audiences) == (key_set, origin, (origin,))


@pytest.mark.proves("BA-10")
def test_the_url_of_neon_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = "https://ep-cool-name-a1b2c3d4.neonauth.c-4.us-east-1.aws.neon.tech"
    issuer = load(monkeypatch, DATABASE_URL=NEON, NEON_AUTH_BASE_URL=f"{origin}/neondb/auth/").issuer
    assert issuer
    assert issuer.jwks_url == f"{origin}/neondb/auth/.well-known/jwks.json"
    assert (issuer.issuer, issuer.audiences) == (origin, (origin, f"{origin}/neondb/auth"))
    assert not issuer.needs_audience


OVERRIDES = {
    "BETTER_AUTH_JWKS_URL": "http://localhost:3000/keys.json",
    "BETTER_AUTH_ISSUER": "todo/",
    "BETTER_AUTH_AUDIENCE": "api://todo",
}


@pytest.mark.proves("BA-10")
@pytest.mark.parametrize("name", OVERRIDES)
def test_options_of_the_jwt_plugin_replace_what_is_derived(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    issuer = load(monkeypatch, **VALID, BETTER_AUTH_URL=LOCAL, **{name: OVERRIDES[name]}).issuer
    assert issuer
    given = name.removeprefix("BETTER_AUTH_")
    assert issuer.jwks_url == (OVERRIDES[name] if given == "JWKS_URL" else f"{LOCAL}/api/auth/jwks")
    assert issuer.issuer == ("todo" if given == "ISSUER" else LOCAL)
    assert issuer.audiences == ((OVERRIDES[name] if given == "AUDIENCE" else LOCAL),)
    assert issuer.needs_audience


@pytest.mark.proves("BA-10", "CLI-6")
@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({}, ["BETTER_AUTH_SECRET is not set: put the frontend's secret, at least 32 bytes long, into .env"]),
        (
            {"BETTER_AUTH_URL": LOCAL, "NEON_AUTH_BASE_URL": f"{LOCAL}/neondb/auth"},
            [
                "BETTER_AUTH_URL is set beside NEON_AUTH_BASE_URL: leave out one of the two",
                "NEON_AUTH_BASE_URL is set beside BETTER_AUTH_URL: leave out one of the two",
            ],
        ),
        (
            OVERRIDES | {"NEON_AUTH_BASE_URL": f"{LOCAL}/neondb/auth"},
            [f"{name} is set without BETTER_AUTH_URL: set that too, or leave this out" for name in OVERRIDES],
        ),
        (
            {"BETTER_AUTH_URL": "x", "BETTER_AUTH_JWKS_URL": "y", "BETTER_AUTH_SECRET": "z", "LOG_LEVEL": "loud"},
            [
                f"BETTER_AUTH_SECRET is too short, 1 bytes: {HINTS['BETTER_AUTH_SECRET']}",
                "BETTER_AUTH_URL is not a plain http or https URL: give Better Auth's base URL, such as"
                " http://localhost:3000, or leave it out",
                "BETTER_AUTH_JWKS_URL is not a plain http or https URL: give the whole URL of the key set,"
                " or leave it out",
                "LOG_LEVEL is not valid: give debug, info, warning, error or critical, or leave it out",
            ],
        ),
    ],
)
def test_variables_that_do_not_go_together(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], lines: list[str]
) -> None:
    with pytest.raises(InvalidSettings) as failed:
        load(monkeypatch, DATABASE_URL=NEON, **variables)
    assert str(failed.value).splitlines() == lines


@pytest.mark.proves("BA-10", "CLI-7")
@pytest.mark.parametrize("name", ["BETTER_AUTH_URL", "NEON_AUTH_BASE_URL"])
def test_the_secret_may_be_left_out_where_there_is_a_key_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert load(monkeypatch, DATABASE_URL=NEON, **{name: LOCAL}).secret is None
    ended = run(folder, "token", **{name: LOCAL})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("BETTER_AUTH_SECRET is not set: ")


def test_default_ports_are_left_out_of_origins_as_browsers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, **VALID, CORS_ORIGINS="http://a:80,https://b:443,http://c:443,http://[::1]:3000")
    assert settings.cors_origins == ("http://a", "https://b", "http://c:443", "http://[::1]:3000")


@pytest.mark.proves("CLI-6")
@pytest.mark.parametrize("content", ["# caf\xe9".encode("latin-1"), "DATABASE_URL=x".encode("utf-16")])
def test_a_file_that_is_not_text_is_one_line(folder: Path, content: bytes) -> None:
    (folder / ".env").write_bytes(content)
    for command in ("serve", "dev"):
        ended = run(folder, command)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
        assert ended.stderr.startswith(".env cannot be read: ")


@pytest.mark.proves("ENV-1")
def test_a_variable_may_be_made_of_others_as_for_nextjs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("BETTER_AUTH_SECRET='${OTHER}" + "x" * 32 + "$y'\n")
    assert load(monkeypatch, OTHER="z", DATABASE_URL=NEON).secret == b"z" + b"x" * 32 + b"$y"


@pytest.mark.proves("CLI-6")
def test_lines_that_are_nobodys_are_passed_over(folder: Path) -> None:
    (folder / ".env").write_text("what is this?\nBETTER_AUTH_SECRET=short\n")
    ended = run(folder, "token")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


@pytest.mark.proves("CLI-6")
def test_serve_tells_every_bad_variable_on_a_line_of_its_own(folder: Path) -> None:
    ended = run(folder, "serve", BETTER_AUTH_SECRET="short", LOG_LEVEL="loud", CORS_ORIGINS="*")
    assert (ended.returncode, ended.stdout) == (2, "")
    named = [line.split()[0] for line in ended.stderr.splitlines()]
    assert sorted(named) == ["BETTER_AUTH_SECRET", "CORS_ORIGINS", "DATABASE_URL", "LOG_LEVEL"]
    assert "short" not in ended.stderr.replace("is too short", "")


@pytest.mark.proves("ENV-3")
@pytest.mark.parametrize("document", ["docs/spec.md", ".env.example", "docs/better-auth.md"])
def test_every_variable_is_documented(document: str) -> None:
    """.env.example has those of the two usual setups, docs/better-auth.md what any Better Auth needs."""
    text = (ROOT / document).read_text()
    assert {name.upper() for name in Settings.model_fields} == set(HINTS)
    rare = {"NEON_AUTH_BASE_URL", *OVERRIDES}
    expected = {
        "docs/spec.md": set(HINTS),
        "docs/better-auth.md": {"BETTER_AUTH_URL", "BETTER_AUTH_SECRET", *rare},
    }.get(document, set(HINTS) - rare)
    named = {name for name in HINTS if f"`{name}`" in text or f"{name}=" in text}
    assert expected <= named if document == "docs/better-auth.md" else expected == named
