#!/usr/bin/env bash
# psycopg 3.3.9 on Python 3.11.
#
# A server accepts the connection and says nothing. connect_timeout=2 raises ConnectionTimeout after 2 s, the error is
# handled and forgotten, and the attempt's TCP connection is still open 5 s later, in psycopg.connect() and in
# AsyncConnection.connect() alike. It is closed when Python's garbage collector runs the next time, because the error's
# traceback and the half-open connection refer to each other; a program that makes few objects may not see that for long.
#
# Seen: "connect: open 5 s after the timeout True, after gc.collect() False", and the same for "AsyncConnection.connect".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'psycopg[binary]==3.3.9'
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, gc, socket, sys, time

import psycopg


def is_open(end):
    """Tell whether the other end of the connection is open, after reading what it has sent."""
    end.settimeout(0.5)
    try:
        while end.recv(1000):
            pass
    except TimeoutError:
        return True
    return False


def connect(url):
    try:
        psycopg.connect(url)
    except psycopg.errors.ConnectionTimeout:
        pass


async def connect_async(url):
    try:
        await psycopg.AsyncConnection.connect(url)
    except psycopg.errors.ConnectionTimeout:
        pass


seen = []
with socket.create_server(("127.0.0.1", 0)) as server:
    server.settimeout(5)
    url = f"host=127.0.0.1 port={server.getsockname()[1]} user=me sslmode=disable connect_timeout=2"
    for name, attempt in (
        ("connect", lambda: connect(url)),
        ("AsyncConnection.connect", lambda: asyncio.run(connect_async(url))),
    ):
        attempt()
        end, _ = server.accept()
        with end:
            time.sleep(5)
            later = is_open(end)
            gc.collect()
            collected = is_open(end)
        print(f"{name}: open 5 s after the timeout {later}, after gc.collect() {collected}")
        seen.append((later, collected))
sys.exit(seen != [(True, False)] * 2)
PYTHON
