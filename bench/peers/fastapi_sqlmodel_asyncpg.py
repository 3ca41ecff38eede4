"""The straightforward service: FastAPI, SQLModel, AsyncSession and asyncpg, as their tutorials write it.

asyncpg takes PGHOST, PGPORT, PGUSER and PGDATABASE from the environment.
"""

import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import DateTime, Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

utc_now = partial(datetime.now, UTC)
moment = partial(Field, default_factory=utc_now, sa_type=DateTime(timezone=True))


class TaskCreate(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=1000)


class TaskUpdate(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=1000)


class Task(TaskCreate, table=True):
    __tablename__ = "tasks"

    id: int | None = Field(default=None, primary_key=True)
    user_id: str = Field(index=True)
    completed: bool = False
    created_at: datetime = moment()
    updated_at: datetime = moment(sa_column_kwargs={"onupdate": utc_now})


class TaskRead(TaskCreate):
    id: int
    user_id: str
    completed: bool
    created_at: datetime
    updated_at: datetime


secret = os.environ["BETTER_AUTH_SECRET"]
engine = create_async_engine("postgresql+asyncpg://", pool_size=10, max_overflow=0)
session_maker = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with session_maker() as session:
        yield session


async def get_current_user(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> dict[str, str]:
    try:
        claims = jwt.decode(
            credentials.credentials, secret, ["HS256"], {"require": ["exp", "sub"], "verify_aud": False}
        )
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Invalid token") from error
    return {"id": claims["sub"]}


SessionDep = Annotated[AsyncSession, Depends(get_db)]
CurrentUser = Annotated[dict[str, str], Depends(get_current_user)]


async def get_owned_task(task_id: int, db: SessionDep, user: CurrentUser) -> Task:
    task = (await db.exec(select(Task).where(Task.id == task_id))).first()
    if task is None:
        raise HTTPException(404, "Task not found")
    if task.user_id != user["id"]:
        raise HTTPException(403, "You do not own this task")
    return task


OwnedTask = Annotated[Task, Depends(get_owned_task)]

app = FastAPI()
app.add_middleware(
    CORSMiddleware,
    allow_origins=["http://localhost:3000"],
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)


async def save(db: AsyncSession, task: Task) -> Task:
    db.add(task)
    await db.commit()
    await db.refresh(task)
    return task


@app.get("/api/tasks", response_model=list[TaskRead])
async def list_tasks(
    db: SessionDep, user: CurrentUser, status: Literal["all", "pending", "completed"] = "all"
) -> Sequence[Task]:
    query = select(Task).where(Task.user_id == user["id"]).order_by(col(Task.id))
    if status != "all":
        query = query.where(Task.completed == (status == "completed"))
    return (await db.exec(query)).all()


@app.post("/api/tasks", response_model=TaskRead, status_code=201)
async def create_task(db: SessionDep, user: CurrentUser, body: TaskCreate) -> Task:
    return await save(db, Task(**body.model_dump(), user_id=user["id"]))


@app.get("/api/tasks/{task_id}", response_model=TaskRead)
async def get_task(task: OwnedTask) -> Task:
    return task


@app.put("/api/tasks/{task_id}", response_model=TaskRead)
async def update_task(task: OwnedTask, db: SessionDep, body: TaskUpdate) -> Task:
    task.sqlmodel_update(body.model_dump(exclude_unset=True))
    return await save(db, task)


@app.delete("/api/tasks/{task_id}", response_model=TaskRead)
async def delete_task(task: OwnedTask, db: SessionDep) -> Task:
    await db.delete(task)
    await db.commit()
    return task


@app.patch("/api/tasks/{task_id}/complete", response_model=TaskRead)
async def toggle_task(task: OwnedTask, db: SessionDep) -> Task:
    task.completed = not task.completed
    return await save(db, task)
