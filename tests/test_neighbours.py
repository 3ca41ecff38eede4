"""A database that Better Auth and Drizzle use too: docs/shared-database.md."""

import asyncio
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.frontend import require
from tests.rig import pgbouncer
from tests.rig.load import load
from tests.rig.neighbours import Frontend, served
from tests.rig.postgres import PASSWORD, Server
from tests.service import SECRET, Service, invoke, serving
from todo_backend.database.adoption_plan import OLD_TABLE

pytestmark = pytest.mark.xdist_group("neighbours")

FOLDER = Path(__file__).parent / "neighbours"
PAGE = (FOLDER.parent.parent / "docs" / "shared-database.md").read_text()
[STATEMENTS] = re.findall(r"```sql\n(CREATE ROLE .*?)```", PAGE.replace("choose a long one", PASSWORD), re.DOTALL)
[INCLUDE_OBJECT] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

OURS = {"tasks", "todo_backend_version"}
BETTER_AUTH = {"user", "session", "account", "verification", "jwks"}
DRIZZLE = {"user", "session"}


@pytest.fixture
def frontend(tmp_path: Path, strict: Server) -> Frontend:
    modules = FOLDER / "node_modules"
    require(
        "Node with drizzle-kit (npm ci in tests/neighbours)",
        present=modules.exists() and bool(shutil.which("node")),
    )
    folder = tmp_path / "frontend"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(modules)
    database = strict.new_database()
    return Frontend(folder, strict, database, strict.url(database))


NEIGHBOURS = pytest.mark.parametrize(
    ("migrate", "theirs"), [(Frontend.better_auth, BETTER_AUTH), (Frontend.drizzle_migrate, DRIZZLE)]
)


@pytest.mark.proves("SHARE-1")
@NEIGHBOURS
def test_a_neighbour_migrates_after_the_service(
    frontend: Frontend, migrate: Callable[[Frontend], set[str]], theirs: set[str]
) -> None:
    served(frontend.url, "kept")
    assert migrate(frontend) == theirs
    assert served(frontend.url) == {1: "kept"}
    assert migrate(frontend) == set()
    assert served(frontend.url) == {1: "kept"}
    assert frontend.tables() == OURS | theirs


@pytest.mark.proves("SHARE-1")
@NEIGHBOURS
def test_a_neighbour_migrates_before_the_service(
    frontend: Frontend, migrate: Callable[[Frontend], set[str]], theirs: set[str]
) -> None:
    assert migrate(frontend) == theirs
    served(frontend.url, "kept")
    assert migrate(frontend) == set()
    assert served(frontend.url) == {1: "kept"}
    assert frontend.tables() == OURS | theirs


@pytest.mark.proves("SHARE-2")
def test_drizzle_push_asks_before_it_drops_what_has_rows(frontend: Frontend) -> None:
    """An empty table is not among those that it names."""
    frontend.drizzle_kit("push")
    served(frontend.url)
    asked = frontend.drizzle_kit("push")
    assert "delete todo_backend_version table with 1 items" in asked
    assert "delete tasks table" not in asked
    served(frontend.url, "kept")
    assert "delete tasks table with 1 items" in frontend.drizzle_kit("push")
    assert served(frontend.url) == {1: "kept"}
    assert frontend.tables() == OURS | DRIZZLE


@pytest.mark.proves("SHARE-2")
def test_what_drizzle_push_drops_is_made_again(
    tmp_path: Path, frontend: Frontend, caplog: pytest.LogCaptureFixture
) -> None:
    frontend.drizzle_kit("push")
    with serving(tmp_path, frontend.url) as service, service.client("ada") as client:
        assert client.post("/api/tasks", json={"title": "lost"}).status_code == 201
        assert "Changes applied" in frontend.drizzle_kit("push --force")
        assert frontend.tables() == DRIZZLE
        assert client.get("/api/tasks").status_code == 503
    assert served(frontend.url) == {}
    assert "public.tasks" in caplog.text
    assert frontend.tables() == OURS | DRIZZLE


