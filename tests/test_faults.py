"""Faults under a load of reads and writes: what the clients see meanwhile, and what is true afterwards."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.proxy import Proxy
from tests.rig.http import Connection
from tests.rig.load import Load, assert_only_unavailable, assert_recovers, eventually, load
from tests.rig.postgres import Server
from tests.service import SECRET, Service, serving, start

pytestmark = pytest.mark.xdist_group("load")

ROUNDS = 25  # of the soak, for each delay

Fault = Callable[[Server, Proxy, Load], Awaitable[None]]


async def crash(server: Server, proxy: Proxy, books: Load) -> None:
    """PostgreSQL stops immediately, and is started again."""
    await server.stop()
    await asyncio.sleep(1)
    await server.start()


async def cut(server: Server, proxy: Proxy, books: Load) -> None:
    """The network resets every connection, again and again, and takes new ones at once."""
    usual, proxy.delay = proxy.delay, max(proxy.delay, 0.04)  # so that statements are under way, and answers
    for _ in range(6):
        await asyncio.sleep(0.4)  # in which connections are made, which takes several round trips
        proxy.cut(reset=True)
    proxy.delay = usual


async def refuse(server: Server, proxy: Proxy, books: Load) -> None:
    """Nobody listens any more."""
    proxy.refuse()
    await asyncio.sleep(2)
    proxy.flow()


async def stall(server: Server, proxy: Proxy, books: Load) -> None:
    """Every packet is swallowed, and every connection stays open, until the clients have had their 503."""
    proxy.stall()
    await eventually(lambda: books.statuses[503] >= len(books.served), 12)
    proxy.flow()


FAULTS: list[Fault] = [crash, cut, refuse, stall]


@pytest.fixture(scope="module")
def proxied(strict: Server) -> Iterator[Proxy]:
    with Proxy(strict.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, strict: Server, proxied: Proxy) -> Iterator[Service]:
    """A service that goes through one fault after another, and is never started again."""
    url = strict.url(strict.new_database(), port=proxied.port)
    with serving(tmp_path_factory.mktemp("service"), url) as service:
        yield service
        assert service.stop() == 0


async def survive(service: Service, server: Server, proxy: Proxy, fault: Fault) -> Counter[int]:
    """Cause a fault under load, and return how many responses had which status."""
    async with load(service) as books:
        await eventually(lambda: books.acknowledged >= 100)
        assert books.statuses.keys() == {200, 201}
        await fault(server, proxy, books)
        await assert_recovers(books, since=time.monotonic())
    assert_only_unavailable(books.answers)
    assert books.statuses[503] >= 1
    await books.verify(service)
    assert "Traceback" not in service.log.read_text()
    return books.statuses


@pytest.mark.proves("REL-4")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_under_load(strict: Server, proxied: Proxy, tried: Service, fault: Fault) -> None:
    asyncio.run(survive(tried, strict, proxied, fault))


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("delay", [0, 0.2])
def test_faults_in_a_row(
    strict: Server, proxied: Proxy, tried: Service, delay: float, round_: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Print what was answered and the memory after each round, which stays the same."""
    proxied.delay = delay
    statuses = sum((asyncio.run(survive(tried, strict, proxied, fault)) for fault in FAULTS), Counter[int]())
    proxied.delay = 0
    memory = psutil.Process(tried.process.pid).memory_info().rss / 1e6
    with capsys.disabled():
        counts = ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items()))
        print(f"\n{delay * 1000:.0f} ms, round {round_ + 1} of {ROUNDS}: {counts}; {memory:.0f} MB", end="")
    assert memory < 150


