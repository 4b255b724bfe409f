"""The tables, for SQLite and PostgreSQL alike. What is read from them and written to them is in `sql_*`.

`migrations/` makes the same tables step by step; a test proves that the two agree.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# On SQLite the rows lie in the tree of their primary key itself: one tree less to write to for each row.
WITHOUT_ROWID: Mapping[str, Any] = {"sqlite_with_rowid": False}


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC to the microsecond: a zoned timestamp on PostgreSQL, text that sorts by time on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _scope() -> tuple[Column[Any], ...]:
    return (
        Column("tenant", Text, nullable=False),
        Column("user", Text, nullable=False),
        Column("session", Text, nullable=False),
    )


def _index_where_set(column: str) -> Index:
    """An index that has no entry for the many rows without a value."""
    is_set = text(f"{column} IS NOT NULL")
    return Index(None, column, sqlite_where=is_set, postgresql_where=is_set)


artifacts = Table(
    "artifacts",
    metadata,
    Column("id", String(64), primary_key=True),
    *_scope(),
    Column("handle", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("state", String(64)),
    Column("labels", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("head", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # The place among those that were added together, which share one time.
    Column("ordinal", Integer, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("held", Boolean, nullable=False),
    # Its bytes and versions are gone; the row stays for a while to tell its owner that it has expired.
    Column("purged_at", UtcTime),
    # Title, labels and facts, where they are encrypted; their own columns are empty then.
    Column("sealed", Text),
    UniqueConstraint("tenant", "user", "session", "handle"),
    CheckConstraint("head >= 1", name="head"),
    Index(None, "tenant", "user", "session", "created_at", "ordinal", "id"),
    Index(None, "expires_at"),
    _index_where_set("purged_at"),
    **WITHOUT_ROWID,
)

versions = Table(
    "versions",
    metadata,
    Column("artifact_id", String(64), ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("category", String(32), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("blob_key", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("summary_data", JSON, nullable=False, server_default="{}"),
    Column("language", Text),
    Column("metadata", JSON, nullable=False),
    Column("provenance", JSON, nullable=False),
    # Out of the provenance, to find what a run has made.
    Column("execution_id", String(64)),
    # Likewise, to find what a tool has answered.
    Column("tool_call_id", String(200)),
    Column("created_at", UtcTime, nullable=False),
    # Where its picture is, an empty object when none can be made, null when nobody has asked.
    Column("preview", JSON(none_as_null=True)),
    # Name, both summaries, language, metadata and provenance, where they are encrypted.
    Column("sealed", Text),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("size >= 0", name="size"),
    _index_where_set("execution_id"),
    _index_where_set("tool_call_id"),
    **WITHOUT_ROWID,
)

# Of long bytes the hash of each piece and where units begin. Versions that share their bytes share it, too.
outlines = Table(
    "outlines",
    metadata,
    Column("artifact_id", String(64), ForeignKey("artifacts.id", ondelete="CASCADE"), primary_key=True),
    Column("blob_key", Text, primary_key=True),
    Column("told", Text, nullable=False),
    # The same, where it is encrypted.
    Column("sealed", Text),
    **WITHOUT_ROWID,
)

# What the result of a tool was promoted to, so that asking for it twice makes one artifact.
promotions = Table(
    "promotions",
    metadata,
    *(Column(column.name, Text, primary_key=True) for column in _scope()),
    Column("tool_call_id", String(200), primary_key=True),
    Column("type", String(64), primary_key=True),
    Column("artifact_id", String(64), ForeignKey("artifacts.id", ondelete="CASCADE"), nullable=False),
    Index(None, "artifact_id"),
    **WITHOUT_ROWID,
)

# The ledger: what was proposed and done with one version of an artifact each.
actions = Table(
    "actions",
    metadata,
    Column("id", String(64), primary_key=True),
    *_scope(),
    Column("artifact_id", String(64), ForeignKey("artifacts.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    # What was asked for, as a hash: the same is not open twice, and a key stands for one thing.
    Column("asked_sha256", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("proposed_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    # Arguments, idempotency key, outcome, and who has proposed and decided it.
    Column("told", JSON, nullable=False),
    # The same, where it is encrypted.
    Column("sealed", Text),
    Index(None, "artifact_id", "proposed_at", "id"),
    **WITHOUT_ROWID,
)

# What was asked for with which keys: who asks for what is open already, with a key of his own, has asked for that.
action_keys = Table(
    "action_keys",
    metadata,
    Column("artifact_id", String(64), primary_key=True),
    Column("key_sha256", String(64), primary_key=True),
    Column("action_id", String(64), ForeignKey("actions.id", ondelete="CASCADE"), nullable=False, index=True),
    **WITHOUT_ROWID,
)

executions = Table(
    "executions",
    metadata,
    Column("id", String(64), primary_key=True),
    *_scope(),
    Column("status", String(32), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("outcome", JSON, nullable=False),
    # The outcome, where it is encrypted.
    Column("sealed", Text),
    # The process that carries it out, as long as it has not ended.
    Column("owner", String(64)),
    Column("cancel_requested", Boolean, nullable=False),
    Index(None, "tenant", "user", "session", "created_at", "id"),
    Index(None, "owner"),
    **WITHOUT_ROWID,
)

# What a session adds up to. Its row is written with every event, so whoever writes it has the numbers to himself.
sessions = Table(
    "sessions",
    metadata,
    *(Column(column.name, Text, primary_key=True) for column in _scope()),
    Column("last_seq", Integer, nullable=False),
    # The oldest event that is still kept has this number.
    Column("first_seq", Integer, nullable=False),
    # The number before that of its first event: not 0 where a session of this name was erased before.
    Column("base_seq", Integer, nullable=False),
    Column("artifacts", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Index(None, "tenant", "user", "updated_at"),
    **WITHOUT_ROWID,
)

events = Table(
    "events",
    metadata,
    *(Column(column.name, Text, primary_key=True) for column in _scope()),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("id", String(64), nullable=False),
    Column("type", String(32), nullable=False),
    Column("artifact_id", String(64)),
    Column("execution_id", String(64)),
    Column("at", UtcTime, nullable=False),
    Column("facts", JSON, nullable=False),
    Index(None, "at"),
    **WITHOUT_ROWID,
)

# That something was erased, as a hash: whoever is still storing into it must not end with a row without bytes.
erasures = Table(
    "erasures",
    metadata,
    Column("place", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
    # The highest number of an event that was erased with it: no cursor from before shall fit what comes after.
    Column("last_seq", Integer, nullable=False),
    **WITHOUT_ROWID,
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("user", Text),
    Column("session", Text),
    Column("name", Text, nullable=False),
    Column("permissions", JSON, nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Index(None, "tenant", "created_at"),
    **WITHOUT_ROWID,
)

# The root keys of a store, each wrapped by the key of a file outside it. The newest is the one that is written with.
encryption_keys = Table(
    "encryption_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("wrapped", Text, nullable=False),
    # The fingerprint of the key of the file.
    Column("wrapped_by", String(32), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    **WITHOUT_ROWID,
)