@pytest.mark.proves("SHARE-2")
def test_drizzle_push_with_a_filter_keeps_the_tables_and_ends_with_an_error(frontend: Frontend) -> None:
    """The filter is not for sequences: drizzle-kit tries to drop that of `tasks.id`, after everything else."""
    frontend.drizzle_kit("push")
    served(frontend.url, "kept")
    pushed = frontend.drizzle_kit("push --force", SCHEMA="./later.ts", TABLES="!tasks !todo_backend_version")
    assert "cannot drop sequence tasks_id_seq because column id of table tasks requires it" in pushed
    assert "Changes applied" not in pushed
    assert served(frontend.url) == {1: "kept"}
    assert frontend.tables() == OURS | DRIZZLE | {"account"}


@pytest.mark.proves("SHARE-2")
def test_what_drizzle_pulled_it_can_push(frontend: Frontend) -> None:
    frontend.drizzle_kit("push")
    served(frontend.url, "kept")
    frontend.drizzle_kit("pull")
    assert "No changes detected" in frontend.drizzle_kit("push", SCHEMA="./drizzle/schema.ts")
    assert served(frontend.url) == {1: "kept"}


@dataclass
class EarlierProject:
    """A FastAPI project with tests/neighbours/models.py and Alembic, whose `tasks` the service takes over."""

    frontend: Frontend

    def alembic(self, arguments: str) -> None:
        self.frontend.sh(f"{sys.executable} -m alembic {arguments}")

    def create_all(self) -> None:
        engine = "create_engine(os.environ['DATABASE_URL'].replace(':', '+psycopg:', 1))"
        program = f"import os; from models import *; from sqlmodel import *; SQLModel.metadata.create_all({engine})"
        self.frontend.sh(f'{sys.executable} -c "{program}"')

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.frontend.folder / "migrations" / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def autogenerate(self, name: str) -> str:
        """Compare the models with the database, and return the migration to the models."""
        self.alembic(f"revision --autogenerate -m {name}")
        [file] = (self.frontend.folder / "migrations" / "versions").glob(f"*_{name}.py")
        return file.read_text().partition("def upgrade")[2].partition("def downgrade")[0]

    def start(self) -> None:
        """Start the project as its first user does: make its table, and a task."""
        url = self.frontend.url.replace("postgresql:", "postgresql+psycopg:").replace("%", "%%")
        self.alembic("init migrations")
        self.edit("script.py.mako", "import sqlalchemy as sa", "import sqlalchemy as sa\nimport sqlmodel")
        settings = f"config.set_main_option('sqlalchemy.url', {url!r})\nfrom models import SQLModel\n"
        self.edit("env.py", "target_metadata = None", f"{settings}target_metadata = SQLModel.metadata")
        assert "op.create_table('tasks'" in self.autogenerate("first")
        self.alembic("upgrade head")
        task = "INSERT INTO tasks VALUES (1, 'ada', 'kept', NULL, 'low', false, now(), now())"
        self.frontend.server.execute(task, self.frontend.database)


@pytest.fixture
def adopted(tmp_path: Path, frontend: Frontend) -> EarlierProject:
    project = EarlierProject(frontend)
    project.start()
    frontend.better_auth()
    invoke(tmp_path, "adopt", "--yes", DATABASE_URL=frontend.url, BETTER_AUTH_SECRET=SECRET)
    assert served(frontend.url) == {1: "kept"}
    return project


@pytest.mark.proves("SHARE-2")
def test_the_alembic_of_an_earlier_project_would_undo_everything(adopted: EarlierProject) -> None:
    adopted.create_all()
    assert served(adopted.frontend.url) == {1: "kept"}
    migration = adopted.autogenerate("undo")
    assert set(re.findall(r"drop_table\('(\w+)'\)", migration)) == (OURS - {"tasks"}) | BETTER_AUTH | {OLD_TABLE}
    assert "op.add_column('tasks', " in migration
    assert "op.alter_column('tasks', 'id'" in migration


