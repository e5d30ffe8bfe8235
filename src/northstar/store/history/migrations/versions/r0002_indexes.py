"""Indexes for reading: the events of a job, and pages of finished jobs by time, tenant and state."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = (
    ("events_by_subject", "events", ["cell", "subject", "epoch", "sequence"]),
    ("jobs_by_finish", "jobs", ["cell", "finished_ms", "job_id"]),
    ("jobs_by_tenant", "jobs", ["cell", "tenant", "finished_ms", "job_id"]),
    ("jobs_by_status", "jobs", ["cell", "status", "finished_ms", "job_id"]),
)


def upgrade() -> None:
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _ in INDEXES:
        op.drop_index(name, table_name=table)
