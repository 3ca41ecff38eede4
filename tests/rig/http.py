"""A small HTTP client: hundreds of connections share a core, so httpx2 would be too slow."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, Self

import httpx2

from tests.service import Service, bearer

HANG_TIMEOUT = 20  # seconds; a request that takes longer fails the test


@dataclass
class Answer:
    """A response; with status 0 if the connection was closed without one."""

    began: float
    ended: float
    status: int = 0
    retry_after: str | None = None
    body: Any = None

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Connection:
    """A connection of a signed-in user. It is opened when it is needed, also after it was lost."""

    _reader: asyncio.StreamReader

    def __init__(self, service: Service, user: str) -> None:
        self.service = service
        self._authorization = bearer(user)["Authorization"]
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._writer:
            self._writer.close()
        self._writer = None

    async def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request, without a retry, and return the response."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(HANG_TIMEOUT):
                await self.send(method, path, body)
                status, fields, content = await self._receive()
        except TimeoutError:
            raise AssertionError(f"{method} {path} hangs") from None
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return Answer(began, time.monotonic())
        if fields.get("connection") == "close":
            self.close()
        return Answer(began, time.monotonic(), status, fields.get("retry-after"), json.loads(content))

    async def send(self, method: str, path: str, body: object = None, *, unsent: int = 0) -> None:
        """Send a request without its last `unsent` bytes."""
        if self._writer and self._reader.at_eof():  # the service closed the idle connection
            self.close()
        if not self._writer:
            address = httpx2.URL(self.service.base_url)
            self._reader, self._writer = await asyncio.open_connection(address.host, address.port)
        content = b"" if body is None else json.dumps(body).encode()
        fields = f"Host: test\r\nAuthorization: {self._authorization}\r\nContent-Length: {len(content)}"
        head = f"{method} {path} HTTP/1.1\r\n{fields}\r\nContent-Type: application/json\r\n\r\n"
        self._writer.write((head.encode() + content)[: -unsent or None])
        await self._writer.drain()

    async def _receive(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        return int(head[0].split()[1]), fields, await self._reader.readexactly(int(fields["content-length"]))
