"""Tables for the ledger of actions, and for the keys by which they were asked for, of which one may have several."""

import sqlalchemy as sa
from alembic import op

from handiwork.store.tables import WITHOUT_ROWID, UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "actions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("session", sa.Text, nullable=False),
        sa.Column("artifact_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("asked_sha256", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("proposed_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime),
        sa.Column("started_at", UtcTime),
        sa.Column("finished_at", UtcTime),
        sa.Column("told", sa.JSON, nullable=False),
        sa.Column("sealed", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_actions"),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name="fk_actions_artifact_id_artifacts", ondelete="CASCADE"
        ),
        **WITHOUT_ROWID,
    )
    op.create_index("ix_actions_artifact_id_proposed_at_id", "actions", ["artifact_id", "proposed_at", "id"])
    op.create_table(
        "action_keys",
        sa.Column("artifact_id", sa.String(64), nullable=False),
        sa.Column("key_sha256", sa.String(64), nullable=False),
        sa.Column("action_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("artifact_id", "key_sha256", name="pk_action_keys"),
        sa.ForeignKeyConstraint(
            ["action_id"], ["actions.id"], name="fk_action_keys_action_id_actions", ondelete="CASCADE"
        ),
        **WITHOUT_ROWID,
    )
    op.create_index("ix_action_keys_action_id", "action_keys", ["action_id"])


def downgrade() -> None:
    op.drop_table("action_keys")
    op.drop_table("actions")
