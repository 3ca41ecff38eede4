"""Patroni with etcd and HAProxy: two nodes of Debian's PostgreSQL, a primary and its synchronous standby."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.frontend import free_port, require
from tests.proxy import Proxy
from tests.rig.pgbouncer import listens
from tests.rig.postgres import NEON, PASSWORD, RULES, USER, Server, folder_of_a_server, make_certificate
from tests.service import wait_until

PROGRAMS = ("patroni", "etcd", "haproxy")

# The haproxy.cfg of Patroni's repository, with our addresses.
RISE = 6  # seconds: two checks, three seconds apart, until HAProxy trusts a new primary
HAPROXY = """\
global
    maxconn 100
defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s
listen primary
    bind 127.0.0.1:{port}
    option httpchk
    http-check expect status 200
    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
"""


def begin(folder: Path, name: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start one of the programs with its output in the folder, as a user that is not root."""
    program = shutil.which(name, path="/usr/bin:/usr/sbin")
    require(f"{name} (Debian's patroni, python3-etcd, etcd-server and haproxy)", present=program is not None)
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [str(program), *map(str, arguments)], cwd=folder, user=USER, env={}, stdout=log, stderr=log
        )


@dataclass
class Node:
    """A PostgreSQL and its Patroni. What others ask of them, and what Patroni asks of etcd, passes a proxy each."""

    name: str
    server: Server
    rest_port: int
    postgres: Proxy
    rest: Proxy
    etcd: Proxy
    patroni: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        folder = self.server.folder
        login = {"username": "postgres", "password": PASSWORD}
        configuration = {
            "scope": "todo",
            "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.rest_port}", "connect_address": f"127.0.0.1:{self.rest.port}"},
            "etcd3": {"hosts": [f"127.0.0.1:{self.etcd.port}"], "use_proxies": True},
            "bootstrap": {
                # The smallest ttl that Patroni documents, and what fits into it.
                "dcs": {"ttl": 20, "loop_wait": 5, "retry_timeout": 5, "synchronous_mode": True},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "no-sync"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.server.port}",
                "connect_address": f"127.0.0.1:{self.postgres.port}",
                "data_dir": str(self.server.data),
                "bin_dir": str(self.server.programs),
                "pgpass": str(folder / "pgpass"),
                "use_unix_socket": True,
                "use_pg_rewind": True,
                "authentication": dict.fromkeys(["superuser", "replication", "rewind"], login),
                "pg_hba": [*RULES.splitlines(), "hostssl replication all all scram-sha-256"],
                "parameters": {
                    "unix_socket_directories": str(folder),
                    "ssl": "on",
                    "ssl_cert_file": str(folder / "server.crt"),
                    "ssl_key_file": str(folder / "server.key"),
                    "fsync": "off",  # processes are killed here, not the system
                },
            },
        }
        file = folder / "patroni.yml"
        file.write_text(json.dumps(configuration))  # which is YAML, too
        self.patroni = begin(folder, "patroni", file)

    def kill(self) -> None:
        """End Patroni and PostgreSQL at once, as the end of their machine does."""
        for process in list(self._processes()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self.patroni:
            self.patroni.wait()
            self.patroni = None

    def _processes(self) -> Iterator[psutil.Process]:
        file = self.server.data / "postmaster.pid"
        pids = [self.patroni.pid] if self.patroni else []
        pids += [int(file.read_text().split()[0])] if file.exists() else []
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if str(self.server.folder) in " ".join(process.cmdline()):  # nobody else has its number by now
                    yield from [process, *process.children(recursive=True)]

    def cut(self) -> None:
        """Lose every packet from and to the node. Its connections stay open."""
        for proxy in (self.postgres, self.rest, self.etcd):
            proxy.stall()

    def join(self) -> None:
        """Undo what was done to the node."""
        for proxy in (self.postgres, self.rest, self.etcd):
            proxy.cut(reset=True, then="flow")
        if not self.patroni:
            self.start()

    def status(self) -> dict[str, Any]:
        """Return what Patroni says of itself, past the proxy; nothing if it does not run."""
        with contextlib.suppress(httpx2.HTTPError):
            found: dict[str, Any] = httpx2.get(f"http://127.0.0.1:{self.rest_port}/patroni", timeout=5).json()
            return found
        return {}

    def is_primary(self) -> bool:
        found = self.status()
        return (found.get("role"), found.get("state")) == ("master", "running")

    def is_synchronous(self) -> bool:
        return bool(self.status().get("sync_standby"))


@dataclass
class Cluster:
    """Attributes: the nodes, and the port of HAProxy, which leads to the primary."""

    nodes: list[Node]
    haproxy: int

    def roles(self) -> tuple[Node, Node]:
        """Return the primary and its synchronous standby, as soon as there are both."""
        found: list[Node] = []

        def there_are_both() -> bool:
            found[:] = sorted(self.nodes, key=Node.is_primary, reverse=True)
            return found[0].is_primary() and found[1].is_synchronous()

        wait_until(there_are_both, 90)
        return found[0], found[1]

    def join(self) -> tuple[Node, Node]:
        for node in self.nodes:
            node.join()
        return self.roles()

    @property
    def haproxy_url(self) -> str:
        """For up to nine seconds after a switchover HAProxy leads to the former primary as well."""
        return self.nodes[0].server.url(parameters=f"{NEON}&target_session_attrs=read-write", port=self.haproxy)

    @property
    def url(self) -> str:
        """A URL that names both nodes. One that is silent costs a new connection two seconds."""
        one, other = (f"localhost:{node.postgres.port}" for node in self.nodes)
        url = self.nodes[0].server.url(parameters=f"{NEON}&target_session_attrs=read-write&connect_timeout=2")
        return url.replace(f"localhost:{self.nodes[0].server.port}", f"{one},{other}")


async def switch_over(primary: Node, standby: Node) -> None:
    """Ask Patroni to let the two change their roles, as `patronictl switchover` does."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{primary.rest_port}", timeout=60) as client:
        answer = await client.post("/switchover", json={"leader": primary.name, "candidate": standby.name})
    assert answer.status_code == 200, answer.text


async def promotion(node: Node) -> None:
    """Wait until a node is the primary."""
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(node.is_primary):  # noqa: ASYNC110  # it is in another process
            await asyncio.sleep(0.05)


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """Yield a cluster of a primary and a synchronous standby, and leave no process of it."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if USER:
            shutil.chown(folder, USER)

        def run(name: str, *arguments: object) -> None:
            process = begin(folder, name, *arguments)
            stack.callback(process.wait)
            stack.callback(process.kill)

        etcd, peers, haproxy = free_port(), free_port(), free_port()
        client, peer = (f"http://127.0.0.1:{port}" for port in (etcd, peers))
        members = [f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"]
        listen = [f"--listen-client-urls={client}", f"--listen-peer-urls={peer}"]
        run("etcd", "--data-dir=etcd", *listen, f"--advertise-client-urls={client}", *members)
        wait_until(lambda: listens(etcd))
        nodes = []
        for name in ("one", "two"):
            server = stack.enter_context(folder_of_a_server())
            stack.callback(shutil.rmtree, server.data, ignore_errors=True)
            make_certificate(server, server.folder / "server.crt")
            ports = [free_port(), server.port, etcd]
            rest, postgres, to_etcd = (stack.enter_context(Proxy(port)) for port in ports)
            nodes.append(Node(name, server, ports[0], postgres, rest, to_etcd))
            stack.callback(nodes[-1].kill)
        nodes[0].start()
        wait_until(nodes[0].is_primary, 60)
        nodes[1].start()
        lines = [
            f"    server {node.name} 127.0.0.1:{node.postgres.port} check port {node.rest.port}\n" for node in nodes
        ]
        (folder / "haproxy.cfg").write_text(HAPROXY.format(port=haproxy) + "".join(lines))
        run("haproxy", "-db", "-f", folder / "haproxy.cfg")
        cluster = Cluster(nodes, haproxy)
        primary, _ = cluster.roles()
        primary.server.execute(f"CREATE ROLE me LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        yield cluster
