"""Faults of the database's setup that are met while serving: none of them is an outage."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from tests.rig import pgbouncer
from tests.rig.application import Application, migrate, new_application
from tests.rig.postgres import PASSWORD, Server
from tests.service import SECRET, Service, invoke, serving
from tests.test_database import assert_unavailable
from todo_backend.database.startup import PermanentDatabaseError


@pytest.fixture(scope="module")
def application(admin: psycopg.Connection, url: Callable[[str], str]) -> Application:
    admin.execute("CREATE DATABASE refused")
    return new_application("refused", url)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, application: Application) -> Iterator[Service]:
    """The service as a role that has the four privileges on tasks, and SELECT on the version."""
    with serving(tmp_path_factory.mktemp("application"), application.url) as service:
        yield service


def new_lines(service: Service, action: Callable[[], httpx2.Response]) -> tuple[httpx2.Response, str]:
    """Return the answer, and what was logged meanwhile."""
    before = len(service.log.read_text())
    answer = action()
    return answer, service.log.read_text()[before:]


@pytest.mark.proves("FAIL-4")
def test_five_privileges_suffice(app: Service) -> None:
    with app.client("me") as client:
        task = client.post("/api/tasks", json={"title": "x"}).json()
        path = f"/api/tasks/{task['id']}"
        assert client.put(path, json={"title": "y"}).status_code == 200
        assert client.patch(f"{path}/complete").json()["completed"]
        assert len(client.get("/api/tasks").json()) == 1
        assert client.delete(path).status_code == 200


@pytest.mark.proves("DATA-7")
def test_a_missing_privilege_ends_the_start(application: Application) -> None:
    application.execute(f"REVOKE INSERT, UPDATE ON tasks FROM {application.role}")
    try:
        with pytest.raises(
            PermanentDatabaseError, match=r"INSERT, UPDATE missing on public\.tasks\. .* privileges\.$"
        ):
            migrate(application.url)
    finally:
        application.execute(f"GRANT INSERT, UPDATE ON tasks TO {application.role}")
    migrate(application.url)


FAULTS = {
    "privilege": (
        ["REVOKE UPDATE ON tasks FROM {role}"],
        "permission denied for table tasks. `todo-backend check` prints",
        ["GRANT UPDATE ON tasks TO {role}"],
    ),
    "replica identity": (
        ["CREATE PUBLICATION changes FOR TABLE tasks", "ALTER TABLE tasks REPLICA IDENTITY NOTHING"],
        'cannot update table "tasks" because it does not have a replica identity',
        ["DROP PUBLICATION changes", "ALTER TABLE tasks REPLICA IDENTITY DEFAULT"],
    ),
    "row level security": (
        [
            "ALTER TABLE tasks ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY read ON tasks FOR SELECT USING (true)",
            "CREATE POLICY change ON tasks FOR UPDATE USING (true) WITH CHECK (false)",
        ],
        'new row violates row-level security policy for table "tasks"',
        [
            "ALTER TABLE tasks DISABLE ROW LEVEL SECURITY",
            "DROP POLICY read ON tasks",
            "DROP POLICY change ON tasks",
        ],
    ),
}


@pytest.mark.proves("FAIL-2")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_refused_statement_is_an_internal_error_with_its_reason_in_the_log(
    app: Service, application: Application, fault: str
) -> None:
    breaking, reason, mending = FAULTS[fault]
    with app.client("me") as client:
        path = f"/api/tasks/{client.post('/api/tasks', json={'title': 'x'}).json()['id']}/complete"
        application.execute(*(statement.format(role=application.role) for statement in breaking))
        try:
            answer, log = new_lines(app, lambda: client.patch(path))
        finally:
            application.execute(*(statement.format(role=application.role) for statement in mending))
        assert (answer.status_code, answer.json()) == (500, {"detail": "Internal server error"})
        assert f"ERROR The database rejects the statement: {reason}" in log
        assert log.count("\n") == 1
        assert client.patch(path).status_code == 200


@pytest.mark.proves("OWN-2")
def test_a_task_that_appears_after_it_was_not_found(app: Service, application: Application) -> None:
    """A policy stands for the other request: it hides the row once."""
    with app.client("me") as client:
        task_id = client.post("/api/tasks", json={"title": "x"}).json()["id"]
        path = f"/api/tasks/{task_id}"
        application.execute(
            f"CREATE SEQUENCE looks; GRANT USAGE ON looks TO {application.role}",
            f"CREATE POLICY once ON tasks USING (id <> {task_id} OR nextval('looks') > 1)",
            "ALTER TABLE tasks ENABLE ROW LEVEL SECURITY",
        )
        try:
            answer, log = new_lines(app, lambda: client.get(path))
            assert (answer.status_code, answer.json(), log) == (404, {"detail": "Task not found"}, "")
            assert client.get(path).status_code == 200
        finally:
            application.execute(
                "ALTER TABLE tasks DISABLE ROW LEVEL SECURITY", "DROP POLICY once ON tasks", "DROP SEQUENCE looks"
            )


@pytest.mark.proves("FAIL-2")
def test_the_next_id_is_taken(app: Service, application: Application) -> None:
    """As after a restore of rows alone."""
    with app.client("me") as client:
        task = client.post("/api/tasks", json={"title": "x"}).json()
        application.execute(f"SELECT setval('tasks_id_seq', {task['id']}, false)")
        answer, log = new_lines(app, lambda: client.post("/api/tasks", json={"title": "x"}))
        assert answer.status_code == 500
        assert "The next id is taken. `todo-backend check` prints the statement that corrects it.\n" in log
        assert client.post("/api/tasks", json={"title": "x"}).status_code == 201


@pytest.mark.proves("FAIL-2")
def test_a_table_that_is_dropped_is_named(app: Service, application: Application) -> None:
    application.execute("ALTER TABLE tasks RENAME TO elsewhere")
    try:
        with app.client("me") as client:
            answer, log = new_lines(app, lambda: client.get("/api/tasks"))
    finally:
        application.execute("ALTER TABLE elsewhere RENAME TO tasks")
    assert_unavailable(answer)
    assert 'ERROR public.tasks is missing: relation "tasks" does not exist' in log
    assert log.count("\n") == 1


@pytest.mark.proves("FAIL-2")
def test_the_restore_of_a_dump_leaves_its_search_path_behind(tmp_path: Path, strict: Server) -> None:
    """What pg_dump writes sets an empty one for the session, and a pooler lends that to the next client."""
    database = strict.new_database()
    dump = strict.folder / "nothing.sql"
    strict.run("pg_dump", "--exclude-schema=public", f"--file={dump}", *strict.login(database))
    with pgbouncer.running(strict, pool_size=1) as port:
        url = strict.url(database, "?sslmode=require&sslcert=none", port=port)
        with serving(tmp_path, url, DATABASE_POOL_SIZE="1") as service, service.client("me") as client:
            assert client.get("/api/tasks").status_code == 200
            strict.run("psql", f"--file={dump}", url)
            answer, log = new_lines(service, lambda: client.get("/api/tasks"))
            assert_unavailable(answer)
            assert "public.tasks is missing" in log
            assert "left another search_path on a connection of the pooler" in log
            assert log.endswith("without -pooler.\n")
            assert "Traceback" not in log
            checked = invoke(tmp_path, "check", DATABASE_URL=url, BETTER_AUTH_SECRET=SECRET)
            assert "public.tasks is not on the search path ()" in checked.stdout
            assert "A client set it on a connection of the pooler: restart the pooler" in checked.stdout
            strict.end_sessions(database)  # as the restart of the pooler does
            assert client.get("/api/tasks").json() == []


@pytest.mark.proves("FAIL-2")
def test_a_password_that_is_changed(tmp_path: Path, strict: Server) -> None:
    database = strict.new_database()
    # One connection: it is open by now. Of several, one may have given the old password, and not be listed yet.
    service_url = strict.url(database)
    with serving(tmp_path, service_url, DATABASE_POOL_SIZE="1") as service, service.client("me") as client:
        strict.execute("ALTER ROLE me PASSWORD 'another'")
        try:
            strict.end_sessions(database)
            answer, log = new_lines(service, lambda: client.get("/api/tasks"))
        finally:
            strict.execute(f"ALTER ROLE me PASSWORD '{PASSWORD}'")
        assert_unavailable(answer)
        assert "The database rejects the connection: " in log
        assert 'password authentication failed for user "me". Correct the user and the password' in log
        assert "unavailable" not in log
        service.wait_until_healthy(5)
