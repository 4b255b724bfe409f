"""The first tables: artifacts, versions, executions, and what a session, an event and a key are."""

import sqlalchemy as sa
from alembic import op

from handiwork.store.tables import WITHOUT_ROWID, UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", sa.String(64), nullable=False),
        *_scope(),
        sa.Column("handle", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("state", sa.String(64)),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("head", sa.Integer, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("purged_at", UtcTime),
        sa.Column("sealed", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint("tenant", "user", "session", "handle", name="uq_artifacts_tenant_user_session_handle"),
        sa.CheckConstraint("head >= 1", name=op.f("ck_artifacts_head")),
        **WITHOUT_ROWID,
    )
    op.create_index(
        "ix_artifacts_tenant_user_session_created_at_ordinal_id",
        "artifacts",
        ["tenant", "user", "session", "created_at", "ordinal", "id"],
    )
    op.create_index("ix_artifacts_expires_at", "artifacts", ["expires_at"])
    _index_where_set("artifacts", "purged_at")
    op.create_table(
        "versions",
        sa.Column("artifact_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("blob_key", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("language", sa.Text),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("provenance", sa.JSON, nullable=False),
        sa.Column("execution_id", sa.String(64)),
        sa.Column("tool_call_id", sa.String(200)),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("preview", sa.JSON(none_as_null=True)),
        sa.Column("sealed", sa.Text),
        sa.PrimaryKeyConstraint("artifact_id", "number", name="pk_versions"),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name="fk_versions_artifact_id_artifacts", ondelete="CASCADE"
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_versions_number")),
        sa.CheckConstraint("size >= 0", name=op.f("ck_versions_size")),
        **WITHOUT_ROWID,
    )
    _index_where_set("versions", "execution_id")
    _index_where_set("versions", "tool_call_id")
    op.create_table(
        "executions",
        sa.Column("id", sa.String(64), nullable=False),
        *_scope(),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("finished_at", UtcTime),
        sa.Column("outcome", sa.JSON, nullable=False),
        sa.Column("sealed", sa.Text),
        sa.Column("owner", sa.String(64)),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_executions"),
        **WITHOUT_ROWID,
    )
    op.create_index(
        "ix_executions_tenant_user_session_created_at_id",
        "executions",
        ["tenant", "user", "session", "created_at", "id"],
    )
    op.create_index("ix_executions_owner", "executions", ["owner"])
    _promotions()
    _sessions_and_events()
    _keys_and_erasures()


def _promotions() -> None:
    op.create_table(
        "promotions",
        *_scope(),
        sa.Column("tool_call_id", sa.String(200), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("artifact_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user", "session", "tool_call_id", "type", name="pk_promotions"),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name="fk_promotions_artifact_id_artifacts", ondelete="CASCADE"
        ),
        **WITHOUT_ROWID,
    )
    op.create_index("ix_promotions_artifact_id", "promotions", ["artifact_id"])


def _sessions_and_events() -> None:
    op.create_table(
        "sessions",
        *_scope(),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.Column("first_seq", sa.Integer, nullable=False),
        sa.Column("base_seq", sa.Integer, nullable=False),
        sa.Column("artifacts", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user", "session", name="pk_sessions"),
        **WITHOUT_ROWID,
    )
    op.create_index("ix_sessions_tenant_user_updated_at", "sessions", ["tenant", "user", "updated_at"])
    op.create_table(
        "events",
        *_scope(),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("artifact_id", sa.String(64)),
        sa.Column("execution_id", sa.String(64)),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user", "session", "seq", name="pk_events"),
        **WITHOUT_ROWID,
    )
    op.create_index("ix_events_at", "events", ["at"])


def _keys_and_erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("place", sa.String(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_erasures"),
        **WITHOUT_ROWID,
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("user", sa.Text),
        sa.Column("session", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("permissions", sa.JSON, nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime),
        sa.Column("revoked_at", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        **WITHOUT_ROWID,
    )
    op.create_index("ix_keys_tenant_created_at", "keys", ["tenant", "created_at"])
    op.create_table(
        "encryption_keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("wrapped", sa.Text, nullable=False),
        sa.Column("wrapped_by", sa.String(32), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_encryption_keys"),
        **WITHOUT_ROWID,
    )


def downgrade() -> None:
    for table in (
        "promotions",
        "versions",
        "artifacts",
        "executions",
        "events",
        "sessions",
        "erasures",
        "keys",
        "encryption_keys",
    ):
        op.drop_table(table)


def _index_where_set(table: str, column: str) -> None:
    is_set = sa.text(f"{column} IS NOT NULL")
    op.create_index(f"ix_{table}_{column}", table, [column], sqlite_where=is_set, postgresql_where=is_set)


def _scope() -> tuple[sa.Column[str], ...]:
    return tuple(sa.Column(name, sa.Text, nullable=False) for name in ("tenant", "user", "session"))
