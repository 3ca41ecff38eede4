"""A server that sends the same bytes on every connection: error messages of Neon's proxy, which cannot run here."""

import asyncio
import contextlib
import struct

from tests.proxy import Listener

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


def error_response(text: str, *, severity: str = "ERROR", sqlstate: str = "XX000") -> bytes:
    """Return PostgreSQL's ErrorResponse message, by default with the severity and SQLSTATE of Neon's proxy."""
    fields = b"".join(
        kind + value.encode() + b"\0"
        for kind, value in [(b"S", severity), (b"V", severity), (b"C", sqlstate), (b"M", text)]
    )
    return b"E" + struct.pack("!i", len(fields) + 5) + fields + b"\0"


class Speaker(Listener):
    """Declines encryption, reads the startup message, sends `answer`, and closes the connection.

    Args:
        speaks_first: send it at once, as a server of another protocol does.
    """

    def __init__(self, answer: bytes = b"", *, speaks_first: bool = False) -> None:
        super().__init__()
        self.answer = answer
        self.speaks_first = speaks_first

    def url(self, parameters: str = "?sslmode=prefer") -> str:
        return f"postgresql://me:secret@127.0.0.1:{self.port}/neondb{parameters}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while not self.speaks_first:
                length, code = struct.unpack("!ii", await reader.readexactly(8))
                if code not in (SSL_REQUEST, GSS_REQUEST):
                    await reader.readexactly(length - 8)
                    break
                writer.write(b"N")
            writer.write(self.answer)
            await writer.drain()
        writer.close()
