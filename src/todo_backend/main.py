"""The application: `create_app` puts the parts together."""

import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import select
from starlette.middleware import Middleware

from todo_backend import __version__
from todo_backend.auth.middleware import PREFIX, AuthMiddleware, NoStoreMiddleware
from todo_backend.auth.verifier import Verifier
from todo_backend.database.executor import ExecutorDep
from todo_backend.database.startup import open_database
from todo_backend.database.statement import Statement
from todo_backend.http.body import BodyLimitMiddleware
from todo_backend.http.cors import ListedOriginsMiddleware
from todo_backend.http.endpoints import EndpointMiddleware
from todo_backend.http.errors import ErrorMiddleware, add_error_handlers
from todo_backend.http.openapi import declare_bearer, error_responses
from todo_backend.http.paths import TrailingSlashMiddleware
from todo_backend.http.validation import ValidationErrorHandler
from todo_backend.server.signals import stop_with_parent
from todo_backend.settings import Settings
from todo_backend.tasks.messages import RULES, SENTENCES
from todo_backend.tasks.routes import router

PING = Statement(select(1))

# Seconds that a worker waits for the database before it accepts requests, which then wait for themselves.
# `serve` and `dev` have waited before, and know of permanent errors.
WORKER_TIMEOUT = 2.0


def create_app(settings: Settings) -> FastAPI:
    """Return the service for these settings."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        stop_with_parent()
        # What the start has made stays. Looking through it for garbage would hold all requests up.
        gc.freeze()
        url = settings.database_url.get_secret_value()
        async with open_database(url, pool_size=settings.database_pool_size, timeout=WORKER_TIMEOUT) as database:
            yield {"database": database}

    # For those who run it by uvicorn itself; `serve` and `dev` set up the whole log.
    logging.getLogger("todo_backend").setLevel(settings.log_level.upper())
    verifier = Verifier(settings.secret, settings.issuer)
    app = FastAPI(
        title="todo-backend",
        version=__version__,
        description="Tasks of many users, each seen and changed by its owner alone.",
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=[
            {"name": "tasks", "description": "The tasks of the user whom the token names."},
            {"name": "health", "description": "Whether the service can answer. Public."},
        ],
        lifespan=lifespan,
        redirect_slashes=False,  # TrailingSlashMiddleware says why
        redoc_url=None,
        generate_unique_id_function=operation_id,
        # FastAPI would look for OpenTelemetry's providers in every request. Remove this line if you use them.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        # From the outside in. Error responses of ErrorMiddleware get CORS headers, and a request
        # without a valid token is rejected before its body is read.
        middleware=[
            Middleware(NoStoreMiddleware),
            Middleware(ListedOriginsMiddleware, origins=settings.cors_origins),
            Middleware(ErrorMiddleware),
            Middleware(AuthMiddleware, verifier=verifier),
            Middleware(BodyLimitMiddleware),
            Middleware(TrailingSlashMiddleware, prefix=router.prefix),
            Middleware(EndpointMiddleware),
        ],
    )
    add_error_handlers(app, ValidationErrorHandler(RULES, SENTENCES))
    declare_bearer(app, prefix=PREFIX)
    app.include_router(router)
    app.add_api_route("/health", health, tags=["health"], responses=error_responses(503))
    return app


def operation_id(route: APIRoute) -> str:
    """Name an operation as its function is named, so that generated clients read well."""
    return route.name


async def health(db: ExecutorDep) -> dict[str, str]:
    """Whether the database answers."""
    await db.run(PING, {})
    return {"status": "ok"}


app = create_app(Settings.load())
