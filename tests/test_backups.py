"""The ways to make and restore a backup that docs/shared-database.md has, each run as it stands there."""

import re
from pathlib import Path

import psycopg
import pytest

from tests.rig.neighbours import served, sh
from tests.rig.postgres import Server

PAGE = (Path(__file__).parent.parent / "docs" / "shared-database.md").read_text()
*WAYS, ROWS_ALONE = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.proves("SHARE-4")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.partition("\n")[0])
def test_a_restored_backup_is_served(strict: Server, way: str, tmp_path: Path) -> None:
    database = strict.new_database()
    served(strict.url(database), "one", "two")
    if "TEMPLATE" in way:
        copy = f"{database}_copy"
        way = way.replace("neondb", database).replace("copy TEMPLATE", f"{copy} TEMPLATE")
    else:
        copy = strict.new_database()
    sh(tmp_path, strict, way, DATABASE_URL=strict.url(database), NEW_DATABASE_URL=strict.url(copy))
    assert served(strict.url(copy), "three") == {1: "one", 2: "two", 3: "three"}


@pytest.mark.proves("SHARE-4")
def test_rows_are_brought_back_into_a_table_that_was_made_again(strict: Server, tmp_path: Path) -> None:
    url = strict.url(strict.new_database())
    served(url, "one", "two")
    sh(tmp_path, strict, WAYS[0].splitlines()[1], DATABASE_URL=url)
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE tasks")
    assert served(url) == {}
    sh(tmp_path, strict, ROWS_ALONE, DATABASE_URL=url)
    assert served(url, "three") == {1: "one", 2: "two", 3: "three"}
