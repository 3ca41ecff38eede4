"""Limit ids to 2^53 - 1, the largest integer that JavaScript holds.

A client in JavaScript would round a larger one, and ask for another task. drizzle-kit rounds the limit of bigint,
2^63 - 1, and so never finds the schema as it has just pulled it.

Only the sequence is altered: ALTER TABLE would wait for every transaction that reads the table, such as a backup's,
and all others would wait behind it.
"""

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"

_NEXT = "SELECT coalesce(max(id), 0) + 1 FROM tasks WHERE id < :largest"


def upgrade() -> None:
    _limit(2**53 - 1)


def downgrade() -> None:
    _limit(2**63 - 1)


def _limit(largest: int) -> None:
    connection = op.get_bind()
    sequence = connection.scalar(text("SELECT pg_get_serial_sequence('tasks', 'id')"))
    restart = ""
    if connection.scalar(text(f"SELECT last_value > {largest} FROM {sequence}")):  # set by hand
        restart = f"RESTART {connection.scalar(text(_NEXT), {'largest': largest})}"
    connection.execute(text(f"ALTER SEQUENCE {sequence} MAXVALUE {largest} {restart}"))
