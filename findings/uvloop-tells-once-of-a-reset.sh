#!/usr/bin/env bash
# uvloop 0.23.0 (0.21.0 and 0.22.1 too), Linux, Python 3.11.
#
# Valid input: `loop.add_reader` on a socket. The other end sends a byte and resets the connection before the event loop
# looks. The reader takes one byte, returns, and expects to be called again, as with asyncio's own loop, whose readers are
# called as long as there is something to read, the end included.
# Behaviour: uvloop calls it once and never again, and `call_exception_handler` is not called. libuv stops watching a socket with
# POLLERR (`uv__poll_io` in src/unix/poll.c); uvloop then calls the reader once and closes the watcher
# (`UVPoll._fatal_error` in uvloop/handles/poll.pyx). For a driver that reads a part of an answer, the rest and the lost
# connection never come. psycopg itself is safe: it adds the reader anew for each wait, and looks every 0.1 s.
#
# Seen:
#   asyncio: [b'x', ConnectionResetError]
#   uvloop: [b'x']
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvloop==0.23.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import socket
import struct
import sys

import uvloop


async def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    ours.setblocking(False)
    seen = []

    def read():
        try:
            seen.append(ours.recv(1))
        except ConnectionResetError:
            seen.append(ConnectionResetError)
            asyncio.get_running_loop().remove_reader(ours)

    asyncio.get_running_loop().add_reader(ours, read)
    other.send(b"x")
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.close()  # with a reset
    await asyncio.sleep(1)
    asyncio.get_running_loop().remove_reader(ours)
    ours.close()
    return seen


seen = []
for name, kind in ("asyncio", asyncio.SelectorEventLoop), ("uvloop", uvloop.Loop):
    with asyncio.Runner(loop_factory=kind) as runner:
        seen.append(runner.run(main()))
    print(f"{name}: [{', '.join(getattr(each, '__name__', repr(each)) for each in seen[-1])}]")
sys.exit(seen != [[b"x", ConnectionResetError], [b"x"]])
PYTHON
