"""Run by Alembic, on the connection that todo_backend.database.migrations hands it."""

from alembic import context

context.configure(**context.config.attributes)
with context.begin_transaction():
    context.run_migrations()
