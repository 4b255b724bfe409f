"""What ends, in a real store: artifacts, orphans, dead processes, and all of a session, a user or a tenant."""

import asyncio
import contextlib
import functools
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import lone_process
from handiwork import wiring
from handiwork.engine import Engine
from handiwork.errors import (
    ArtifactExpired,
    ArtifactHeld,
    ArtifactNotFound,
    HandiworkError,
    QuotaExceeded,
    ScopeErased,
    StorageFailed,
    TookTooLong,
)
from handiwork.ids import ArtifactId
from handiwork.model import Artifact, Provenance, Reach, Scope
from handiwork.retention import GRACE, REMEMBERED, Cleaned
from handiwork.session import Session
from handiwork.settings import Settings
from handiwork.store.blobs import Blobs
from handiwork.store.expiry import Due, Erased
from handiwork.store.keys import BlobKey, BlobPrefix, blob_key, preview_key
from handiwork.store.sql_terms import LONGEST
from handiwork.versions.content import Bytes
from handiwork.versions.drafts import Draft
from sample_records import ADA, FOREIGN, NOON, Hands, execution

WEEK = timedelta(days=7)
MILLISECOND = timedelta(milliseconds=1)
SESSION = Reach(tenant="default", user="ada", session="s-1")


def settings(**artifacts: object) -> Settings:
    quiet = {"storage": {"cleanup_enabled": False, "reserve": "256KB"}}
    return Settings.model_validate({"artifacts": quiet | artifacts})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A store in a folder, with a clock whose hands the test moves."""

    engine: Engine
    clock: Hands
    folder: Path

    @property
    def session(self) -> Session:
        return of(self.engine, ADA)

    async def create(self, name: str = "a.txt", *, size: int = 10, kept_for: timedelta | None = WEEK) -> Artifact:
        made = await self.session.create("file", content=b"x" * size, name=name, retention=kept_for)
        assert self.engine.creation.notes is not None
        await self.engine.creation.notes.settled()
        return made

    def files(self) -> list[Path]:
        """Everything below the folder of the blobs that is no trace of a process."""
        root = self.folder / "artifacts"
        found = (path for path in root.rglob("*") if path.is_file())
        return sorted(path for path in found if not path.relative_to(root).parts[0].startswith("."))

    def holds(self, canary: str) -> bool:
        """Whether any file of the store has these bytes in it."""
        return any(canary.encode() in path.read_bytes() for path in self.folder.rglob("*") if path.is_file())

    async def told(self) -> list[str]:
        stretch = await self.engine.retention.log.after(ADA, 0, limit=100)
        return [str(event.facts.get("reason", event.type)) for event in stretch.events]


def of(engine: Engine, scope: Scope) -> Session:
    return engine.session(scope.session, user=scope.user, tenant=scope.tenant)


@contextlib.asynccontextmanager
async def opened(folder: Path, clock: Hands, **artifacts: object) -> AsyncGenerator[Kept]:
    async with wiring.open(folder, settings=settings(**artifacts), clock=clock) as engine:
        yield Kept(engine=engine, clock=clock, folder=folder)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncGenerator[Kept]:
    async with opened(tmp_path, Hands()) as kept:
        yield kept


# Expired


async def test_a_purge_deletes_bytes_and_record_and_tells(kept: Kept) -> None:
    made = await kept.create(size=7)
    await kept.create("b.txt", kept_for=None)
    kept.clock.now += WEEK
    assert await kept.engine.retention.look() == Cleaned(expired=1, expired_size=7)
    assert len(kept.files()) == 4  # A look has changed nothing: two contents, two notes for people.
    assert await kept.engine.clean() == Cleaned(expired=1, expired_size=7)
    assert [path.name for path in kept.files()] == ["b.txt", "metadata.json"]
    assert (await kept.told())[-1] == "retention"
    assert await kept.engine.clean() == Cleaned()
    with pytest.raises(ArtifactExpired):
        await kept.session.get(made.id)


@pytest.mark.parametrize("is_purged", [False, True])
@pytest.mark.parametrize(
    ("moment", "is_served"), [(-MILLISECOND, True), (MILLISECOND * 0, False), (MILLISECOND, False)]
)
async def test_an_artifact_is_served_until_its_time_and_by_no_way_after_it(
    kept: Kept, moment: timedelta, is_served: bool, is_purged: bool
) -> None:
    run = execution()
    draft = Draft(
        type=kept.engine.types.named("file"),
        name="a.txt",
        content=Bytes(b"x"),
        provenance=Provenance(execution_id=run.id),
    )
    (made,) = await kept.engine.creation.file(ADA, [draft], execution=run)
    kept.clock.now = NOON + WEEK + moment
    if is_purged:
        await kept.engine.clean()

    for reference in (made.id, made.handle):
        for ask in (kept.session.get, kept.session.read, functools.partial(kept.session.hold, held=False)):
            if is_served:
                assert await ask(reference)
            else:
                with pytest.raises(ArtifactExpired):
                    await ask(reference)
    assert len((await kept.session.list()).items) == is_served
    assert len((await kept.session.list(query="a.txt")).items) == is_served
    assert len((await kept.session.execution(run.id)).artifacts) == is_served


async def test_a_pinned_artifact_stays_past_its_time_and_goes_when_it_is_let_go(kept: Kept) -> None:
    made = await kept.create()
    await kept.session.hold(made.id)
    kept.clock.now += WEEK * 10
    assert await kept.engine.clean() == Cleaned(events=1)
    assert await kept.session.read(made.id) == b"x" * 10
    with pytest.raises(ArtifactHeld):
        await kept.session.remove(made.id)
    await kept.session.hold(made.id, held=False)
    with pytest.raises(ArtifactExpired):
        await kept.session.read(made.id)
    assert (await kept.engine.clean()).expired == 1
    assert kept.files() == []


async def test_a_removed_artifact_is_gone_at_once_with_its_bytes(kept: Kept) -> None:
    made = await kept.create()
    await kept.session.remove(made.handle)
    assert (kept.files(), await kept.told()) == ([], ["artifact-created", "removed"])
    with pytest.raises(ArtifactExpired):
        await kept.session.get(made.id)
    assert await kept.engine.clean() == Cleaned()
    assert await kept.told() == ["artifact-created", "removed"]


async def test_an_expired_artifact_is_remembered_for_thirty_days(kept: Kept) -> None:
    made = await kept.create()
    kept.clock.now += WEEK
    await kept.engine.clean()
    kept.clock.now += REMEMBERED
    await kept.engine.clean()
    with pytest.raises(ArtifactExpired):
        await kept.session.get(made.id)
    kept.clock.now += MILLISECOND
    await kept.engine.clean()
    with pytest.raises(ArtifactNotFound):
        await kept.session.get(made.id)


async def test_a_purge_that_was_cut_short_goes_on_with_the_next(kept: Kept) -> None:
    await kept.create()
    kept.clock.now += WEEK
    for path in kept.files():
        path.unlink()  # A process died between the bytes and the record.
    assert (await kept.engine.clean()).expired == 1
    assert await kept.told() == ["artifact-created", "retention"]


async def test_old_events_are_forgotten_by_the_clean_up(kept: Kept) -> None:
    await kept.create(kept_for=None)
    kept.clock.now += WEEK
    assert await kept.engine.clean() == Cleaned()
    kept.clock.now += MILLISECOND
    assert await kept.engine.clean() == Cleaned(events=1)


# Orphans


async def put(blobs: Blobs, key: BlobKey, *, root: Path, at: datetime) -> None:
    await blobs.put(key, Bytes(b"nobody's").chunks())
    os.utime(root / key, (at.timestamp(), at.timestamp()))


@pytest.mark.parametrize(("age", "is_orphan"), [(GRACE + MILLISECOND, True), (GRACE, False), (MILLISECOND, False)])
async def test_bytes_without_a_record_go_when_they_are_old(kept: Kept, age: timedelta, is_orphan: bool) -> None:
    root = kept.folder / "artifacts"
    for key in (blob_key(ADA, ArtifactId("art_x"), 1, "a.txt"), preview_key(ADA, ArtifactId("art_x"), 1)):
        await put(kept.engine.blobs, key, root=root, at=kept.clock.now - age)
    assert (await kept.engine.retention.look()).orphans == (2 if is_orphan else 0)
    assert len(kept.files()) == 2
    assert (await kept.engine.clean()).orphans == (2 if is_orphan else 0)
    assert len(kept.files()) == (0 if is_orphan else 2)


def test_orphans_are_twice_as_old_as_anything_that_may_still_get_a_record() -> None:
    assert GRACE == 2 * LONGEST


async def test_bytes_with_a_record_stay_however_old_they_are(kept: Kept) -> None:
    made = await kept.create(kept_for=None)
    root, old = kept.folder / "artifacts", kept.clock.now - timedelta(days=999)
    await put(kept.engine.blobs, preview_key(ADA, made.id, 1), root=root, at=old)
    await put(kept.engine.blobs, blob_key(ADA, made.id, 2, "a.txt"), root=root, at=old)  # A version that never was.
    for path in kept.files():
        os.utime(path, (old.timestamp(), old.timestamp()))
    assert (await kept.engine.clean()).orphans == 1
    assert sorted(path.name for path in kept.files()) == ["a.txt", "metadata.json", "~preview.png"]
    assert await kept.session.read(made.id) == b"x" * 10


async def test_bytes_beside_those_of_a_version_go_and_a_version_that_names_earlier_bytes_keeps_them(kept: Kept) -> None:
    made = await kept.create(kept_for=None)
    root, old = kept.folder / "artifacts", kept.clock.now - timedelta(days=999)
    await put(kept.engine.blobs, blob_key(ADA, made.id, 2, "a.txt"), root=root, at=old)  # Who put it has died of it.
    revised = await kept.session.revise(made.id, content=b"two")
    restored = await kept.session.restore(made.id, 1)
    await put(kept.engine.blobs, preview_key(ADA, made.id, restored.version.number), root=root, at=old)
    for path in kept.files():
        os.utime(path, (old.timestamp(), old.timestamp()))
    assert (await kept.engine.clean()).orphans == 1
    assert [await kept.session.read(made.id, version=number) for number in (1, 2, 3)] == [b"x" * 10, b"two", b"x" * 10]
    assert (revised.version.number, restored.version.number) == (2, 3)
    assert (root / preview_key(ADA, made.id, 3)).is_file()


# Erasure


@pytest.mark.parametrize(
    ("reach", "left"), [(SESSION, 3), (replace(SESSION, session=None), 2), (Reach(tenant="default"), 1)]
)
async def test_an_erasure_takes_rows_events_and_bytes_and_leaves_those_of_others(
    kept: Kept, reach: Reach, left: int
) -> None:
    for scope in (ADA, *FOREIGN):
        made = await of(kept.engine, scope).create("file", content=b"x" * 10, name="a.txt")
        await of(kept.engine, scope).hold(made.id)
    erased = await kept.engine.erase(reach)
    assert (erased.artifacts, erased.size) == (4 - left, (4 - left) * 10)
    assert len([path for path in kept.files() if path.name == "a.txt"]) == left
    newest = await kept.engine.retention.log.newest([ADA, *FOREIGN])
    assert list(newest) == [ADA, *FOREIGN][4 - left :]
    assert len((await of(kept.engine, FOREIGN[-1]).list()).items) == 1


@dataclass(frozen=True, slots=True)
class Slow:
    """Content that lets something happen in its middle."""

    meanwhile: Callable[[], object]
    size: int = 2

    def read_at(self, offset: int, length: int) -> bytes:
        return b"xy"[offset : offset + length]

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"x"
        happened = self.meanwhile()
        if asyncio.iscoroutine(happened):
            await happened
        yield b"y"


@pytest.mark.parametrize("reach", [SESSION, replace(SESSION, session=None), Reach(tenant="default")])
async def test_what_was_being_stored_while_its_place_was_erased_leaves_nothing(kept: Kept, reach: Reach) -> None:
    slow = Slow(lambda: kept.engine.erase(reach))
    with pytest.raises(ScopeErased):
        await kept.session.create("file", content=slow, name="a.txt")
    assert (kept.files(), await kept.told()) == ([], [])
    kept.clock.now += MILLISECOND
    await kept.create()
    assert len((await kept.session.list()).items) == 1


async def test_what_begins_while_bytes_are_being_erased_is_refused_and_never_lost(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.create()
    blobs, met = kept.engine.retention.blobs, list[str]()
    delete = blobs.delete_prefix

    async def late(prefix: BlobPrefix) -> None:
        kept.clock.now += MILLISECOND
        with pytest.raises(ScopeErased):
            await kept.create("b.txt")
        met.append(prefix)
        await delete(prefix)

    monkeypatch.setattr(blobs, "delete_prefix", late)
    await kept.engine.erase(SESSION)
    assert met
    kept.clock.now += MILLISECOND
    made = await kept.create("c.txt")
    assert await kept.session.read(made.id) == b"x" * 10


async def test_of_two_erasures_at_once_the_first_to_end_opens_nothing(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.create()
    blobs, second = kept.engine.retention.blobs, list[asyncio.Future[Erased]]()
    delete = blobs.delete_prefix

    async def late(prefix: BlobPrefix) -> None:
        if not second:
            second.append(asyncio.ensure_future(kept.engine.erase(SESSION)))
            await asyncio.sleep(0)
        kept.clock.now += MILLISECOND
        with pytest.raises(ScopeErased):
            await kept.create("b.txt")
        await delete(prefix)

    monkeypatch.setattr(blobs, "delete_prefix", late)
    await kept.engine.erase(SESSION)
    assert (await second[0]).artifacts == 0
    kept.clock.now += MILLISECOND
    made = await kept.create("c.txt")
    assert await kept.session.read(made.id) == b"x" * 10


async def test_an_erasure_that_fails_or_is_given_up_does_not_keep_its_place_closed(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(prefix: BlobPrefix) -> None:
        raise StorageFailed(prefix, "no")

    with monkeypatch.context() as patched:
        patched.setattr(kept.engine.retention.blobs, "delete_prefix", fail)
        with pytest.raises(StorageFailed):
            await kept.engine.erase(SESSION)
    erasing = asyncio.ensure_future(kept.engine.erase(SESSION))
    await asyncio.sleep(0)
    erasing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await erasing
    kept.clock.now += MILLISECOND
    made = await kept.create("c.txt")
    assert await kept.session.read(made.id) == b"x" * 10


async def test_what_was_being_stored_while_another_place_was_erased_is_stored(kept: Kept) -> None:
    slow = Slow(lambda: kept.engine.erase(replace(SESSION, user="bo")))
    made = await kept.session.create("file", content=slow, name="a.txt")
    assert await kept.session.read(made.id) == b"xy"


@pytest.mark.parametrize(("late", "is_stored"), [(timedelta(minutes=30), True), (timedelta(minutes=31), False)])
async def test_what_takes_so_long_that_it_may_be_taken_for_an_orphan_is_refused(
    kept: Kept, late: timedelta, is_stored: bool
) -> None:
    def wait() -> None:
        kept.clock.now += late

    creating = kept.session.create("file", content=Slow(wait), name="a.txt")
    if is_stored:
        assert await kept.session.read((await creating).id) == b"xy"
        return
    with pytest.raises(TookTooLong):
        await creating
    assert (kept.files(), (await kept.session.list()).items) == ([], ())


@pytest.mark.parametrize("way", ["erase", "purge", "remove"])
async def test_title_and_content_of_what_is_gone_are_nowhere_on_the_disk(kept: Kept, way: str) -> None:
    canaries = ("title-canary-7f3a", "content-canary-9b21")
    made = await kept.session.create("file", content=canaries[1] * 50, name="a.txt", title=canaries[0])
    await kept.create("b.txt", kept_for=None)
    assert all(kept.holds(canary) for canary in canaries)
    if way == "erase":
        await kept.engine.erase(SESSION)
    elif way == "remove":
        await kept.session.remove(made.id)
        await kept.engine.clean()
    else:
        kept.clock.now += WEEK
        await kept.engine.clean()
    assert [canary for canary in canaries if kept.holds(canary)] == []


async def test_what_a_program_printed_is_nowhere_on_the_disk_after_an_erasure(kept: Kept) -> None:
    run = execution()
    printed = replace(run, outcome=replace(run.outcome, stdout="stdout-canary-11c0" * 50))
    await kept.engine.records.add([], execution=printed)
    assert kept.holds("stdout-canary-11c0")
    await kept.engine.erase(replace(SESSION, session=None))
    assert not kept.holds("stdout-canary-11c0")


# Quotas


@pytest.mark.parametrize("bounds", [{"artifacts": 2}, {"size": 20}], ids=str)
@pytest.mark.parametrize("whose", ["session", "user"])
async def test_a_quota_is_exact_also_after_a_restart_and_for_what_was_not_purged(
    tmp_path: Path, whose: str, bounds: dict[str, int]
) -> None:
    clock = Hands()
    async with opened(tmp_path, clock, quotas={whose: bounds}) as kept:
        await kept.create("a.txt")
        await kept.create("b.txt", kept_for=None)
        with pytest.raises(QuotaExceeded):
            await kept.create("c.txt", size=1)
        assert len([path for path in kept.files() if path.name == "c.txt"]) == 0
    async with opened(tmp_path, clock, quotas={whose: bounds}) as kept:
        with pytest.raises(QuotaExceeded):
            await kept.create("c.txt", size=1)
        clock.now += WEEK  # `a.txt` is over, and nobody has purged it.
        await kept.create("c.txt")
        with pytest.raises(QuotaExceeded):
            await kept.create("d.txt", size=1)
        assert (await kept.engine.clean()).expired == 1
        with pytest.raises(QuotaExceeded):
            await kept.create("d.txt", size=1)
        await kept.session.remove((await kept.session.list()).items[0].id)
        await kept.create("d.txt")


async def test_writers_at_once_do_not_pass_a_quota_together(tmp_path: Path) -> None:
    async with opened(tmp_path, Hands(), quotas={"session": {"artifacts": 5}}) as kept:
        told = await asyncio.gather(*(kept.create(f"{n}.txt") for n in range(12)), return_exceptions=True)
        assert [type(each) for each in told if isinstance(each, HandiworkError)] == [QuotaExceeded] * 7
        assert len((await kept.session.list()).items) == 5
        assert len([path for path in kept.files() if path.suffix == ".txt"]) == 5


# Cleaning by itself


@pytest.mark.parametrize(("jump", "is_believed"), [(timedelta(minutes=30), True), (timedelta(days=1), False)])
async def test_a_clock_that_was_set_by_a_day_is_not_believed_at_once(
    kept: Kept, caplog: pytest.LogCaptureFixture, jump: timedelta, is_believed: bool
) -> None:
    caplog.set_level("INFO", logger="handiwork.retention")
    await kept.create(kept_for=jump)

    def purged() -> bool:
        return any(message.startswith("Clean-up: 1 expired") for message in caplog.messages)

    cleaning = asyncio.create_task(kept.engine.retention.keep_clean(timedelta(milliseconds=20)))
    try:
        async with asyncio.timeout(5):
            await asyncio.sleep(0)  # It looks at the clock when it begins.
            kept.clock.now += jump
            while not purged():  # noqa: ASYNC110  # nothing announces it but the log
                await asyncio.sleep(0.005)
    finally:
        cleaning.cancel()
        await asyncio.wait([cleaning])
    assert [message.split(" by ")[0] for message in caplog.messages[:-1]] == (
        [] if is_believed else ["The clock was set"]
    )


async def test_a_clean_up_that_breaks_off_is_logged_by_its_kind_and_the_next_one_comes(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="handiwork.retention")
    monkeypatch.setattr("handiwork.retention.RECOVERY_SECONDS", 0.01)
    await kept.create(kept_for=WEEK)
    kept.clock.now += WEEK
    due, is_broken = kept.engine.retention.expiry.due, [True]

    async def broken_once(*, limit: int) -> Sequence[Due]:
        if is_broken.pop() if is_broken else False:
            raise ZeroDivisionError("can" + "ary")
        return await due(limit=limit)

    monkeypatch.setattr(kept.engine.retention.expiry, "due", broken_once)
    cleaning = asyncio.create_task(kept.engine.retention.keep_clean(timedelta(milliseconds=20)))
    try:
        async with asyncio.timeout(5):
            while not any(message.startswith("Clean-up: 1 expired") for message in caplog.messages):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    finally:
        cleaning.cancel()
        await asyncio.wait([cleaning])
    assert caplog.messages[0].startswith("The clean-up broke off and is tried again: ZeroDivisionError")
    assert "canary" not in caplog.messages[0]


# The dead


async def test_a_run_of_a_process_that_was_killed_is_lost_once_and_that_of_a_living_one_is_not(kept: Kept) -> None:
    process = await lone_process.start(kept.folder)
    assert await kept.engine.retention.recover() == 0
    assert (await kept.session.execution("exc_1")).status == "running"
    process.kill()
    await asyncio.wait_for(process.wait(), 5)
    assert [await kept.engine.retention.recover(), await kept.engine.retention.recover()] == [1, 0]
    assert (await kept.session.execution("exc_1")).status == "lost"
    assert await kept.told() == ["execution-started", "execution-finished"]


async def test_a_run_of_a_process_whose_folder_somebody_removed_is_lost_too(kept: Kept) -> None:
    await kept.engine.runs.executions.begin(execution(status="running"), owner="nobody")
    assert await kept.engine.retention.recover() == 1
    assert (await kept.session.execution("exc_1")).status == "lost"


async def test_whoever_opens_the_store_puts_in_order_what_a_killed_process_left(tmp_path: Path) -> None:
    process = await lone_process.start(tmp_path)
    process.kill()
    await asyncio.wait_for(process.wait(), 5)
    async with opened(tmp_path, Hands()) as kept:
        assert (await kept.session.execution("exc_1")).status == "lost"
        assert await kept.engine.retention.recover() == 0