@pytest.mark.proves("REL-4", "DATA-12")
def test_a_write_whose_answer_is_lost_is_not_repeated(tmp_path: Path, strict: Server, proxied: Proxy) -> None:
    """It has taken effect, and nobody but PostgreSQL knows."""
    database = strict.new_database()

    def written() -> list[tuple[str, bool]]:
        return [(title, completed) for title, completed in strict.execute(rows, database)]

    async def play(service: Service) -> None:
        async with Connection(service, "me") as connection:
            for method, path, after in [
                ("POST", "/api/tasks", [("x", False)]),
                ("PATCH", "/api/tasks/1/complete", [("x", True)]),
                ("DELETE", "/api/tasks/1", []),
            ]:
                assert (await connection.ask("GET", "/api/tasks")).status == 200
                proxied.mute()
                asked = asyncio.create_task(connection.ask(method, path, {"title": "x"}))
                await eventually(lambda: written() == after)  # noqa: B023  # it is over before the next
                proxied.flow()
                assert_only_unavailable([await asked])
                assert (await asked).status == 503
                assert (await connection.ask("GET", "/api/tasks")).status == 200
                assert written() == after

    rows = "SELECT title, completed FROM tasks ORDER BY id"
    with serving(tmp_path, strict.url(database, port=proxied.port)) as service:
        asyncio.run(play(service))


@pytest.mark.proves("REL-4", "DATA-12")
def test_a_read_whose_connection_is_lost_is_repeated(tmp_path: Path, strict: Server, proxied: Proxy) -> None:
    """It changes nothing, so it may be asked twice, and the user never knows."""

    async def play(service: Service) -> None:
        async with Connection(service, "me") as connection:
            for _ in range(3):
                for path in ("/api/tasks", "/api/tasks?status=pending"):
                    assert (await connection.ask("GET", path)).status == 200
                    proxied.mute()
                    trips = proxied.trips
                    asked = asyncio.create_task(connection.ask("GET", path))
                    await eventually(lambda: proxied.trips > trips)  # noqa: B023  # it is over before the next
                    proxied.flow()
                    assert (await asked).status == 200

    with serving(tmp_path, strict.url(strict.new_database(), port=proxied.port)) as service:
        asyncio.run(play(service))


@pytest.mark.proves("REL-5")
def test_the_service_is_killed_under_load(tmp_path: Path, strict: Server) -> None:
    settings = {"DATABASE_URL": strict.url(strict.new_database()), "BETTER_AUTH_SECRET": SECRET}

    async def play(killed: Service) -> None:
        async with load(killed) as books:
            await eventually(lambda: books.acknowledged >= 100)
            killed.process.kill()
            again = start(tmp_path, "serve", **settings)
            stack.callback(again.stop)
            await eventually(lambda: "Application startup complete" in again.log.read_text())
            again.base_url = again.wait_for_log(r"http://[\w.:]+")
            books.service = again
            await assert_recovers(books, since=time.monotonic())
        assert books.statuses.keys() == {0, 200, 201}
        await books.verify(again)

    with contextlib.ExitStack() as stack:
        asyncio.run(play(stack.enter_context(serving(tmp_path, settings["DATABASE_URL"]))))


@pytest.mark.proves("REL-5", "CLI-5")
def test_the_service_is_stopped_under_load(tmp_path: Path, strict: Server, proxied: Proxy) -> None:
    """What it has begun it finishes; what comes after is not even begun."""

    async def play(stopped: Service) -> None:
        async with load(stopped) as books:
            await eventually(lambda: books.acknowledged >= 100)
            proxied.delay = 0.05  # so that all are under way at once, each on a connection that there is then
            await asyncio.sleep(1.5)
            proxied.delay = 1
            await asyncio.sleep(0.7)
            stop = time.monotonic()
            asked = [began for began in books.pending.values() if began < stop - 0.3]
            stopped.process.send_signal(signal.SIGTERM)
            await eventually(lambda: stopped.process.poll() is not None, 10)
            assert stopped.process.returncode == 0
        under_way = [answer for answer in books.answers if answer.began < stop - 0.3 and answer.ended > stop]
        assert {answer.status for answer in under_way} <= {200, 201}
        assert len(under_way) == len(asked) > 0
        proxied.delay = 0
        with serving(tmp_path, url) as service:
            await books.verify(service)

    url = strict.url(strict.new_database(), port=proxied.port)
    with serving(tmp_path, url) as service:
        asyncio.run(play(service))
