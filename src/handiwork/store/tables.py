"""The tables, for SQLite and PostgreSQL alike. What is read from them and written to them is in `sql_records`.

`migrations/` makes the same tables step by step; a test proves that the two agree.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
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
    Column("head", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # The place among those that were added together, which share one time.
    Column("ordinal", Integer, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    UniqueConstraint("tenant", "user", "session", "handle"),
    CheckConstraint("head >= 1", name="head"),
    Index(None, "tenant", "user", "session", "created_at", "ordinal", "id"),
    Index(None, "expires_at"),
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
    Column("language", Text),
    Column("metadata", JSON, nullable=False),
    Column("provenance", JSON, nullable=False),
    # Out of the provenance, to find what a run has made.
    Column("execution_id", String(64)),
    Column("created_at", UtcTime, nullable=False),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("size >= 0", name="size"),
    Index(None, "execution_id"),
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
    Index(None, "tenant", "user", "session", "created_at", "id"),
)
