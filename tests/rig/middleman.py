"""A man in the middle between the service and PostgreSQL, who terminates TLS on both sides and reads everything."""

import asyncio
import contextlib
import ssl
import struct
from pathlib import Path

from tests.proxy import Listener
from tests.rig.postgres import Server

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Middleman(Listener):
    """Listens with the server's certificate or another one.

    Attributes:
        heard: what the clients sent, decrypted.
    """

    def __init__(self, server: Server, certificate: Path) -> None:
        super().__init__()
        self.heard = b""
        self._server = server
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate, certificate.with_suffix(".key"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        anyone = ssl.create_default_context(cafile=self._server.certificate)
        server_reader, server_writer = await asyncio.open_connection("localhost", self._server.port)
        server_writer.write(await reader.readexactly(len(SSL_REQUEST)))
        yes = await server_reader.readexactly(1)
        await server_writer.start_tls(anyone, server_hostname="localhost")
        writer.write(yes)
        await writer.start_tls(self._context)  # at once, or the client's first bytes would be lost

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    self.heard += data if source is reader else b""
                    target.write(data)
            for end in (writer, server_writer):
                end.close()

        await asyncio.gather(pump(reader, server_writer), pump(server_reader, writer))