@pytest.mark.proves("SHARE-2")
def test_the_alembic_of_an_earlier_project_with_the_lines_of_the_page(adopted: EarlierProject) -> None:
    """It goes on with its other tables."""
    adopted.edit("env.py", "def run_migrations_offline", f"{INCLUDE_OBJECT}\n\ndef run_migrations_offline")
    adopted.edit("env.py", "target_metadata=", "include_object=include_object, target_metadata=")
    assert "    pass\n" in adopted.autogenerate("nothing")
    with (adopted.frontend.folder / "models.py").open("a") as models:
        models.write("\n\nclass Team(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n")
    adopted.alembic("upgrade head")
    assert re.findall(r"op\.(\w+\('\w+')", adopted.autogenerate("more")) == ["create_table('team'"]
    adopted.alembic("upgrade head")
    assert served(adopted.frontend.url) == {1: "kept"}
    assert adopted.frontend.tables() == OURS | BETTER_AUTH | {OLD_TABLE, "alembic_version", "team"}


def make_neondb(execute: Callable[[str], object]) -> None:
    """Make a database with the names and rights of Neon's: its owner is no superuser."""
    execute(f"CREATE ROLE neondb_owner LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'")
    execute("GRANT pg_read_all_data, pg_write_all_data TO neondb_owner")
    execute("CREATE DATABASE neondb OWNER neondb_owner")


def drop_neondb(execute: Callable[[str], object]) -> None:
    execute("DROP DATABASE neondb WITH (FORCE)")
    execute("DROP ROLE todo, neondb_owner")


@pytest.fixture
def neondb(frontend: Frontend) -> Iterator[Frontend]:
    server = frontend.server
    make_neondb(server.execute)
    yield Frontend(frontend.folder, server, "neondb", server.url("neondb").replace("me:", "neondb_owner:"))
    drop_neondb(server.execute)


def give_it_a_schema(owner: str) -> None:
    """Run what the page says, and see that the owner of the database can no longer drop the table."""
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(STATEMENTS.encode())
        with pytest.raises(InsufficientPrivilege):
            connection.execute("DROP TABLE todo.tasks")


@pytest.mark.proves("SHARE-3")
def test_a_role_and_a_schema_of_its_own(tmp_path: Path, neondb: Frontend) -> None:
    """The others push and restore beside it, through the pooler, and the service does not notice."""
    served(neondb.url, "kept")
    give_it_a_schema(neondb.url)

    def neighbours() -> None:
        neondb.drizzle_kit("push --force")
        neondb.drizzle_kit("push --force", SCHEMA="./later.ts")
        neondb.sh('pg_dump -Fc -t account -f account.dump "$DATABASE_URL"')
        neondb.sh('pg_restore --clean -d "$DATABASE_URL" account.dump')

    async def beside_each_other(service: Service) -> None:
        async with load(service) as books:
            await asyncio.to_thread(neighbours)
        assert books.acknowledged > 0
        assert books.statuses.keys() == {200, 201}
        await books.verify(service)

    with pgbouncer.running(neondb.server, users=("neondb_owner", "todo")) as port:
        direct, pooled = f"localhost:{neondb.server.port}", f"localhost:{port}"
        neondb.url = neondb.url.replace(direct, pooled).replace("&channel_binding=require", "")
        with serving(tmp_path, neondb.url.replace("neondb_owner:", "todo:")) as service:
            asyncio.run(beside_each_other(service))
            with service.client("ada") as client:
                assert [task["title"] for task in client.get("/api/tasks").json()] == ["kept"]
        with psycopg.connect(neondb.url) as left_behind:
            assert left_behind.execute("SHOW search_path").fetchone() == ("",)
    assert neondb.tables("todo") == OURS
    assert neondb.tables() == DRIZZLE | {"account"}


@pytest.mark.proves("SHARE-3")
def test_a_role_and_a_schema_of_its_own_on_postgresql_18(
    admin: psycopg.Connection, url: Callable[[str], str]
) -> None:
    """Since 16 a role that may make others is not a member of them."""

    def execute(statement: str) -> object:
        return admin.execute(statement.encode())

    make_neondb(execute)
    owner = url("neondb").replace("postgres@", "neondb_owner@")
    served(owner, "kept")
    give_it_a_schema(owner)
    assert served(owner.replace("neondb_owner@", "todo@")) == {1: "kept"}
    drop_neondb(execute)
