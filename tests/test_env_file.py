"""`.env` as people write it."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import dotenv
import pytest

from tests.frontend import FOLDER, require
from tests.service import SECRET, Service, invoke, run
from tests.test_settings import NEON
from todo_backend.settings import HINTS, InvalidSettings, Settings, env_file

GOOD = f"DATABASE_URL={NEON}\nBETTER_AUTH_SECRET={SECRET}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in HINTS:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


UNREADABLE = [
    ('DATABASE_URL="{}\n', 1, "DATABASE_URL"),
    ("# mine\n\nDATABASE_URL='{}\n", 3, "DATABASE_URL"),
    ('DATABASE_URL={}\nBETTER_AUTH_SECRET="marked', 2, "BETTER_AUTH_SECRET"),
    ('DATABASE_URL="{}" and more\n', 1, "DATABASE_URL"),
    ('DATABASE_URL="{}\nOTHER="\n', 1, "DATABASE_URL"),
    ("DATABASE_URL: {}\n", 1, "DATABASE_URL"),
    ("DATABASE_URL:{}\n", 1, "DATABASE_URL"),
    ("DATABASE_URL {}\n", 1, "DATABASE_URL"),
    ("DATABASE_URL\n", 1, "DATABASE_URL"),
    ("DATABASE_URL={}\nexport DATABASE_URL\n", 2, "DATABASE_URL"),
    ("database_url={}\n", 1, "DATABASE_URL"),
    ("Database_Url={}\n", 1, "DATABASE_URL"),
    ("export database_url={}\n", 1, "DATABASE_URL"),
    ("DATABASE_URL={}\nlog_level=debug\n", 2, "LOG_LEVEL"),
    ("set DATABASE_URL={}\n", 1, "DATABASE_URL"),
    ('$env:DATABASE_URL = "{}"\n', 1, "DATABASE_URL"),
    ('declare -x DATABASE_URL="{}"\n', 1, "DATABASE_URL"),
    ("- DATABASE_URL={}\n", 1, "DATABASE_URL"),
    ('  "DATABASE_URL": "{}",\n', 1, "DATABASE_URL"),
    ("\u200bDATABASE_URL={}\n", 1, "DATABASE_URL"),
    ("DATABASE_URL\uff1d{}\n", 1, "DATABASE_URL"),
    ('OTHER="marked\nDATABASE_URL={}\nLAST="marked"\n', 2, "DATABASE_URL"),
    ("OTHER='it's'\r\n\r\nexport DATABASE_URL = '{}\r\n", 3, "DATABASE_URL"),
    ("OTHER=\"marked\nDATABASE_URL={}\nLAST='x'\"\n", 2, "DATABASE_URL"),
]


@pytest.mark.proves("ENV-4")
@pytest.mark.parametrize(("content", "number", "name"), UNREADABLE)
def test_a_line_that_does_not_set_its_variable_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: str, number: int, name: str
) -> None:
    (folder / ".env").write_text(content.format(NEON), newline="")
    if name != "BETTER_AUTH_SECRET":
        monkeypatch.setenv("BETTER_AUTH_SECRET", SECRET)
    with pytest.raises(InvalidSettings) as failed:
        Settings.load()
    [line] = str(failed.value).splitlines()
    assert re.fullmatch(f"{name} in line {number} of .env cannot be read: .+", line)
    assert "marked" not in line
    assert NEON not in line


@pytest.mark.proves("ENV-4")
@pytest.mark.parametrize(
    ("content", "fix"),
    [
        ("database_url=marked", "write DATABASE_URL=value, the name in upper case, each quotation mark closed"),
        ('X="marked\nDATABASE_URL=marked\nY="', "close the quotation mark that line 1 opens"),
    ],
)
def test_the_fix_is_told(folder: Path, content: str, fix: str) -> None:
    (folder / ".env").write_text(f"{content}\nBETTER_AUTH_SECRET={SECRET}")
    with pytest.raises(InvalidSettings, match=f": {fix}$"):
        Settings.load()


@pytest.mark.proves("ENV-4")
def test_several_lines_are_told_with_what_else_is_bad(folder: Path) -> None:
    (folder / ".env").write_text("database_url=x\nBETTER_AUTH_SECRET=short\nDATABASE_URL: x\nCORS_ORIGINS='\n")
    with pytest.raises(InvalidSettings) as failed:
        Settings.load()
    lines = sorted(line.split(": ")[0] for line in str(failed.value).splitlines())
    assert lines == [
        "BETTER_AUTH_SECRET is too short, 5 bytes",
        "CORS_ORIGINS in line 4 of .env cannot be read",
        "DATABASE_URL in line 1 and line 3 of .env cannot be read",
    ]


@pytest.mark.proves("ENV-4")
@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        "\ufeff" + GOOD.replace("\n", "\r\n"),
        "".join(f"export {line}\n" for line in GOOD.splitlines()),
        "".join(f"  {line.replace('=', ' = ', 1)}  # mine\n" for line in GOOD.splitlines()),
        "".join(f'{line.replace("=", chr(61) + chr(34), 1)}"\n' for line in GOOD.splitlines()),
        # What is not ours, and comments.
        f"{GOOD}# DATABASE_URL: x\n// DATABASE_URL: x\n; database_url=x\nMY_DATABASE_URL: x\nDATABASE_URL_2: x\n",
        f'{GOOD}what is this?\nOTHER="open\nlast: DATABASE_URL\nX=database_url\n',
        f"{GOOD}PEM='-----BEGIN\nPUBLIC=\nKEY-----'\n",
    ],
)
def test_lines_that_people_have_are_read(folder: Path, content: str) -> None:
    (folder / ".env").write_bytes(content.encode())
    settings = Settings.load()
    assert settings.secret == SECRET.encode()
    assert settings.database_url.get_secret_value() == NEON


@pytest.mark.proves("ENV-4")
def test_names_in_the_environment_are_upper_case_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", NEON)
    monkeypatch.setenv("BETTER_AUTH_SECRET", SECRET)
    monkeypatch.setenv("log_level", "loud")
    assert Settings.load().log_level == "info"


@pytest.mark.proves("ENV-4")
def test_dev_writes_and_starts_nothing(folder: Path) -> None:
    content = 'DATABASE_URL: marked\nlog_level=marked\nBETTER_AUTH_SECRET="marked'
    (folder / ".env").write_text(content)
    for command in ("dev", "serve"):
        ended = run(folder, command)
        assert (ended.returncode, ended.stdout) == (2, "")
        told = {tuple(line.split(" of ")[0].split(" in ")) for line in ended.stderr.splitlines()}
        assert told == {("DATABASE_URL", "line 1"), ("LOG_LEVEL", "line 2"), ("BETTER_AUTH_SECRET", "line 3")}
        assert "marked" not in ended.stderr
    assert [path.name for path in folder.iterdir()] == [".env"]
    assert (folder / ".env").read_text() == content


@pytest.mark.proves("ENV-4", "BA-6")
def test_check_tells_the_line(folder: Path) -> None:
    (folder / ".env").write_text(f"DATABASE_URL='marked\nBETTER_AUTH_SECRET={SECRET}\n")
    ended = invoke(folder, "check")
    assert ended.returncode == 1
    assert "FAIL  Settings   DATABASE_URL in line 1 of .env cannot be read\n" in ended.stdout
    assert "marked" not in ended.stdout


@pytest.mark.proves("ENV-4")
def test_a_line_whose_variable_the_environment_sets_is_told_and_not_fatal(folder: Path) -> None:
    (folder / ".env").write_text("OTHER=1\nLog_Level: marked\n")
    line = "LOG_LEVEL in line 2 of .env cannot be read: "
    settings = {
        "LOG_LEVEL": "info",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x",
        "BETTER_AUTH_SECRET": SECRET,
    }
    for command in ("serve", "dev"):
        ended = run(folder, command, "--host", "192.0.2.1", **settings)  # the next step, which fails
        assert ended.stderr.startswith(line)
        assert ended.stderr.splitlines()[1].startswith("Cannot listen on ")
        assert "marked" not in ended.stderr
    checked = invoke(folder, "check", **settings)
    assert (
        "note  .env       LOG_LEVEL in line 2 of .env cannot be read, but the environment sets it" in checked.stdout
    )
    assert "FAIL  Settings" not in checked.stdout


# Values as they stand in the file, of variables V0, V1, ... that both read.
VALUES = r"""
plain
two words
'single'
"double"
`backtick`
a#b
a #b
'a#b'
"a#b"
a$b
$OTHER
${OTHER}
${MISSING:-default}
'$OTHER'
'${OTHER}'
a$
\$OTHER
"\$OTHER"
a\b
a\nb
"a\nb"
'a\nb'
"a\tb"
'a\\b'
"a\\b"
it's
'it\'s'
"it's"
"say \"x\""
say "x"
'"both"'
"'both'"
trailing # comment
"quoted" # comment
'quoted' # it's
=equals=
a=b
# comment
""
''
postgresql://u:p%40ss@h/db?sslmode=require&channel_binding=require
postgresql://u:p#ss@h/db?sslmode=require&channel_binding=require
'postgresql://u:p$ss@h/db'
é☃
$V0
${V1}
a:b
a;b
!@%^&*()-_+[]{}|,.<>/?~
"""
LINES = [f"V{number}={value}" for number, value in enumerate(VALUES.strip("\n").split("\n"))]
READER = """
const { parsedEnv } = require("@next/env").loadEnvConfig(process.argv[1], true, { info() {}, error() {} });
console.log(JSON.stringify(parsedEnv));
"""


def read_by_nextjs(folder: Path) -> dict[str, str]:
    """Return what @next/env, the part of Next.js that reads `.env`, makes of the one in a folder."""
    require(
        "Node with @next/env (npm ci in tests/better_auth)", present=(FOLDER / "node_modules/@next/env").exists()
    )
    node = subprocess.run(["node", "-e", READER, folder], cwd=FOLDER, capture_output=True, check=True)
    values: dict[str, str] = json.loads(node.stdout)
    return values


@pytest.mark.proves("ENV-5")
def test_what_nextjs_reads_differently_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", "other")
    (folder / ".env").write_text("\n".join(LINES) + "\n")
    ours, theirs = dotenv.dotenv_values(".env"), read_by_nextjs(folder)
    assert list(ours) == list(theirs) == [line.split("=")[0] for line in LINES]
    different = {name: number for number, name in enumerate(ours, 1) if ours[name] != theirs[name]}
    assert env_file.nextjs_differences(ours) == different
    assert 10 < len(different) < len(ours) - 25


@pytest.mark.proves("ENV-5")
@pytest.mark.parametrize(
    "content",
    [
        "X=\"open\nDATABASE_URL=a'b\n",
        "'DATABASE_URL'=a\n",
        "DATABASE_URL=a\u2028b\n",
        "DATABASE_URL=$DATABASE_URL\n",
        "DATABASE_URL: a\nDATABASE_URL=b\n",
        "export DATABASE_URL=\t'a'\r\n",
        "\ufeffDATABASE_URL=a\n",
        "DATABASE_URL\n",
    ],
)
def test_what_other_lines_do_to_nextjs_is_found(folder: Path, content: str) -> None:
    (folder / ".env").write_text(content, newline="")
    different = dotenv.dotenv_values(".env").get("DATABASE_URL") != read_by_nextjs(folder).get("DATABASE_URL")
    assert (env_file.nextjs_differences(["DATABASE_URL"]) != {}) == different


@pytest.mark.proves("ENV-5")
def test_the_file_of_nextjs_is_not_read(folder: Path, service: Service, url: Callable[[str], str]) -> None:
    (folder / ".env").write_text(f"DATABASE_URL={url('shared')}\nBETTER_AUTH_SECRET=\n")
    (folder / ".env.local").write_text(f"BETTER_AUTH_SECRET={SECRET}\n")
    note = ".env.local is not read here: put what this service needs into .env\n"
    assert invoke(folder, "dev", BETTER_AUTH_SECRET="short").stderr.startswith(note)
    checked = invoke(folder, "check")
    assert checked.stdout.startswith("FAIL  Settings   BETTER_AUTH_SECRET is not set")
    assert "note  .env.local  It is not read here\n" in checked.stdout


@pytest.mark.proves("ENV-5", "BA-6")
@pytest.mark.parametrize(
    ("written", "fixed"),
    [
        (f"{SECRET}#x", f"'{SECRET}#x'"),
        (f"'{SECRET}$x'", f"'{SECRET}x'"),
        (f"'{SECRET}\\\\x'", f"'{SECRET}x'"),
        (f'"{SECRET}\\\\x"', f"'{SECRET}x'"),
        (f'"{SECRET}\\"x"', f"'{SECRET}x'"),
        (f"`{SECRET}`", f"'{SECRET}'"),
    ],
)
def test_check_notes_what_nextjs_reads_differently(
    folder: Path, service: Service, url: Callable[[str], str], written: str, fixed: str
) -> None:
    (folder / ".env").write_text(f"# of Next.js too\nBETTER_AUTH_SECRET={written}\nDATABASE_URL={url('shared')}\n")
    noted = invoke(folder, "check")
    assert "note  .env       BETTER_AUTH_SECRET in line 2 of .env has another value for Next.js" in noted.stdout
    assert "Write BETTER_AUTH_SECRET='value'" in noted.stdout
    assert SECRET not in noted.stdout
    (folder / ".env").write_text(f"BETTER_AUTH_SECRET={fixed}\nDATABASE_URL={url('shared')}\n")
    followed = invoke(folder, "check")
    assert "note" not in followed.stdout
    assert noted.returncode == followed.returncode == 0


def test_check_says_once_that_the_file_is_not_text(folder: Path) -> None:
    (folder / ".env").write_bytes(b"# caf\xe9")
    ended = invoke(folder, "check")
    assert ended.returncode == 1
    assert ended.stdout.count(".env cannot be read") == 1


@pytest.mark.proves("ENV-1", "BA-6")
def test_check_notes_a_variable_that_the_environment_overrides(
    folder: Path, service: Service, url: Callable[[str], str]
) -> None:
    (folder / ".env").write_text(f"BETTER_AUTH_SECRET={SECRET}\nDATABASE_URL={url('shared')}\nLOG_LEVEL=info\n")
    same = {"DATABASE_URL": url("shared"), "LOG_LEVEL": ""}
    assert "note" not in invoke(folder, "check", **same).stdout
    noted = invoke(folder, "check", BETTER_AUTH_SECRET="marked" * 6, **same)
    assert (noted.returncode, noted.stdout.count("note")) == (0, 1)
    assert "BETTER_AUTH_SECRET of .env is not used: the environment has another value\n" in noted.stdout
    assert "Unset BETTER_AUTH_SECRET in the environment" in noted.stdout
    assert "marked" not in noted.stdout
