"""A table for what is kept of long bytes, the hash of each piece and where units begin; what summarizers say."""

import sqlalchemy as sa
from alembic import op

from handiwork.store.tables import WITHOUT_ROWID

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("versions", sa.Column("summary_data", sa.JSON, nullable=False, server_default="{}"))
    op.create_table(
        "outlines",
        sa.Column("artifact_id", sa.String(64), nullable=False),
        sa.Column("blob_key", sa.Text, nullable=False),
        sa.Column("told", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text),
        sa.PrimaryKeyConstraint("artifact_id", "blob_key", name="pk_outlines"),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name="fk_outlines_artifact_id_artifacts", ondelete="CASCADE"
        ),
        **WITHOUT_ROWID,
    )


def downgrade() -> None:
    op.drop_table("outlines")
    op.drop_column("versions", "summary_data")
