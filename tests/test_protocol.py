"""What server/protocol.py uses of uvicorn, which uvicorn documents nowhere. After an upgrade, this fails first."""

import ast
import inspect
import re

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from todo_backend.server.protocol import BoundedProtocol

# Methods that uvicorn calls, with their parameters.
CALLED_BY_UVICORN = {
    "_start_asgi_task": ["cycle", "app"],
    "on_response_complete": [],
    "timeout_keep_alive_handler": [],
}
# Methods that asyncio and httptools call, of which uvicorn has its own.
CALLED_BY_OTHERS = {
    "connection_lost": ["exc"],
    "connection_made": ["transport"],
    "data_received": ["data"],
    "on_body": ["body"],
    "on_header": ["name", "value"],
    "on_headers_complete": [],
    "on_message_begin": [],
    "on_message_complete": [],
    "pause_writing": [],
    "resume_writing": [],
}
# Attributes of the protocol, and of a cycle: one request with its response.
OF_PROTOCOL = {
    "_unset_keepalive_if_required",
    "cycle",
    "flow",
    "headers",
    "loop",
    "parser",
    "pipeline",
    "timeout_keep_alive",
    "timeout_keep_alive_task",
    "transport",
    "url",
}
OF_CYCLE = {
    "disconnected",
    "keep_alive",
    "message_event",
    "more_body",
    "response_complete",
    "response_started",
    "transport",
}


def test_uvicorn_has_the_methods_that_are_overridden() -> None:
    methods = CALLED_BY_UVICORN | CALLED_BY_OTHERS
    assert methods == {
        name: list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters)[1:]
        for name in vars(BoundedProtocol)
        if name in vars(HttpToolsProtocol) and not name.startswith("__")
    }
    for name in CALLED_BY_UVICORN:
        assert f"self.{name}" in inspect.getsource(HttpToolsProtocol), name


def test_uvicorn_has_the_attributes_that_are_used() -> None:
    used: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(inspect.getsource(BoundedProtocol))):
        if isinstance(node, ast.Attribute):
            used.setdefault(ast.unparse(node.value), set()).add(node.attr)
    assert (used["self"] & _attributes(HttpToolsProtocol)) - set(vars(BoundedProtocol)) == OF_PROTOCOL
    cycles = ("cycle", "self.cycle", "self._running", "self.pipeline[0][0]")
    of_cycles = set().union(*(used[cycle] for cycle in cycles))
    assert of_cycles & _attributes(RequestResponseCycle) == of_cycles == OF_CYCLE
    assert STATUS_LINE[408] == b"HTTP/1.1 408 Request Timeout\r\n"


def _attributes(cls: type) -> set[str]:
    return set(re.findall(r"self\.(\w+)", inspect.getsource(cls)))
