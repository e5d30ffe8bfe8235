"""Which history this is, and which cells of their names it belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def upgrade() -> None:
    op.create_table("identity", _text("part"), _text("id"), sa.PrimaryKeyConstraint("part"))
    op.create_table("cells", _text("cell"), _text("id"), sa.PrimaryKeyConstraint("cell"))


def downgrade() -> None:
    for table in ("cells", "identity"):
        op.drop_table(table)
