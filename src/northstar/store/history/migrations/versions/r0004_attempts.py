"""Every attempt, what is known of machines, and when they were there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = (
    ("attempts_by_order", "attempts", ["cell", "epoch", "sequence"]),
    ("attempts_by_end", "attempts", ["cell", "ended_ms"]),
    ("attempts_by_machine", "attempts", ["cell", "machine", "started_ms"]),
    ("presences_by_end", "presences", ["cell", "until_ms"]),
)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    op.create_table(
        "attempts",
        _text("cell"),
        _text("job_id"),
        sa.Column("claim", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer),
        _text("outcome"),
        sa.Column("code", sa.Text),
        *(sa.Column(name, sa.Text) for name in ("tenant", "user", "session", "parent", "service", "shape", "modality")),
        sa.Column("models", sa.JSON, nullable=False),
        *(sa.Column(name, sa.Double) for name in ("work", "estimate_p10_s", "estimate_p50_s", "estimate_p90_s")),
        *(sa.Column(name, sa.Text) for name in ("estimate_source", "optimal_pool", "pool", "route")),
        *(sa.Column(name, sa.Text) for name in ("machine", "gpu_class", "region")),
        sa.Column("price_usd_per_hour", sa.Double),
        sa.Column("submitted_ms", sa.BigInteger),
        _number("started_ms"),
        _number("ended_ms"),
        *(sa.Column(name, sa.Double) for name in ("queued_s", "waiting_s", "fetching_s", "loading_s")),
        *(sa.Column(name, sa.Double) for name in ("running_s", "storing_s")),
        sa.Column("fetched_bytes", sa.BigInteger),
        sa.Column("link_bytes_per_s", sa.Double),
        sa.Column("peak_vram_mb", sa.BigInteger),
        _number("epoch"),
        _number("sequence"),
        sa.PrimaryKeyConstraint("cell", "job_id", "claim"),
    )
    op.create_table(
        "machines",
        _text("cell"),
        _text("machine"),
        *(sa.Column(name, sa.Text) for name in ("gpu", "gpu_class", "region")),
        *(sa.Column(name, sa.Double) for name in ("price_usd_per_hour", "link_bytes_per_s")),
        sa.Column("vram_mb", sa.BigInteger),
        sa.Column("pools", sa.JSON),
        _number("first_seen_ms"),
        _number("last_seen_ms"),
        sa.PrimaryKeyConstraint("cell", "machine"),
    )
    op.create_table(
        "presences",
        _text("cell"),
        _text("machine"),
        _number("since_ms"),
        sa.Column("until_ms", sa.BigInteger),
        sa.Column("price_usd_per_hour", sa.Double),
        sa.PrimaryKeyConstraint("cell", "machine", "since_ms"),
    )
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _ in INDEXES:
        op.drop_index(name, table_name=table)
    for table in ("presences", "machines", "attempts"):
        op.drop_table(table)
