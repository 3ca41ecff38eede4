"""Run by Alembic, on the connection that todo_backend.database.migrations hands it."""

from alembic import context

from todo_backend.tasks.models import Task

context.configure(connection=context.config.attributes["connection"], target_metadata=Task.metadata)
with context.begin_transaction():
    context.run_migrations()
