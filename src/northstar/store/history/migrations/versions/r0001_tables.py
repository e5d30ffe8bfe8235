"""Events, finished jobs, offsets and gaps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    op.create_table(
        "events",
        _text("cell"),
        _number("epoch"),
        _number("sequence"),
        _text("kind"),
        _text("subject"),
        _number("number"),
        _number("at_ms"),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("cell", "epoch", "sequence"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "jobs",
        _text("cell"),
        _text("job_id"),
        _text("status"),
        *(sa.Column(name, sa.Text) for name in ("tenant", "pool", "service")),
        *(sa.Column(name, sa.BigInteger) for name in ("submitted_ms", "started_ms")),
        _number("finished_ms"),
        *(sa.Column(name, sa.BigInteger) for name in ("waited_ms", "ran_ms")),
        *(sa.Column(name, sa.Integer) for name in ("attempts", "recoveries")),
        *(sa.Column(name, sa.Text) for name in ("machine", "error_code", "error_message")),
        sa.Column("result_bytes", sa.BigInteger),
        sa.Column("result_summary", sa.Text),
        _number("epoch"),
        _number("sequence"),
        sa.PrimaryKeyConstraint("cell", "job_id"),
    )
    op.create_table("offsets", _text("cell"), _number("epoch"), _number("sequence"), sa.PrimaryKeyConstraint("cell"))
    op.create_table(
        "gaps",
        _text("cell"),
        _number("next_epoch"),
        _number("next_sequence"),
        _number("last_epoch"),
        _number("last_sequence"),
        _text("reason"),
        _number("missing"),
        _number("disowned"),
        _number("at_ms"),
        sa.PrimaryKeyConstraint("cell", "next_epoch", "next_sequence"),
    )


def downgrade() -> None:
    for table in ("gaps", "offsets", "jobs", "events"):
        op.drop_table(table)
