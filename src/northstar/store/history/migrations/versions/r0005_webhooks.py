"""Events on their way to webhooks, and how far each webhook is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = (
    ("webhook_deliveries_by_state", ["cell", "state", "webhook", "due_ms", "epoch", "sequence"]),
    ("webhook_deliveries_by_subject", ["cell", "webhook", "subject", "state", "epoch", "sequence"]),
    ("webhook_deliveries_by_time", ["cell", "webhook", "made_ms", "id"]),
    ("webhook_deliveries_in_flight", ["cell", "holder"]),
)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    op.create_table(
        "webhook_states",
        _text("cell"),
        _text("webhook"),
        *(_number(name) for name in ("epoch", "sequence", "failing_since_ms", "delivered_ms")),
        sa.PrimaryKeyConstraint("cell", "webhook"),
    )
    op.create_table(
        "webhook_deliveries",
        *(_text(name) for name in ("cell", "id", "webhook", "kind", "subject")),
        _number("epoch"),
        _number("sequence"),
        _text("state"),
        _text("body"),
        _number("made_ms"),
        _number("due_ms"),
        _text("holder"),
        sa.Column("attempts", sa.Integer, nullable=False),
        _number("tried_ms"),
        _text("error"),
        _text("message"),
        sa.Column("answer_status", sa.Integer, nullable=False),
        _text("answer"),
        _number("took_ms"),
        sa.PrimaryKeyConstraint("cell", "id"),
    )
    for name, columns in INDEXES:
        op.create_index(name, "webhook_deliveries", columns)


def downgrade() -> None:
    for name, _ in INDEXES:
        op.drop_index(name, table_name="webhook_deliveries")
    for table in ("webhook_deliveries", "webhook_states"):
        op.drop_table(table)
