"""The service with the Next.js application of tests/nextjs/, as its users have one, seen in Chromium."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.rig.nextjs import FOLDER, Site, chromium
from tests.service import Service, bearer
from tests.test_auth import make

pytestmark = pytest.mark.xdist_group("nextjs")

ROOT = Path(__file__).parent.parent
SCREENSHOTS = FOLDER / "screenshots"
TROUBLE = "The server has a problem. Please try again in a moment."
TIMEOUT = 90_000  # milliseconds; `next dev` compiles each route at its first request

expect.set_options(timeout=TIMEOUT)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, admin: psycopg.Connection, url: Callable[[str], str]) -> Site:
    """The application, built, and its database."""
    admin.execute("CREATE DATABASE nextjs")
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    site = Site(tmp_path_factory.mktemp("nextjs"), url("nextjs"))
    site.build()
    return site


@pytest.fixture(scope="module", params=["hs256", "eddsa"])
def backend(site: Site, request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service beside `next start`, whose Better Auth signs in one of the two ways."""
    with site.next("start", SIGNING=request.param.partition(" ")[0]), site.backend() as service:
        yield service


hs256 = pytest.mark.parametrize("backend", ["hs256"], indirect=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(site: Site, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A new visitor's page; what it shows in the end is kept."""
    context = browser.new_context(base_url=site.url)
    context.set_default_timeout(TIMEOUT)
    page = context.new_page()
    crashes: list[object] = []
    page.on("pageerror", lambda error: crashes.append(error))  # noqa: PLW0108  # a bound method of list is refused
    yield page
    page.screenshot(path=SCREENSHOTS / f"{request.node.name}.png", full_page=True)
    context.close()
    assert crashes == []


def go_in(page: Page, user: str, name: str = "") -> None:
    """Sign up with a name, sign in without."""
    page.get_by_placeholder("Name").fill(name)
    page.get_by_placeholder("E-mail").fill(f"{user}@example.com")
    page.get_by_placeholder("Password").fill("a password for tests")
    page.get_by_role("button", name="Go").click()


def visit(site: Site, page: Page, user: str, path: str = "/") -> None:
    """Open a page as a user who signed up elsewhere: Better Auth lets one browser sign up three times in 10 s."""
    site.frontend.sign_up(user)
    jar = site.frontend.cookies[user].jar
    page.context.add_cookies([{"name": one.name, "value": one.value or "", "url": site.url} for one in jar])
    page.goto(path)


def add(page: Page, title: str) -> None:
    page.get_by_placeholder("What is to do?").fill(title)
    page.get_by_role("button", name="Add").click()


def open_task(page: Page, number: object) -> None:
    page.get_by_placeholder("Number").fill(str(number))
    page.get_by_role("button", name="Open", exact=True).click()


def press(page: Page, task: str, button: str) -> None:
    page.get_by_role("listitem").filter(has_text=task).get_by_role("button", name=button).click()


def number_of(page: Page, task: str) -> int:
    return int(page.get_by_role("listitem").filter(has_text=task).get_attribute("value") or "")


def expect_tasks(page: Page, to_do: list[str], done: list[str]) -> None:
    for name, titles in [("To do", to_do), ("Done", done)]:
        rows = page.get_by_role("list", name=name).get_by_role("listitem")
        expect(rows).to_have_count(len(titles))
        expect(rows).to_contain_text(titles)


def expect_message(page: Page, text: str) -> None:
    expect(page.locator("main [role=alert]")).to_have_text(text)
    page.screenshot(path=SCREENSHOTS / f"{text.rstrip('.')}.png")


def use_every_operation(page: Page, user: str, path: str = "/") -> list[str]:
    """Return the URLs of all requests of the page."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path)
    go_in(page, user, "Ada")
    expect_tasks(page, [], [])
    add(page, "Buy milk")
    expect_tasks(page, ["Buy milk"], [])
    add(page, "Sleep")
    expect_tasks(page, ["Buy milk", "Sleep"], [])
    press(page, "Buy milk", "Toggle")
    expect_tasks(page, ["Sleep"], ["Buy milk"])
    open_task(page, number_of(page, "Buy milk"))
    page.get_by_label("Description").fill("Two litres")
    page.get_by_role("button", name="Save").click()
    expect_tasks(page, ["Sleep"], ["Buy milk Two litres"])
    press(page, "Sleep", "Delete")
    expect_tasks(page, [], ["Buy milk Two litres"])
    page.reload()
    expect_tasks(page, [], ["Buy milk Two litres"])
    expect(page.locator("main [role=alert]")).to_have_count(0)
    return requests


@pytest.mark.proves("BA-8", "BA-11", "CORS-1")
def test_every_operation_in_the_browser(site: Site, backend: Service, page: Page, user: str) -> None:
    """All calls of a page share one token; after the reload there is another page."""
    requests = use_every_operation(page, user)
    assert requests.count(f"{site.url}/api/auth/token") == 2
    assert {url.split("/api/")[0] for url in requests if "/api/tasks" in url} == {site.backend_url}


@pytest.mark.proves("BA-11")
def test_every_operation_by_the_server(site: Site, backend: Service, page: Page, user: str) -> None:
    """A server component reads, a server action writes."""
    page.goto("/server")
    expect_message(page, "Please sign in.")
    visit(site, page, user, "/server")
    add(page, "Buy milk")
    title = page.get_by_label("Title")
    expect(title).to_have_value("Buy milk")
    title.fill("Buy oat milk")
    page.get_by_role("button", name="Save").click()
    expect(title).to_have_value("Buy oat milk")
    page.get_by_role("button", name="Toggle").click()
    expect(page.get_by_role("listitem")).to_contain_text("done")
    page.goto(f"/server?task={page.get_by_role('listitem').get_attribute('value')}")
    expect(title).to_have_value("Buy oat milk")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("listitem")).to_have_count(0)


@pytest.mark.proves("BA-8", "BA-12")
@hs256
def test_what_went_wrong_is_a_sentence(site: Site, backend: Service, page: Page, user: str) -> None:
    """The detail of a 403, a 404 and a 422 is shown as it is, by the browser and by the server."""
    with backend.client("somebody else") as client:
        foreign = client.post("/api/tasks", json={"title": "Not Ada's"}).json()["id"]
        invalid = client.post("/api/tasks", json={"title": " "}).json()["detail"]
        no_number = client.get("/api/tasks/x").json()["detail"]
    visit(site, page, user)
    for number, message in [
        (foreign, "You do not own this task"),
        (2**40, "Task not found"),
        ("x", no_number),
    ]:
        open_task(page, number)
        expect_message(page, message)
    add(page, " ")
    expect_message(page, invalid)
    page.goto(f"/server?task={foreign}")
    expect_message(page, "You do not own this task")
    add(page, " ")
    expect_message(page, invalid)


@pytest.mark.proves("BA-12")
@hs256
def test_another_user_of_the_same_browser(backend: Service, page: Page, user: str) -> None:
    """No token outlives its user in a page, also when it is in another tab that somebody signs out."""
    page.goto("/")
    go_in(page, user, "Ada")
    add(page, "Ada's")
    expect_tasks(page, ["Ada's"], [])
    other_tab = page.context.new_page()
    other_tab.goto("/")
    other_tab.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign up or in").wait_for()
    other_tab.close()
    go_in(page, f"{user}-bob", "Bob")
    page.get_by_role("heading", name="Tasks of Bob").wait_for()
    add(page, "Bob's")
    expect_tasks(page, ["Bob's"], [])
    page.get_by_role("button", name="Sign out").click()
    go_in(page, user)
    page.get_by_role("heading", name="Tasks of Ada").wait_for()
    expect_tasks(page, ["Ada's"], [])


EXPIRED = make({"sub": "x", "exp": 1})


@pytest.mark.proves("BA-12")
@hs256
def test_an_expired_token_is_replaced_once(site: Site, backend: Service, page: Page, user: str) -> None:
    """Two calls get a 401 at the same time, and share the next token.

    No test of CORS: once a page has a route, Playwright answers its preflights itself.
    """
    tokens: list[str] = []
    page.on("request", lambda request: tokens.append(request.url) if "/token" in request.url else None)
    page.route("**/api/auth/token", lambda route: route.fulfill(json={"token": EXPIRED}), times=1)
    visit(site, page, user)
    add(page, "Buy milk")
    expect_tasks(page, ["Buy milk"], [])
    assert len(tokens) == 2


@pytest.mark.proves("BA-12")
@hs256
def test_a_session_that_has_ended(
    site: Site, backend: Service, page: Page, user: str, url: Callable[[str], str]
) -> None:
    def end(route: Route) -> None:
        with psycopg.connect(url("nextjs")) as connection:
            connection.execute("DELETE FROM session")
        route.fulfill(json={"token": EXPIRED})

    page.route("**/api/auth/token", end, times=1)
    visit(site, page, user)
    expect_message(page, "Please sign in.")


@pytest.mark.proves("BA-8", "DOC-1")
@hs256
def test_the_call_of_the_readme(site: Site, backend: Service, page: Page, user: str) -> None:
    visit(site, page, user)
    add(page, "Buy milk")
    expect_tasks(page, ["Buy milk"], [])
    page.goto("/quick")
    expect(page.get_by_role("listitem")).to_have_text(["Buy milk"])


@pytest.mark.proves("BA-12", "DOC-1")
@hs256
def test_the_call_of_the_readme_that_fails(site: Site, backend: Service, page: Page, user: str) -> None:
    """It calls the service with a token only, and its error is the reason, not a list."""
    page.goto("/quick")
    expect_message(page, "Please sign in.")
    page.route("**/api/auth/token", lambda route: route.fulfill(json={"token": EXPIRED}), times=1)
    visit(site, page, user, "/quick")
    expect_message(page, "The token has expired")


@pytest.mark.proves("BA-11")
@hs256
def test_the_rewrites(site: Site, backend: Service, user: str) -> None:
    """A frontend may call /api/tasks or /api/{user}/tasks of its own origin."""
    user_id = site.frontend.sign_up(user)
    headers = {"Authorization": f"Bearer {site.frontend.token(user)}"}
    with httpx2.Client(base_url=site.url, headers=headers, timeout=30) as client:
        for path in ("/api/tasks", f"/api/{user_id}/tasks"):
            task = client.post(path, json={"title": "Buy milk"}).json()
            one = f"{path}/{task['id']}"
            assert client.get(path, params={"status": "pending"}).json() == [task]
            assert client.get(one).json() == task
            assert client.put(one, json={"title": "Sleep"}).json()["title"] == "Sleep"
            assert client.patch(f"{one}/complete").json()["completed"] is True
            assert client.delete(one).json()["id"] == task["id"]
            assert client.get(one).json() == {"detail": "Task not found"}


@pytest.mark.proves("BA-11")
@hs256
def test_the_rewrites_keep_the_address_of_the_build(site: Site, backend: Service, tmp_path: Path) -> None:
    """A BACKEND_URL that only `next start` gets changes nothing."""
    other = Site(tmp_path, site.database_url)
    with other.next("start", BACKEND_URL="http://localhost:9"):
        assert httpx2.get(f"{other.url}/api/tasks").json() == {"detail": "The Authorization header is missing"}


@pytest.mark.proves("CORS-2")
@hs256
def test_calls_that_carry_a_trace(site: Site, backend: Service, page: Page, user: str) -> None:
    visit(site, page, user, "/traced")
    with page.expect_request(lambda request: request.method == "POST" and "/api/tasks" in request.url) as sent:
        add(page, "Buy milk")
    assert {"sentry-trace", "baggage", "traceparent"} <= sent.value.headers.keys()
    expect_tasks(page, ["Buy milk"], [])


@pytest.mark.proves("BA-8", "CORS-3")
@hs256
def test_127_0_0_1_is_not_localhost(site: Site, backend: Service, page: Page, user: str) -> None:
    """Better Auth rejects the other origin, and so does the service."""
    page.goto(site.url.replace("localhost", "127.0.0.1"))
    go_in(page, user)
    expect_message(page, "Invalid origin")
    call = "([url, headers]) => fetch(url, { headers }).catch(String)"
    assert page.evaluate(call, [f"{site.backend_url}/api/tasks", bearer(user)]) == "TypeError: Failed to fetch"


@pytest.mark.proves("BA-12")
@pytest.mark.parametrize("backend", ["eddsa for one test"], indirect=True)
def test_a_backend_that_is_down(site: Site, backend: Service, page: Page, user: str) -> None:
    """It stops the service, which the others need."""
    visit(site, page, user)
    backend.stop()
    add(page, "Buy milk")
    expect_message(page, TROUBLE)
    answer = httpx2.get(f"{site.url}/api/tasks")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")  # what the rewrite says
    page.goto("/server")
    expect_message(page, TROUBLE)


@pytest.mark.proves("BA-11", "BA-12")
def test_next_dev_from_cold(site: Site, page: Page, user: str) -> None:
    """Nothing is compiled, and a token from before is used first; the page calls the rewrites of its own origin."""
    dev = Site(site.folder, site.database_url)
    with dev.next("start", SIGNING="eddsa"):
        dev.frontend.sign_up(user)
        headers = {"Authorization": f"Bearer {dev.frontend.token(user)}"}
    shutil.rmtree(FOLDER / ".next" / "dev", ignore_errors=True)
    variables = {"SIGNING": "eddsa", "NEXT_PUBLIC_API_URL": dev.url}
    with dev.backend() as service, dev.next("dev", **variables):
        begun = time.monotonic()
        answers = [httpx2.get(f"{dev.backend_url}/api/tasks", headers=headers, timeout=20)]
        while answers[-1].status_code == 503 and time.monotonic() < begun + 180:
            time.sleep(int(answers[-1].headers["Retry-After"]))
            answers.append(httpx2.get(f"{dev.backend_url}/api/tasks", headers=headers, timeout=20))
        assert answers[-1].json() == []
        requests = use_every_operation(page, f"{user}-ada", dev.url)
        assert {url.split("/api/")[0] for url in requests if "/api/tasks" in url} == {dev.url}
        service.stop()
        add(page, "Sleep")
        expect_message(page, TROUBLE)


@pytest.mark.proves("BA-7", "DOC-1")
@pytest.mark.parametrize(
    ("document", "files"),
    [
        ("README.md", ["lib/auth-client.ts", "lib/list-tasks.ts"]),
        ("docs/better-auth.md", ["lib/auth/hs256.ts", "lib/auth/eddsa.ts"]),
    ],
)
def test_the_documented_files_are_the_ones_that_run(document: str, files: list[str]) -> None:
    text = (ROOT / document).read_text()
    assert [file for file in files if f"```ts\n{(FOLDER / file).read_text()}```" not in text] == []


@pytest.mark.proves("BA-7")
def test_the_linked_files_are_the_ones_that_run() -> None:
    text = (ROOT / "docs" / "frontend.md").read_text()
    linked = re.findall(r"\[`(.*?)`\]\(\.\./tests/nextjs/(.*?)\)", text)
    assert len(linked) == 6
    assert all(name == path and (FOLDER / path).exists() for name, path in linked)
