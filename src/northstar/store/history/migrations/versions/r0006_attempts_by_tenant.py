"""An index for pages of one tenant's attempts, which would else be picked out of everybody's."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("attempts_by_tenant", "attempts", ["cell", "tenant", "epoch", "sequence"])


def downgrade() -> None:
    op.drop_index("attempts_by_tenant", table_name="attempts")
