"""Failover by Patroni, under load: by a URL that names both nodes, and by HAProxy's address.

Patroni waits for 20 s, its ttl, until it promotes the standby of a primary that is gone. The counts are printed.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.rig.load import Load, assert_only_unavailable, assert_recovers, eventually, load
from tests.rig.patroni import RISE, Cluster, Node, promotion, running, switch_over
from tests.service import Service, serving

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("load")]

Fault = Callable[[Node, Node], Awaitable[None]]


async def killed(primary: Node, standby: Node) -> None:
    """The primary's machine fails."""
    await asyncio.to_thread(primary.kill)


async def cut(primary: Node, standby: Node) -> None:
    """The primary's network loses every packet, and the primary runs on."""
    primary.cut()


async def switchover(primary: Node, standby: Node) -> None:
    """An administrator asks for it."""
    await switch_over(primary, standby)


FAULTS: list[Fault] = [killed, cut, switchover]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running() as cluster:
        yield cluster


def counts(books: Load, fault: float, promoted: float) -> str:
    """Return what the clients saw, on one line."""
    served = sorted(answer.ended for answer in books.answers if answer.status in (200, 201))
    gap, end = max((later - earlier, later) for earlier, later in itertools.pairwise(served))
    slowest = max(answer.seconds for answer in books.answers)
    return (
        f"{len(books.answers)} requests, {books.statuses[503]} 503s, {gap:.1f} s without service;"
        f" promoted after {promoted - fault:.1f} s, served {end - promoted:.1f} s later;"
        f" the slowest response after {slowest:.1f} s"
    )


async def survive(service: Service, primary: Node, standby: Node, fault: Fault, recovery: float) -> str:
    async with load(service, clients=4) as books:
        await eventually(lambda: books.acknowledged >= 100)
        assert books.statuses.keys() == {200, 201}
        began = time.monotonic()
        await fault(primary, standby)
        await promotion(standby)
        promoted = time.monotonic()
        await assert_recovers(books, since=promoted, seconds=recovery)
    assert_only_unavailable(books.answers)
    assert books.statuses[503] >= 1
    await books.verify(service)
    return counts(books, began, promoted)


def fail_over(folder: Path, cluster: Cluster, url: str, fault: Fault, recovery: float = 10) -> str:
    primary, standby = cluster.join()
    with serving(folder, url) as service:
        seen = asyncio.run(survive(service, primary, standby, fault, recovery))
        assert "Traceback" not in service.log.read_text()
        assert service.stop() == 0
    return seen


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_failover_by_the_url_of_both_nodes(
    tmp_path: Path, cluster: Cluster, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = fail_over(tmp_path, cluster, cluster.url, fault)
    with capsys.disabled():
        print(f"\n{fault.__name__}, both nodes: {seen}", end="")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_failover_by_haproxy(
    tmp_path: Path, cluster: Cluster, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = fail_over(tmp_path, cluster, cluster.haproxy_url, fault, RISE + 10)
    with capsys.disabled():
        print(f"\n{fault.__name__}, HAProxy: {seen}", end="")
