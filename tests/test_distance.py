"""Far from the database. `python -m tests.distance` measures more of it."""

from pathlib import Path

import pytest

from tests.distance import measure, seconds_to_first_answer
from tests.proxy import Proxy
from tests.rig.postgres import Server


@pytest.mark.proves("REL-10")
@pytest.mark.xdist_group("load")
def test_300_ms_from_the_database(tmp_path: Path, strict: Server) -> None:
    found = measure(strict, tmp_path, 0.3)
    assert found.after_sleep < 9.5 * 0.3  # 8 for a connection, and one
    assert found.tenth < 3 * 0.3
    assert found.wave < 6


@pytest.mark.proves("REL-10")
def test_500_ms_from_the_database(tmp_path: Path, strict: Server) -> None:
    """On an empty database, whose migrations take some round trips, and on one that has its schema."""
    with Proxy(strict.port) as proxy:
        proxy.delay = 0.5
        url = strict.url(strict.new_database(), port=proxy.port)
        assert seconds_to_first_answer(tmp_path, url) < 40
        assert seconds_to_first_answer(tmp_path, url) < 20
