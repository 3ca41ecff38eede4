#!/usr/bin/env bash
# HAProxy 2.6.12 with the haproxy.cfg that Patroni 3.0.2 has among its examples (both Debian 12's packages).
#
# Valid input: a switchover without a failure. Two small servers stand for the nodes: each sends its name to whoever
# connects, and answers the health check as Patroni's API does, 200 on the primary and 503 on the other. Both change at once.
# Behaviour: with "inter 3s fall 3 rise 2" HAProxy leaves the former primary after three refusals, 6 to 9 s, and accepts the
# new one after two approvals, 3 to 6 s. In between it has two primaries, and gives each every other connection: a client
# that reconnects because its server has become read-only gets the same server again. "on-marked-down shutdown-sessions"
# closes the connections to the former primary only when that time is over.
#
# Output seen (1.3 to 4.4 s of both, by the phases of the checks):
#   former primary alone for 4.2 s, then both for 4.2 s: 21 connections of 42 to the former one
#
# Prints what it saw, and fails if that changes. Needs Debian 12; run as root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
apt-get download --quiet=2 'haproxy=2.6.12-*' 'patroni=3.0.2-*' liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 2>/dev/null
for package in *.deb; do dpkg-deb --extract "$package" root; done
cat > run.py <<'PYTHON'
import asyncio, os, pathlib, re, socket, sys, time

EXAMPLE = pathlib.Path("root/usr/share/doc/patroni/examples/haproxy.cfg").read_text()
primary = "former"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def start_node(name, port, check_port):
    async def serve(_, writer):
        writer.write(name.encode())
        writer.close()

    async def check(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        status = "200 OK" if name == primary else "503 Service Unavailable"
        writer.write(f"HTTP/1.0 {status}\r\n\r\n".encode())
        writer.close()

    await asyncio.start_server(serve, "127.0.0.1", port)
    await asyncio.start_server(check, "127.0.0.1", check_port)


async def connect(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    name = (await reader.read()).decode()
    writer.close()
    return name


async def main():
    global primary
    ports = {old: free_port() for old in ("7000", "5000", "5432", "5433", "8008", "8009")}
    # The file as it is, on other ports.
    text = re.sub(r"\b(7000|5000|543[23]|800[89])\b", lambda found: str(ports[found[0]]), EXAMPLE)
    pathlib.Path("haproxy.cfg").write_text(text.replace("*:", "127.0.0.1:"))
    await start_node("former", ports["5432"], ports["8008"])
    await start_node("new", ports["5433"], ports["8009"])
    libraries = str(next(pathlib.Path("root/usr/lib").glob("*-linux-gnu")))
    haproxy = await asyncio.create_subprocess_exec(
        "root/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg", env=os.environ | {"LD_LIBRARY_PATH": libraries},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.sleep(9.5)  # until it has taken the new one, which is up at first, for down
        assert {await connect(ports["5000"]) for _ in range(6)} == {"former"}
        primary, changed = "new", time.monotonic()
        seen = []
        while (now := time.monotonic() - changed) < 12:
            seen.append((now, await connect(ports["5000"])))
            await asyncio.sleep(0.1)
    finally:
        haproxy.terminate()
        await haproxy.wait()
    first_new = min(now for now, name in seen if name == "new")
    last_former = max(now for now, name in seen if name == "former")
    both = [name for now, name in seen if first_new <= now <= last_former]
    print(
        f"former primary alone for {first_new:.1f} s, then both for {last_former - first_new:.1f} s:"
        f" {both.count('former')} connections of {len(both)} to the former one"
    )
    share = both.count("former") / len(both)
    return 0 if 2.5 < first_new < 7 and 5.5 < last_former < 10 and 0.4 < share < 0.6 else 1


sys.exit(asyncio.run(main()))
PYTHON
python3 run.py
