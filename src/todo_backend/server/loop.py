"""The event loops, with name look-ups that a silent name server cannot make hang.

asyncio and uvloop look names up in threads that Python and libuv wait for at the end of the program: while a name
server does not answer, a stop would take minutes.
"""

import asyncio
import contextlib
import socket
import threading
from importlib.util import find_spec
from typing import Any

# Seconds for a look-up. libc asks the second name server after 5.
LOOKUP_TIMEOUT = 10


class _BoundedLookups:
    async def getaddrinfo(self: Any, *args: Any, **options: Any) -> Any:
        """Call `socket.getaddrinfo` in a thread that the program does not wait for when it ends.

        Raises:
            socket.gaierror: there is no such name, or no answer in LOOKUP_TIMEOUT seconds.
        """
        answer: asyncio.Future[Any] = self.create_future()

        def deliver(result: Any, error: Exception | None) -> None:
            if answer.done():
                return
            if error:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        def look_up() -> None:
            result, error = None, None
            try:
                result = socket.getaddrinfo(*args, **options)
            except (OSError, UnicodeError) as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.call_soon_threadsafe(deliver, result, error)

        threading.Thread(target=look_up, daemon=True).start()
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                return await answer
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "the name server does not answer") from None


class SelectorEventLoop(_BoundedLookups, asyncio.SelectorEventLoop):
    """For Windows, whose own loop psycopg cannot use, and for commands that end soon.

    See https://www.psycopg.org/psycopg3/docs/advanced/async.html.
    """


if find_spec("uvloop"):
    import uvloop

    class ServerEventLoop(_BoundedLookups, uvloop.Loop):  # type: ignore[misc]  # its stubs differ from asyncio's
        """For the server: faster."""
else:  # as on Windows  # pragma: no cover
    ServerEventLoop = SelectorEventLoop  # type: ignore[misc,assignment]
