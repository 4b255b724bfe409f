"""What is particular to the records in SQLite; what all back ends promise is in `tests/contract`."""

import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import event, text

from handiwork.errors import ArtifactNotFound, StorageFailed, StorageFull
from handiwork.ids import ExecutionId, Handle
from handiwork.store.records import Filed
from handiwork.store.revisions import Marks
from sample_records import ADA, NOON, execution, filed
from sqlite_store import Store, open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    async with open_store(tmp_path) as store:
        yield store


def with_summary(entry: Filed, summary: str) -> Filed:
    version = replace(entry.artifact.version, summary=summary)
    return replace(entry, artifact=replace(entry.artifact, version=version))


async def test_a_full_database_says_so_and_keeps_what_it_has(store: Store) -> None:
    await store.records.add([filed("a")])
    pages = await store.database.read(lambda connection: connection.scalar(text("PRAGMA page_count")))

    def shrink(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1}")

    event.listen(store.database._writer._engine, "begin", shrink)

    with pytest.raises(StorageFull):
        await store.records.add([filed("b"), with_summary(filed("c"), "x" * 100_000)])

    event.remove(store.database._writer._engine, "begin", shrink)
    assert await store.records.get(ADA, "art_a") == filed("a")
    with pytest.raises(ArtifactNotFound):
        await store.records.get(ADA, "art_b")
    assert (await store.log.after(ADA, 0, limit=10)).last == 1


async def test_an_id_that_is_taken_is_no_taken_handle(store: Store) -> None:
    await store.records.add([filed("a")])
    twin = filed("a")
    twin = replace(twin, artifact=replace(twin.artifact, handle=Handle("other_1")))

    with pytest.raises(StorageFailed):
        await store.records.add([twin])

    assert await store.records.get(ADA, "art_a") == filed("a")


async def test_every_look_at_an_artifact_or_run_names_tenant_user_and_session(store: Store) -> None:
    await store.records.add([filed("a")])
    said: list[str] = []

    def note(statement: str) -> None:
        if statement.startswith(("SELECT", "UPDATE artifacts SET title")):
            said.append(statement)

    def listen(connection: sqlite3.Connection, *_rest: Any) -> None:
        connection.set_trace_callback(note)

    event.listen(store.database._engine, "checkout", listen)
    writing = store.database._writer._connection
    assert writing is not None
    listen(cast("sqlite3.Connection", writing.connection.driver_connection))
    await store.records.get(ADA, "art_a")
    await store.records.page(ADA, limit=1)
    await store.revisions.listing(ADA, "art_a", limit=1)
    await store.revisions.mark(filed("a").artifact, Marks(labels=["b"]))
    await store.log.after(ADA, 0, limit=1)
    await store.records.remove(ADA, "art_a")
    for ask in (store.executions.get, store.executions.request_cancel):
        with pytest.raises(Exception, match="No execution"):
            await ask(ADA, ExecutionId("exc_1"))

    assert len(said) == 12
    for statement in said:
        condition = statement.partition("WHERE")[2]
        assert all(f"{column} = '" in condition for column in ("tenant", "user", "session")), statement


async def test_a_time_without_zone_is_refused_and_leaves_nothing(store: Store) -> None:
    entry = filed("a")
    entry = replace(entry, artifact=replace(entry.artifact, created_at=NOON.replace(tzinfo=None)))

    with pytest.raises(ValueError, match="has no time zone"):
        await store.records.add([entry], execution=execution())

    assert (await store.log.after(ADA, 0, limit=10)).last == 0
