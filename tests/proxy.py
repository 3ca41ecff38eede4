"""A TCP proxy in front of a real PostgreSQL: it counts round trips, and simulates faults of a network."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self


class Listener:
    """A server on a free port, in a thread."""

    def __init__(self) -> None:
        self.port = 0
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()))

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _listen(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as listener:
            self.port = listener.sockets[0].getsockname()[1]
            self._listening.set()
            await self._end.wait()
            await self._close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def _close(self) -> None:
        """Close the open connections."""


class Proxy(Listener):
    """Forwards bytes to PostgreSQL's Unix socket or TCP port.

    Attributes:
        delay: seconds that are added to each round trip.
        trips: the number of round trips of all connections.
        connections: the number of connections that were opened.
    """

    def __init__(self, server: Path | int) -> None:
        super().__init__()
        self.server = server
        self.delay = 0.0
        self.trips = 0
        self.connections = 0
        self._mode = "flow"
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def url(self, database: str, parameters: str = "") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable{parameters}"

    @property
    def open_connections(self) -> int:
        return len(self._writers) // 2  # one for each end

    def flow(self) -> None:
        """Forward everything. Connections that lost bytes are closed."""
        self._mode = "flow" if self._mode == "refuse" else self._mode
        if self._mode != "flow":
            self.cut(then="flow")

    def stall(self) -> None:
        """Drop every byte in both directions, and keep the connections open."""
        self._mode = "stall"

    def mute(self) -> None:
        """Drop what the server sends, and forward what the client sends."""
        self._mode = "mute"

    def refuse(self) -> None:
        """Close every connection, and each new one at once."""
        self.cut(then="refuse")

    def cut(self, *, reset: bool = False, then: str | None = None) -> None:
        """Close every connection, as a suspended compute does; or reset it, as a crashed one does."""
        asyncio.run_coroutine_threadsafe(self._cut(reset, then or self._mode), self._loop).result(10)

    async def _cut(self, reset: bool, mode: str) -> None:
        self._mode = mode
        for writer in self._writers:
            if reset:
                now = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _close(self) -> None:
        await self._cut(reset=False, mode="refuse")
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.server, int):
            return await asyncio.open_connection("127.0.0.1", self.server)
        return await asyncio.open_unix_connection(self.server)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))  # _close waits for it
        self._serving.add(task)
        await asyncio.wait([task])

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._mode == "refuse":
            writer.close()
            return
        await asyncio.sleep(self.delay)  # TCP's handshake is a round trip, too
        try:
            server_reader, server_writer = await self._connect()
        except OSError:  # as without the proxy
            writer.close()
            return
        writers = {writer, server_writer}
        self._writers |= writers
        server_spoke = True

        async def to_server(data: bytes) -> None:
            nonlocal server_spoke
            self.trips += server_spoke
            if server_spoke and self.delay:
                await asyncio.sleep(self.delay / 2)
            server_spoke = False
            server_writer.write(data)

        async def to_client(data: bytes) -> None:
            nonlocal server_spoke
            if not server_spoke and self.delay:
                await asyncio.sleep(self.delay / 2)
            server_spoke = True
            writer.write(data)

        async def pump(
            source: asyncio.StreamReader, forward: Callable[[bytes], Awaitable[None]], *modes: str
        ) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    if self._mode in modes:
                        await forward(data)
            for end in writers:
                end.close()

        await asyncio.gather(pump(reader, to_server, "flow", "mute"), pump(server_reader, to_client, "flow"))
        self._writers -= writers
