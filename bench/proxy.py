"""A distance to the database: a TCP proxy before its Unix socket that delays every byte."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from bench.postgres import Postgres


@contextlib.contextmanager
def distant(postgres: Postgres, database: str, trip: float) -> Iterator[str]:
    """Yield the URL of a database that is so many seconds of round trip away."""
    loop = asyncio.new_event_loop()
    pumps: set[asyncio.Task[None]] = set()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                loop.call_later(trip / 2, sink.write, data)
        await asyncio.sleep(trip / 2)
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(postgres.socket)
        pumps.add(asyncio.create_task(pump(reader, server_writer)))
        pumps.add(asyncio.create_task(pump(server_reader, writer)))

    async def finish() -> None:
        """Wait for the ends of connections whose clients have left."""
        await asyncio.gather(*pumps)

    listener = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"postgresql://postgres@127.0.0.1:{listener.sockets[0].getsockname()[1]}/{database}"
    finally:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(finish(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listener.close()
        loop.close()
