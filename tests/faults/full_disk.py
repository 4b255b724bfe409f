"""What is done on a disk that is really full, as a program: the disk is a small one in memory that only it can see."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import store_state as state

from handiwork import wiring
from handiwork.engine import Engine
from handiwork.errors import StorageFull
from handiwork.ids import new_execution_id
from handiwork.model import Execution, Outcome
from handiwork.retention import GRACE
from handiwork.session import Session
from handiwork.settings import Artifacts, Settings, Storage

LARGE_BYTES = 100_000
RESERVE_BYTES = 512 * 1024
BRIEF, LATER = timedelta(hours=1), timedelta(hours=3)


def later() -> datetime:
    return datetime.now(UTC) + LATER


def settings(*, reserve: int = RESERVE_BYTES) -> Settings:
    return Settings(artifacts=Artifacts(storage=Storage(cleanup_enabled=False, reserve=reserve)))


async def store(session: Session, size: int, *, retention: timedelta | None = None) -> str:
    return (await session.create("file", content=b"x" * size, name="a.txt", retention=retention)).id


async def fill(engine: Engine, session: Session) -> list[str]:
    """Store until nothing more goes in, not even one byte; return what was stored."""
    stored: list[str] = []
    for size in (LARGE_BYTES, 10_000, 1, 1):
        with contextlib.suppress(StorageFull):
            while True:
                stored.append(await store(session, size))
        await settle_notes(engine)
    assert len(stored) > 10
    return stored


async def settle_notes(engine: Engine) -> None:
    """A note that finds no room gives back what it has taken, and that is not to happen later."""
    assert engine.creation.notes is not None
    await engine.creation.notes.settled()


async def fill_with_foreign_file(engine: Engine, disk: Path) -> None:
    await settle_notes(engine)
    with (disk / "foreign").open("ab", buffering=0) as file:
        for step in (65536, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(step))
    assert os.statvfs(disk).f_bavail == 0


async def fill_log(engine: Engine, session: Session) -> None:
    """Let the database's log grow until it cannot: what was free in its file is used up."""
    await settle_notes(engine)
    for size in (10_000, 1):
        with contextlib.suppress(StorageFull):
            while True:
                outcome = Outcome(status="running", stdout="x" * size)
                at = datetime.now(UTC)
                run = Execution(id=new_execution_id(), scope=session.scope, created_at=at, outcome=outcome)
                await engine.runs.executions.begin(run, owner=engine.runs.owner)


async def refused(work: Awaitable[object]) -> None:
    try:
        await work
    except StorageFull:
        return
    raise AssertionError("it was done on a full disk")


async def assert_nothing_is_left_of_what_was_refused(data: Path, session: Session, stored: list[str]) -> None:
    before = state.blob_keys(data)
    for size in (1, LARGE_BYTES, 2_000_000):
        await refused(store(session, size))
    assert state.blob_keys(data) == before == state.known_keys(data)
    assert state.drafts(data) == []
    page = await session.list(limit=1000)
    assert {artifact.id for artifact in page.items} >= set(stored)
    for artifact in page.items:
        assert await session.read(artifact.id) == b"x" * artifact.size


async def removal_frees(disk: Path) -> None:
    """By artifacts alone, then by a foreign file, then by the database's own log: each time removal finds a way out."""
    data = disk / "data"
    async with wiring.open(data, settings=settings()) as engine:
        session = engine.session("s")
        for made_full in (None, fill_with_foreign_file, fill_log):
            stored = await fill(engine, session)
            if made_full is fill_with_foreign_file:
                await fill_with_foreign_file(engine, disk)
            elif made_full is fill_log:
                await fill_log(engine, session)
            await assert_nothing_is_left_of_what_was_refused(data, session, stored)
            for id in stored[:10]:
                await session.remove(id)
            await refill(disk, engine, session)
            for id in stored[10:]:
                await session.remove(id)
    state.assert_events(data)
    state.assert_intact(data)


async def refill(disk: Path, engine: Engine, session: Session) -> None:
    """Room was made: storing goes on without a restart, behind a reserve that stands again."""
    (disk / "foreign").unlink(missing_ok=True)
    made = await store(session, LARGE_BYTES)
    assert await session.read(made) == b"x" * LARGE_BYTES
    assert (disk / "data" / wiring.RESERVE_NAME).stat().st_size >= RESERVE_BYTES // 2
    await session.remove(made)
    await engine.clean()
    assert (disk / "data" / wiring.RESERVE_NAME).stat().st_size == RESERVE_BYTES


