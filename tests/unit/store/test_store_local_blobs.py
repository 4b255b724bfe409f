import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from file_faults import FailsOnce, FailsOnceWithoutNamelessFiles, HasNoNamelessFiles, Watched, open_below
from handiwork.errors import BlobExists, BlobNotFound, HandiworkError, StorageFailed, StorageFull
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store import local_blobs
from handiwork.store.blobs import CHUNK_BYTES
from handiwork.store.drafts import MOST_AHEAD
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.keys import BlobKey, artifact_prefix, blob_key, session_prefix
from handiwork.store.local_blobs import DRAFTS, LISTED_AT_ONCE, LocalBlobs
from handiwork.store.local_reader import READ_HERE_BYTES, Lately
from handiwork.tasks import in_thread
from memory_store import measured

SCOPE = Scope(session="s")
KEY = blob_key(SCOPE, ArtifactId("art_1"), 1, "a.bin")
CONTENT = b"0123456789"


async def stream(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


async def read(blobs: LocalBlobs) -> bytes:
    return b"".join([chunk async for chunk in blobs.open(KEY)])


def put_by_hand(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if not path.is_dir()]


class WritesLittle(OperatingSystem):
    def write(self, descriptor: int, data: memoryview) -> int:
        return super().write(descriptor, data[:1])


class LosesFolderOnce(OperatingSystem):
    """Another process removes the folder just before the file gets its name."""

    lost = False

    def publish_nameless(self, descriptor: int, target: Path) -> None:
        if not self.lost and target.name == Path(KEY).name:
            self.lost = True
            target.parent.rmdir()
        super().publish_nameless(descriptor, target)


class HasNoHardLinks(OperatingSystem):
    def publish(self, draft: Path, target: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "link", _refuse)
            super().publish(draft, target)

    def publish_nameless(self, descriptor: int, target: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "link", _refuse)
            super().publish_nameless(descriptor, target)


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError(errno.EPERM, "no hard links here")


@pytest.mark.parametrize("kind", [FailsOnce, FailsOnceWithoutNamelessFiles])
@pytest.mark.parametrize(
    ("code", "expected"),
    [(errno.EIO, StorageFailed), (errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull)],
)
async def test_whichever_call_fails_nothing_is_left_and_the_next_put_succeeds(
    tmp_path: Path, code: int, expected: type[HandiworkError], kind: type[FailsOnce]
) -> None:
    n = 0
    while True:
        n += 1
        root = tmp_path / str(n)
        files = kind(n, code)
        blobs = LocalBlobs(root, files=files)
        try:
            await blobs.put(KEY, stream(CONTENT[:5], CONTENT[5:]))
        except expected:
            assert files.has_failed
            assert files_below(root) == []
            with pytest.raises(BlobNotFound):
                await read(blobs)
            await blobs.put(KEY, stream(CONTENT))
            assert await read(blobs) == CONTENT
        else:
            break
    assert not files.has_failed
    assert {call for call, _ in files.calls} >= {"create", "write", "sync", "publish", "make_folder", "open_folder"}


@pytest.mark.parametrize("content", [CONTENT, b"x" * (local_blobs.PUT_HERE_BYTES + 1)], ids=["little", "much"])
@pytest.mark.parametrize("kind", [FailsOnce, FailsOnceWithoutNamelessFiles])
async def test_whichever_call_fails_bytes_at_hand_leave_nothing(
    tmp_path: Path, kind: type[FailsOnce], content: bytes
) -> None:
    n = 0
    while True:
        n += 1
        root = tmp_path / str(n)
        blobs = LocalBlobs(root, files=kind(n, errno.EIO))
        try:
            await asyncio.wrap_future(blobs.put_bytes(KEY, content))
        except StorageFailed:
            assert files_below(root) == []
            await asyncio.wrap_future(blobs.put_bytes(KEY, content))
        else:
            break
        finally:
            blobs.close()
        assert await read(blobs) == content
    assert n > 10


async def test_files_are_made_ahead_and_closed_with_the_rest(tmp_path: Path) -> None:
    files = Watched()
    blobs = LocalBlobs(tmp_path, files=files)
    before = open_below(tmp_path)
    for number in range(10):
        await asyncio.wrap_future(blobs.put_bytes(blob_key(SCOPE, ArtifactId(f"art_{number}"), 1, "a"), CONTENT))
    blobs.close()
    made = [call for call, _ in files.calls].count("create")
    published = [call for call, _ in files.calls].count("publish")
    assert published == 10 + 1  # One to try it.
    assert 1 <= made - published <= MOST_AHEAD
    assert open_below(tmp_path) == before


async def test_however_many_are_put_at_once_few_files_are_open(tmp_path: Path) -> None:
    let_go, most = threading.Event(), 0

    class Slow(OperatingSystem):
        def sync(self, descriptor: int) -> None:
            assert let_go.wait(5)
            super().sync(descriptor)

    blobs = LocalBlobs(tmp_path, files=Slow())
    let_go.set()
    await asyncio.wrap_future(blobs.put_bytes(KEY, CONTENT))
    let_go.clear()
    before = open_below(tmp_path)
    keys = [blob_key(SCOPE, ArtifactId(f"art_{number + 2}"), 1, "a") for number in range(200)]
    putting = [blobs.put_bytes(key, CONTENT) for key in keys]
    most = open_below(tmp_path) - before
    let_go.set()
    await asyncio.gather(*map(asyncio.wrap_future, putting))
    blobs.close()
    assert most <= 5 * (local_blobs.PUT_BESIDE + local_blobs.PUT_AT_ONCE)


async def test_whoever_waits_is_told_when_a_folder_cannot_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = LocalBlobs(tmp_path)
    await asyncio.wrap_future(blobs.put_bytes(KEY, CONTENT))
    other, close = blob_key(SCOPE, ArtifactId("art_2"), 1, "a.bin"), os.close

    def refuse(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        close(descriptor)
        if is_folder:
            raise OSError(errno.EIO, "close")

    monkeypatch.setattr(os, "close", refuse)
    with pytest.raises(StorageFailed):
        await asyncio.wait_for(asyncio.wrap_future(blobs.put_bytes(other, CONTENT)), 5)
    assert not (tmp_path / other).exists()


async def test_once_they_have_their_name_the_bytes_are_synced_and_every_folder_up_to_the_root(tmp_path: Path) -> None:
    files = Watched()
    root = tmp_path / "data" / "blobs"

    await LocalBlobs(root, files=files).put(KEY, stream(CONTENT))

    published = files.calls.index(("publish", root / KEY))
    before, after = files.calls[:published], files.calls[published + 1 :]
    (draft,) = [path for call, path in before if call == "write"]
    assert "write" not in [call for call, _ in after]
    assert sorted(path for call, path in after if call == "sync") == sorted(
        [draft, *(folder for folder in (root / KEY).parents if folder.is_relative_to(root))]
    )
    made = [path for call, path in files.calls if call == "make_folder"]
    assert all(("sync", folder.parent) in files.calls[files.calls.index(("make_folder", folder)) :] for folder in made)


async def test_folders_that_were_there_before_are_synced_too(tmp_path: Path) -> None:
    await LocalBlobs(tmp_path).put(KEY, stream(CONTENT))
    files = Watched()

    await LocalBlobs(tmp_path, files=files).put(blob_key(SCOPE, ArtifactId("art_1"), 2, "a.bin"), stream(CONTENT))

    synced = {path for call, path in files.calls if call == "sync"}
    assert {tmp_path, tmp_path / "default", tmp_path / "default" / "local"} <= synced


async def test_a_write_that_takes_little_is_continued(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path, files=WritesLittle())

    stored = await blobs.put(KEY, stream(CONTENT))

    assert stored.size == len(CONTENT)
    assert await read(blobs) == CONTENT


async def test_a_folder_that_vanishes_under_a_writer_is_made_again(tmp_path: Path) -> None:
    files = LosesFolderOnce()
    blobs = LocalBlobs(tmp_path, files=files)

    await blobs.put(KEY, stream(CONTENT))

    assert files.lost
    assert await read(blobs) == CONTENT


@pytest.mark.parametrize("kind", [HasNoHardLinks, HasNoNamelessFiles])
async def test_a_file_system_without_hard_links_or_nameless_files_will_do(
    tmp_path: Path, kind: type[OperatingSystem]
) -> None:
    blobs = LocalBlobs(tmp_path, files=kind())

    await blobs.put(KEY, stream(CONTENT))

    with pytest.raises(BlobExists):
        await blobs.put(KEY, stream(b"other"))
    assert await read(blobs) == CONTENT
    assert files_below(tmp_path / DRAFTS) == []


async def test_of_many_writers_of_one_key_one_wins_and_its_content_stays(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)

    results = await asyncio.gather(
        *(blobs.put(KEY, stream(bytes([n]) * 1000)) for n in range(8)), return_exceptions=True
    )

    won = [n for n, result in enumerate(results) if not isinstance(result, BaseException)]
    assert len(won) == 1
    assert [type(result) for n, result in enumerate(results) if n != won[0]] == [BlobExists] * 7
    assert await read(blobs) == bytes(won) * 1000
    assert files_below(tmp_path / DRAFTS) == []


async def test_a_cancelled_put_waits_for_its_thread_and_leaves_nothing(tmp_path: Path) -> None:
    entered, released = threading.Event(), threading.Event()

    class Held(Watched):
        def before(self, call: str, path: Path) -> None:
            if call == "write":
                entered.set()
                assert released.wait(5)

    putting = asyncio.ensure_future(LocalBlobs(tmp_path, files=Held()).put(KEY, stream(CONTENT)))
    assert await asyncio.to_thread(entered.wait, 5)

    putting.cancel()
    await asyncio.wait([putting], timeout=0.01)
    assert not putting.done()
    released.set()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(putting, 5)
    assert files_below(tmp_path) == []


async def test_files_and_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    root = tmp_path / "blobs"
    before = os.umask(0)
    try:
        await LocalBlobs(root).put(KEY, stream(CONTENT))
    finally:
        os.umask(before)

    modes = {path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")] if path.is_dir()}
    assert modes == {0o700}
    assert (root / KEY).stat().st_mode & 0o777 == 0o600


async def test_a_draft_is_no_tenant(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    scope = Scope(tenant=DRAFTS, user=".", session="..")

    await blobs.put(blob_key(scope, ArtifactId("art_1"), 1, ".."), stream(CONTENT))

    assert [path.relative_to(tmp_path).parts[0] for path in files_below(tmp_path)] == ["%2Etmp"]


async def test_a_prefix_that_became_a_symlink_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(CONTENT)
    root = tmp_path / "blobs"
    folder = root / session_prefix(SCOPE)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(outside)

    with pytest.raises(StorageFailed):
        await LocalBlobs(root).delete_prefix(session_prefix(SCOPE))

    assert (outside / "precious").read_bytes() == CONTENT


async def test_a_deletion_is_synced_also_when_it_is_repeated(tmp_path: Path) -> None:
    await LocalBlobs(tmp_path).put(KEY, stream(CONTENT))

    for _ in range(2):
        files = Watched()
        await LocalBlobs(tmp_path, files=files).delete(KEY)
        assert "sync" in {call for call, _ in files.calls}
    for _ in range(2):
        files = Watched()
        await LocalBlobs(tmp_path, files=files).delete_prefix(artifact_prefix(SCOPE, ArtifactId("art_1")))
        assert ("sync", tmp_path / session_prefix(SCOPE)) in files.calls
    assert not (tmp_path / artifact_prefix(SCOPE, ArtifactId("art_1"))).exists()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
@pytest.mark.parametrize("step", [4096, CHUNK_BYTES, 4 * CHUNK_BYTES])
async def test_content_is_the_same_in_whatever_pieces_it_comes(tmp_path: Path, size: int, step: int) -> None:
    content = os.urandom(size)
    pieces = [content[at : at + step] for at in range(0, size, step)]

    stored = await LocalBlobs(tmp_path).put(KEY, stream(*pieces))

    assert stored == measured(content)
    assert (tmp_path / KEY).read_bytes() == content


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[Callable[..., object]]:
    """What threads were asked for."""
    asked: list[Callable[..., object]] = []

    async def noted(work: Callable[..., object], *args: object) -> object:
        asked.append(work)
        return await in_thread(work, *args)

    monkeypatch.setattr(local_blobs, "in_thread", noted)
    return asked


async def test_small_content_is_stored_and_read_with_one_visit_to_a_thread_each(
    tmp_path: Path, visits: list[Callable[..., object]]
) -> None:
    await LocalBlobs(tmp_path).put(KEY, stream(CONTENT[:5], CONTENT[5:]))
    assert len(visits) == 1
    assert await read(LocalBlobs(tmp_path)) == CONTENT
    assert len(visits) == 2


@pytest.fixture
def in_memory(tmp_path: Path) -> None:
    (tmp_path / "trial").write_bytes(b"1")
    with (tmp_path / "trial").open("rb") as file:
        try:
            assert os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT) == 1
        except (OSError, AttributeError):
            pytest.skip("here nothing can be read without waiting")


@pytest.mark.usefixtures("in_memory")
@pytest.mark.parametrize("content", [CONTENT, b"", os.urandom(READ_HERE_BYTES)], ids=["little", "nothing", "much"])
@pytest.mark.parametrize("how", ["bytes", "chunks", "read"])
async def test_what_was_put_or_read_lately_is_read_without_a_thread(
    tmp_path: Path, visits: list[Callable[..., object]], content: bytes, how: str
) -> None:
    blobs = LocalBlobs(tmp_path)
    if how == "bytes":
        await in_thread(blobs.put_bytes(KEY, content).result)
    else:
        await blobs.put(KEY, stream(content))
    if how == "read":
        blobs = LocalBlobs(tmp_path)
        assert await read(blobs) == content
    visits.clear()

    assert await read(blobs) == content
    assert visits == []


@pytest.mark.usefixtures("in_memory")
async def test_what_is_long_is_read_in_a_thread(tmp_path: Path, visits: list[Callable[..., object]]) -> None:
    content = os.urandom(READ_HERE_BYTES + 1)
    blobs = LocalBlobs(tmp_path)
    await in_thread(blobs.put_bytes(KEY, content).result)

    for asked in (1, 2):
        assert await read(blobs) == content
        assert len(visits) == asked


@pytest.mark.usefixtures("in_memory")
@pytest.mark.parametrize(("failure", "asked_again"), [(errno.EAGAIN, 2), (errno.EIO, 2), (errno.EOPNOTSUPP, 1)])
async def test_what_does_not_come_at_once_is_read_in_a_thread(
    tmp_path: Path,
    visits: list[Callable[..., object]],
    monkeypatch: pytest.MonkeyPatch,
    failure: int,
    asked_again: int,
) -> None:
    asked = 0

    def refuse(*_args: object) -> int:
        nonlocal asked
        asked += 1
        raise OSError(failure, "as told")

    monkeypatch.setattr(os, "preadv", refuse)
    blobs = LocalBlobs(tmp_path)
    await in_thread(blobs.put_bytes(KEY, CONTENT).result)

    for _ in range(2):
        assert await read(blobs) == CONTENT
    assert len(visits) == 2
    assert asked == asked_again


@pytest.mark.usefixtures("in_memory")
async def test_what_comes_in_part_is_read_to_its_end(
    tmp_path: Path, visits: list[Callable[..., object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, left = os.preadv, [4, 3]

    def some(descriptor: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        if not left:
            raise BlockingIOError
        part = bytearray(left.pop(0))
        taken = whole(descriptor, [part], offset, flags)
        buffers[0][:taken] = part[:taken]
        return taken

    monkeypatch.setattr(os, "preadv", some)
    blobs = LocalBlobs(tmp_path)
    await in_thread(blobs.put_bytes(KEY, CONTENT).result)

    assert [chunk async for chunk in blobs.open(KEY)] == [CONTENT[:4], CONTENT[4:7], CONTENT[7:]]
    assert len(visits) == 1


@pytest.mark.parametrize("damage", ["shorter", "empty", "a folder", "gone"])
async def test_what_was_put_lately_is_looked_at_as_it_is(tmp_path: Path, damage: str) -> None:
    blobs = LocalBlobs(tmp_path)
    await blobs.put(KEY, stream(CONTENT))
    before, path = open_below(tmp_path), tmp_path / KEY
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "gone":
        path.write_bytes(CONTENT[:3] if damage == "shorter" else b"")

    if damage in ("a folder", "gone"):
        with pytest.raises(BlobNotFound):
            await read(blobs)
    else:
        assert await read(blobs) == path.read_bytes()
    assert open_below(tmp_path) == before


@pytest.mark.usefixtures("in_memory")
@pytest.mark.parametrize(("offset", "length"), [(0, 3), (3, 4), (3, None), (8, 10), (10, None), (99, 1), (0, 0)])
async def test_a_part_is_the_same_with_a_thread_and_without(
    tmp_path: Path, visits: list[Callable[..., object]], offset: int, length: int | None
) -> None:
    known, cold = LocalBlobs(tmp_path), LocalBlobs(tmp_path)
    await known.put(KEY, stream(CONTENT))
    visits.clear()

    for blobs, asked in ((known, 0), (cold, 1)):
        part = b"".join([chunk async for chunk in blobs.open(KEY, offset=offset, length=length)])
        assert part == CONTENT[offset : None if length is None else offset + length]
        assert len(visits) == asked


def test_of_many_keys_the_last_are_known() -> None:
    lately = Lately(2)
    keys = [BlobKey(name) for name in ("a", "b", "a", "c")]

    for key in keys:
        lately.note(key, size=1)

    assert [key in lately for key in keys] == [True, False, True, True]


async def test_drafts_are_written_where_they_are_told_to(tmp_path: Path) -> None:
    files = Watched()
    drafts = tmp_path / "artifacts" / DRAFTS / "me"

    await LocalBlobs(tmp_path / "artifacts", drafts=drafts, files=files).put(KEY, stream(CONTENT))

    assert {path for call, path in files.calls if call == "create"} == {drafts}
    assert files_below(tmp_path) == [tmp_path / "artifacts" / KEY]


async def test_only_what_changed_is_synced_once_the_folders_are_known(tmp_path: Path) -> None:
    files = Watched()
    blobs = LocalBlobs(tmp_path, files=files)
    await blobs.put(KEY, stream(CONTENT))

    for number, folders in ((1, 3), (2, 2)):
        files.calls.clear()
        key = blob_key(SCOPE, ArtifactId("art_2"), number, "a.bin")
        await blobs.put(key, stream(CONTENT))
        synced = [path for call, path in files.calls if call == "sync" and path.is_dir()]
        assert sorted(synced) == sorted((tmp_path / key).parents)[-folders:]


async def test_keys_are_listed_by_when_their_bytes_last_changed(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    old = {blob_key(SCOPE, ArtifactId(f"art_{n}"), 1, "metadata.json") for n in range(LISTED_AT_ONCE + 1)}
    await blobs.put(KEY, stream(CONTENT))
    artifact = artifact_prefix(SCOPE, ArtifactId("art_1"))
    for name in [*old, f"{artifact}metadata.json", f"{artifact}.metadata.json", f"{DRAFTS}/me/left"]:
        put_by_hand(tmp_path / name)
        os.utime(tmp_path / name, (1000, 1000))

    listed = [key async for key in blobs.listing(before=datetime.fromtimestamp(1001, UTC))]

    assert len(listed) == len(old)
    assert set(listed) == old
    assert [key async for key in blobs.listing(before=datetime.fromtimestamp(1000, UTC))] == []


async def test_a_listing_goes_on_while_what_it_lists_is_deleted(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    for n in range(LISTED_AT_ONCE + 10):
        put_by_hand(tmp_path / blob_key(SCOPE, ArtifactId(f"art_{n}"), 1, "a.bin"))

    seen = 0
    async with aclosing(blobs.listing(before=datetime.now(UTC) + timedelta(days=1))) as keys:
        async for _ in keys:
            seen += 1
            if seen == 1:
                await blobs.delete_prefix(session_prefix(SCOPE))

    assert LISTED_AT_ONCE <= seen <= LISTED_AT_ONCE + 10
    assert not (tmp_path / session_prefix(SCOPE)).exists()
