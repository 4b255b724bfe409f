"""What is particular to the records in SQLite; what all back ends promise is in `tests/contract`."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from handiwork.errors import ArtifactNotFound, StorageFailed, StorageFull
from handiwork.ids import ArtifactId, ExecutionId, Handle
from handiwork.model import Artifact, Scope, Version
from handiwork.store.keys import BlobKey
from handiwork.store.records import Filed
from handiwork.store.sql_records import SqlRecords
from handiwork.store.sqlite import open_sqlite
from handiwork.store.upgrade import upgrade

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCOPE = Scope(session="s")


def filed(name: str, *, summary: str = "") -> Filed:
    version = Version(
        artifact_id=ArtifactId(name),
        number=1,
        name=name,
        media_type="text/plain",
        category="text",
        size=1,
        sha256="0" * 64,
        created_at=NOON,
        summary=summary,
    )
    artifact = Artifact(
        id=ArtifactId(name),
        handle=Handle(f"{name}_1"),
        scope=SCOPE,
        type="file",
        title=name,
        created_at=NOON,
        updated_at=NOON,
        expires_at=None,
        version=version,
    )
    return Filed(artifact=artifact, blob_key=BlobKey(name))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncGenerator[AsyncEngine]:
    path = tmp_path / "handiwork.db"
    upgrade(path)
    engine = open_sqlite(path)
    yield engine
    await engine.dispose()


async def test_a_full_database_says_so_and_keeps_what_it_has(engine: AsyncEngine) -> None:
    records = SqlRecords(engine)
    await records.add([filed("a")])
    async with engine.connect() as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))

    @event.listens_for(engine.sync_engine, "begin")
    def shrink(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1}")

    with pytest.raises(StorageFull):
        await records.add([filed("b"), filed("c", summary="x" * 100_000)])

    event.remove(engine.sync_engine, "begin", shrink)
    assert await records.get(SCOPE, "a") == filed("a")
    with pytest.raises(ArtifactNotFound):
        await records.get(SCOPE, "b")


async def test_an_id_that_is_taken_is_no_taken_handle(engine: AsyncEngine) -> None:
    records = SqlRecords(engine)
    await records.add([filed("a")])
    twin = filed("a")
    twin = replace(twin, artifact=replace(twin.artifact, handle=Handle("other_1")))

    with pytest.raises(StorageFailed):
        await records.add([twin])

    assert await records.get(SCOPE, "a") == filed("a")


async def test_every_query_names_tenant_user_and_session(engine: AsyncEngine) -> None:
    records = SqlRecords(engine)
    await records.add([filed("a")])
    said: list[str] = []

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            said.append(statement)

    await records.get(SCOPE, "a")
    await records.page(SCOPE, limit=1, cursor=None)
    await records.remove(SCOPE, "a")
    with pytest.raises(Exception, match="No execution"):
        await records.get_execution(SCOPE, ExecutionId("exc_1"))

    event.remove(engine.sync_engine, "before_cursor_execute", note)
    assert len(said) == 6
    for statement in said:
        condition = statement.partition("WHERE")[2]
        assert all(f"{column} = ?" in condition for column in ("tenant", "user", "session")), statement


async def test_a_time_without_zone_is_refused(engine: AsyncEngine) -> None:
    entry = filed("a")
    entry = replace(entry, artifact=replace(entry.artifact, created_at=NOON.replace(tzinfo=None)))

    with pytest.raises(Exception, match="has no time zone"):
        await SqlRecords(engine).add([entry])
