"""Calls endpoints directly, without FastAPI's routing and dependency resolution.

FastAPI resolves a route's dependencies again for each request, which takes more time than the rest of the request:
docs/performance.md has the figures. This middleware resolves them once.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass
from typing import Any, Literal, Self, get_origin

from fastapi import Request, Response, params
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from fastapi.telemetry import get_telemetry_data
from starlette.convertors import StringConvertor
from starlette.datastructures import Headers, QueryParams
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from todo_backend.http import strict_json
from todo_backend.http.body import StrictJSONRoute
from todo_backend.http.paths import route_path

Field = Any  # FastAPI's ModelField: a parameter with its Pydantic validator
Arguments = dict[str, Any]

_ANY_PATH = re.compile("")


class InvalidRequest(Exception):
    """A parameter is missing or not valid. FastAPI then handles the request, and sends the error response."""


class EndpointMiddleware:
    """Calls an endpoint directly, if `Endpoint` supports all of its parameters and the request is valid.

    Every other request goes to FastAPI unchanged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._routes: list[tuple[re.Pattern[str], Set[str] | None, Endpoint | None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["app"].dependency_overrides and not get_telemetry_data():
            endpoint = self._match(scope)
            if endpoint:
                try:
                    arguments = endpoint.validate(scope)
                except InvalidRequest:
                    pass
                else:
                    await endpoint.respond(arguments, scope, receive, send)
                    return
        await self.app(scope, receive, send)

    def _match(self, scope: Scope) -> "Endpoint | None":
        """Return the endpoint of the first route that matches, as Starlette's router does."""
        if not self._routes:  # at the first request: an application's routes are added after its middleware
            self._routes = [
                (getattr(context, "path_regex", _ANY_PATH), context.methods, Endpoint.of(context))
                for context in iter_route_contexts(scope["app"].routes)
            ]
        path, method = route_path(scope), scope["method"]
        for path_regex, methods, endpoint in self._routes:
            match = path_regex.match(path)
            if match and (methods is None or method in methods):
                scope["path_params"] = match.groupdict()
                return endpoint
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint whose parameters are all of these kinds.

    Attributes:
        path: path parameters without a convertor.
        query: query parameters with a single value.
        body: the JSON body, if there is one.
        dependencies: by parameter, coroutine functions whose only parameter is the request.
    """

    call: Callable[..., Awaitable[Response]]
    path: list[Field]
    query: list[Field]
    body: list[Field]
    dependencies: dict[str, Callable[[Request], Awaitable[Any]]]

    @classmethod
    def of(cls, context: RouteContext) -> Self | None:
        """Return the endpoint of a route; None if the route has anything else, and FastAPI has to handle it."""
        route = context.original_route
        if type(route) not in (APIRoute, StrictJSONRoute) or context.max_body_size is not None:
            return None
        dependant: Any = context.dependant
        convertors = context.param_convertors
        call: Any = context.endpoint
        endpoint = cls(
            call,
            [field for field in dependant.path_params if type(convertors[field.alias]) is StringConvertor],
            [field for field in dependant.query_params if _is_single(field)],
            [field for field in dependant.body_params if _is_json(field)],
            {found.name: found.call for found in dependant.dependencies if _takes_request(found.call)},
        )
        known = [field.name for field in (*endpoint.path, *endpoint.query, *endpoint.body)]
        signature = inspect.signature(call)
        is_known = (
            inspect.iscoroutinefunction(call)
            and _is_response(signature.return_annotation)
            and sorted([*known, *endpoint.dependencies]) == sorted(signature.parameters)
            and len(endpoint.body) < 2
            and len(set(endpoint.dependencies.values())) == len(dependant.dependencies)
        )
        return endpoint if is_known else None

    def validate(self, scope: Scope) -> Arguments:
        """Return the arguments that the request contains, validated; `respond` adds the dependencies.

        Raises:
            InvalidRequest: an argument is missing or not valid.
        """
        arguments = {field.name: _validate(field, scope["path_params"][field.alias]) for field in self.path}
        if self.query:
            query = QueryParams(scope["query_string"])
            for field in self.query:
                given = query.get(field.alias)
                is_default = given is None and not field.field_info.is_required()
                arguments[field.name] = field.get_default() if is_default else _validate(field, given)
        for field in self.body:
            arguments[field.name] = _validate(field, _read_json(scope))
        return arguments

    async def respond(self, arguments: Arguments, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the endpoint, and send its response, or that of the exception handler."""
        request = Request(scope, receive, send)
        response: ASGIApp
        try:
            for name, dependency in self.dependencies.items():
                arguments[name] = await dependency(request)
            response = await self.call(**arguments)
        except Exception as error:
            response = _error_response(error, scope["app"].exception_handlers)
        await response(scope, receive, send)


def _is_single(field: Field) -> bool:
    annotation = field.field_info.annotation
    return annotation in (str, int, float, bool) or get_origin(annotation) is Literal


def _is_json(field: Field) -> bool:
    return type(field.field_info) is params.Body and not field.field_info.embed


def _is_response(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Response)


def _takes_request(call: Any) -> bool:
    """Tell whether a dependency is a coroutine function whose one parameter is the request."""
    if not inspect.iscoroutinefunction(call):
        return False
    return [parameter.annotation for parameter in inspect.signature(call).parameters.values()] == [Request]


def _validate(field: Field, value: Any) -> Any:
    validated, errors = field.validate(value)
    if errors:
        raise InvalidRequest
    return validated


def _read_json(scope: Scope) -> Any:
    """Return the body, which BodyLimitMiddleware has read."""
    content_type = Headers(scope=scope).get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidRequest
    try:
        return strict_json.loads(scope["state"]["body"])
    except (KeyError, ValueError):
        raise InvalidRequest from None


def _error_response(error: Exception, handlers: dict[Any, Any]) -> ASGIApp:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return ExceptionMiddleware(fail, {key: handlers[key] for key in handlers if key not in (500, Exception)})
