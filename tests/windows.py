"""What of Windows can be had elsewhere: `--windows-settings` runs the service on asyncio's selector event loop.

A test that is marked `posix` needs what Windows does not have (Unix sockets, signals that can be handled, shells).
It is skipped there, and with the option. The service's processes are spawned on every system.
"""

import os
import sys
from pathlib import Path

import pytest

WITHOUT_UVLOOP = str(Path(__file__).parent / "without_uvloop")
NEED_POSIX = {"strict"}  # fixtures that do


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--windows-settings", action="store_true", help="run what runs on Windows, without uvloop")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "posix: needs what Windows does not have")
    if config.getoption("--windows-settings"):
        os.environ["PYTHONPATH"] = WITHOUT_UVLOOP


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if sys.platform == "win32" or config.getoption("--windows-settings"):
        for item in items:
            if item.get_closest_marker("posix") or NEED_POSIX & set(getattr(item, "fixturenames", ())):
                item.add_marker(pytest.mark.skip(reason="Windows does not have what it needs"))


@pytest.fixture
def windows_settings(request: pytest.FixtureRequest) -> bool:
    return bool(sys.platform == "win32" or request.config.getoption("--windows-settings"))
