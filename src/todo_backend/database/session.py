"""SQLModel's session, for routes that you add. The routes of this package use executor.py."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from todo_backend.database.engine import waited
from todo_backend.database.executor import DatabaseUnavailable, response_to
from todo_backend.database.timeouts import time_left


async def get_db(request: Request) -> AsyncIterator[AsyncSession]:
    """Yield a session on the service's connection pool, and close it before the response is sent.

    It begins a transaction at its first statement; what is not committed is rolled back. Each statement has
    timeouts.DATABASE_TIMEOUT.

    Raises:
        DatabaseUnavailable: the database does not answer in time, or its schema is not prepared yet. A commit may
            have taken effect.
        StatementRejected: the database lacks a privilege or is set up wrong.
    """
    database, waited_before = request.state.database, getattr(request.state, "waited", 0.0)
    waited.set(waited_before)
    try:
        async with asyncio.timeout(time_left(waited_before)):
            if not await database.becomes_ready():
                raise DatabaseUnavailable
    except TimeoutError:
        raise DatabaseUnavailable from None
    try:
        # expire_on_commit=False: an attribute must not become a query after a commit (SQLAlchemy, "Preventing
        # Implicit IO when Using AsyncSession").
        async with AsyncSession(database.engine, expire_on_commit=False) as session:
            yield session
    except DBAPIError as error:
        if response := response_to(error, database.table):
            raise response from error
        raise


SessionDep = Annotated[AsyncSession, Depends(get_db, scope="function")]