async def purge_frees(disk: Path) -> None:
    """What has expired is cleaned up, although a foreign file and the log have taken the last byte."""
    data = disk / "data"
    async with wiring.open(data, settings=settings()) as engine:
        session = engine.session("s")
        for _ in range(8):
            await store(session, LARGE_BYTES, retention=BRIEF)
        kept = await fill(engine, session)
        await fill_log(engine, session)
        await fill_with_foreign_file(engine, disk)
        await refused(store(session, 1))
    async with wiring.open(data, settings=settings(), clock=later) as engine:
        session = engine.session("s")
        await refused(store(session, LARGE_BYTES * 5))
        cleaned = await engine.clean()
        assert (cleaned.expired, cleaned.orphans) == (8, 0)
        assert {artifact.id for artifact in (await session.list(limit=1000)).items} == set(kept)
        await refill(disk, engine, session)
    state.assert_bytes(data, state.live_rows(data, at=later()))
    state.assert_intact(data)


async def processes_share(disk: Path) -> None:
    """One process has filled the disk, another makes room, and the first goes on."""
    data = disk / "data"
    async with wiring.open(data, settings=settings()) as engine:
        session = engine.session("s")
        stored = await fill(engine, session)
        await fill_log(engine, session)
        await fill_with_foreign_file(engine, disk)
        await refused(store(session, 1))
        other = [sys.executable, __file__, "other_removes", str(disk), *stored[:10]]
        done = await asyncio.to_thread(subprocess.run, other, capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout == "done\n", done.stderr
        await refill(disk, engine, session)
    state.assert_bytes(data, state.live_rows(data))
    state.assert_intact(data)


async def other_removes(disk: Path) -> None:
    async with wiring.open(disk / "data", settings=settings()) as engine:
        session = engine.session("s")
        for id in sys.argv[3:]:
            await session.remove(id)


async def other_verbs(disk: Path) -> None:
    """Whatever a verb stores on its way: on a full disk nothing of it is kept, and with room it is done."""
    data = disk / "data"
    text = "x" * LARGE_BYTES
    async with wiring.open(data, settings=settings()) as engine:
        session = engine.session("s")
        answer = await session.record("call_0", tool="t", result={"a": 1})
        stored = await fill(engine, session)
        await fill_log(engine, session)
        await fill_with_foreign_file(engine, disk)
        verbs: list[Callable[[], Awaitable[object]]] = [
            lambda: session.record("call_1", tool="t", result=text),
            lambda: session.promote("call_0", "json", title="kept"),
            lambda: session.collect(f"```python\n{text}\n```\n"),
            lambda: session.handoff(f"ARTIFACT\nARTIFACT_SUMMARY: s\n\n~~~markdown\n{text}\n~~~"),
            lambda: session.write(_pieces('{"type": "markdown", "title": "t", "content": "', text, '"}')),
            lambda: session.create("markdown", title="t", content=_pieces(text[:10], text)),
        ]
        before, keys = await _listed(session), state.blob_keys(data)
        for verb in verbs:
            await refused(verb())
            assert await _listed(session) == before
        assert state.blob_keys(data) == keys == state.known_keys(data)
        assert state.drafts(data) == []
        for id in stored:
            await session.remove(id)
        await refill(disk, engine, session)
        before = await _listed(session)
        for verb in verbs:
            assert await verb()
        made = await _listed(session) - before
        assert len(made) >= len(verbs) - 1
        assert await session.read(answer.id) == b'{\n  "a": 1\n}'
    state.assert_events(data)
    state.assert_intact(data)


async def _listed(session: Session) -> set[tuple[str, int]]:
    return {(each.id, each.version.number) for each in (await session.list(limit=1000)).items}


async def _pieces(*pieces: str) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece


async def without_reserve(disk: Path) -> None:
    """The control: with next to no reserve, removal fails too, unless the log happens to have room for just that."""
    async with wiring.open(disk / "data", settings=settings(reserve=1)) as engine:
        session = engine.session("s")
        for id in (await fill(engine, session))[:10]:
            await fill_log(engine, session)
            await fill_with_foreign_file(engine, disk)
            try:
                await session.remove(id)
            except StorageFull:
                assert await session.read(id)
                break
        else:
            raise AssertionError("it was done on a full disk, again and again")
    state.assert_intact(disk / "data")


SCENARIOS: dict[str, Callable[[Path], Awaitable[None]]] = {
    work.__name__: work
    for work in (removal_frees, purge_frees, processes_share, other_removes, other_verbs, without_reserve)
}


async def main() -> None:
    await SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
    print("done")


if __name__ == "__main__":
    assert GRACE < LATER
    asyncio.run(main())
