"""A session of SQLModel's for a route. The routes of this package do without one: see executor.py."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from todo_backend.database.executor import response_to


async def get_db(request: Request) -> AsyncIterator[AsyncSession]:
    """Yield a session on the service's connection pool, and close it before the response is sent.

    It begins a transaction at its first statement; what is not committed is rolled back. Each statement has
    connection.DATABASE_TIMEOUT.

    Raises:
        DatabaseUnavailable: the database did not answer in time, or at all. A commit may have taken effect.
        StatementRefused: the database lacks a privilege or is set up wrong.
    """
    try:
        # expire_on_commit=False: an attribute must not become a query after a commit (SQLAlchemy, "Preventing
        # Implicit IO when Using AsyncSession").
        async with AsyncSession(request.state.database.engine, expire_on_commit=False) as session:
            yield session
    except DBAPIError as error:
        if response := response_to(error):
            raise response from error
        raise


SessionDep = Annotated[AsyncSession, Depends(get_db, scope="function")]
