import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from handiwork.errors import (
    ArtifactNotFound,
    BlobExists,
    ContentDamaged,
    HandiworkError,
    QueueFull,
    ShuttingDown,
    StorageFailed,
    StorageFull,
)
from handiwork.executions import pictures as room
from handiwork.executions.pictures import MOST_WAITING_PER_TENANT, Pictures, may_have_picture
from handiwork.executions.previews import MOST_ORIGINAL_BYTES
from handiwork.ids import ArtifactId, Handle
from handiwork.model import Artifact, Category, Scope, Version
from handiwork.store.blobs import Stored
from handiwork.store.keys import BlobKey, blob_key, preview_key
from handiwork.store.records import Filed
from memory_store import NOON, MemoryBlobs, MemoryRecords

SCOPE = Scope(session="s")
ORIGINAL = b"an image, as far as anybody here knows"
PNG = b"a small picture of it"


class Blobs(MemoryBlobs):
    """Never overwrites, as real ones do not."""

    async def put(self, key: BlobKey, chunks: AsyncIterable[bytes]) -> Stored:
        if key in self.stored:
            raise BlobExists(key)
        return await super().put(key, chunks)


class Pencil:
    """Draws `png` once it `may_end`, or raises `failure`; it reads the original as a real one does."""

    def __init__(self) -> None:
        self.png: bytes | None = PNG
        self.failure: HandiworkError | None = None
        self.drawn = 0
        self.read = b""
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def thumbnail(
        self, key: str, media_type: str, size: int, chunks: Callable[[], AsyncIterator[bytes]]
    ) -> bytes | None:
        self.drawn += 1
        self.read = b"".join([chunk async for chunk in chunks()])
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        return self.png


class Wall:
    """Pictures over a store in memory, and a pencil."""

    def __init__(self) -> None:
        self.records, self.blobs, self.pencil = MemoryRecords(), Blobs(), Pencil()
        self.pictures = Pictures(records=self.records, blobs=self.blobs, drawing=self.pencil)

    def hang(self, id: str = "art_1", *, media_type: str = "image/png", category: Category = "image") -> Filed:
        """File an artifact."""
        artifact_id = ArtifactId(id)
        version = Version(
            artifact_id=artifact_id,
            number=1,
            name="a.png",
            media_type=media_type,
            category=category,
            size=len(ORIGINAL),
            sha256=hashlib.sha256(ORIGINAL).hexdigest(),
            created_at=NOON,
        )
        artifact = Artifact(
            id=artifact_id,
            handle=Handle(f"a_{id}"),
            scope=SCOPE,
            type="file",
            title="A",
            created_at=NOON,
            updated_at=NOON,
            expires_at=None,
            version=version,
        )
        filed = Filed(artifact=artifact, blob_key=blob_key(SCOPE, artifact_id, 1, "a.png"))
        self.blobs.stored[filed.blob_key] = ORIGINAL
        self.records.filed.append(filed)
        return filed

    def begin(self, filed: Filed) -> "asyncio.Task[bytes | None]":
        return asyncio.create_task(self.pictures.of(filed))


@pytest.fixture
def wall() -> Wall:
    return Wall()


def key_of(filed: Filed) -> BlobKey:
    return preview_key(SCOPE, filed.artifact.id, 1)


async def settled() -> None:
    """Let everybody go as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_picture_is_drawn_once_and_kept_beside_its_version(wall: Wall) -> None:
    filed = wall.hang()
    assert [await wall.pictures.of(filed) for _ in range(3)] == [PNG, PNG, PNG]
    assert (wall.pencil.drawn, wall.pencil.read) == (1, ORIGINAL)
    assert wall.blobs.stored[key_of(filed)] == PNG


async def test_those_who_ask_together_share_one_drawing(wall: Wall) -> None:
    filed = wall.hang()
    assert await asyncio.gather(*(wall.pictures.of(filed) for _ in range(50))) == [PNG] * 50
    assert wall.pencil.drawn == 1


async def test_that_none_can_be_made_is_noted(wall: Wall) -> None:
    wall.pencil.png = None
    filed = wall.hang()
    assert [await wall.pictures.of(filed) for _ in range(2)] == [None, None]
    assert (wall.pencil.drawn, wall.records.previews) == (1, {(filed.artifact.id, 1): None})


@pytest.mark.parametrize(
    ("media_type", "category"),
    [("text/plain", "text"), ("image/svg+xml", "image"), ("application/zip", "archive"), ("no/such", "data")],
)
async def test_what_has_no_picture_is_not_drawn(wall: Wall, media_type: str, category: Category) -> None:
    assert await wall.pictures.of(wall.hang(media_type=media_type, category=category)) is None
    assert (wall.pencil.drawn, wall.records.previews) == (0, {})


async def test_a_page_is_drawn(wall: Wall) -> None:
    assert await wall.pictures.of(wall.hang(media_type="application/pdf", category="document")) == PNG


@pytest.mark.parametrize(("size", "may"), [(0, False), (1, True), (MOST_ORIGINAL_BYTES + 1, False)])
def test_only_content_of_a_sensible_size_has_a_picture(wall: Wall, size: int, may: bool) -> None:
    assert may_have_picture(replace(wall.hang().artifact.version, size=size)) is may


async def test_a_failure_to_draw_is_told_and_not_noted(wall: Wall) -> None:
    filed = wall.hang()
    wall.pencil.failure = StorageFailed("there", "why")
    with pytest.raises(StorageFailed):
        await wall.pictures.of(filed)
    wall.pencil.failure = None
    assert await wall.pictures.of(filed) == PNG


async def test_a_damaged_original_has_no_picture(wall: Wall) -> None:
    filed = wall.hang()
    wall.blobs.stored[filed.blob_key] = b"X" + ORIGINAL[1:]
    with pytest.raises(ContentDamaged):
        await wall.pictures.of(filed)
    assert (wall.records.previews, key_of(filed) in wall.blobs.stored) == ({}, False)


@pytest.mark.parametrize("damage", [b"something else", None])
async def test_a_damaged_picture_is_never_shown_but_made_again(wall: Wall, damage: bytes | None) -> None:
    filed = wall.hang()
    await wall.pictures.of(filed)
    if damage is None:
        del wall.blobs.stored[key_of(filed)]
    else:
        wall.blobs.stored[key_of(filed)] = damage
    assert [await wall.pictures.of(filed) for _ in range(2)] == [PNG, PNG]
    assert (wall.pencil.drawn, wall.blobs.stored[key_of(filed)]) == (2, PNG)


async def test_a_picture_that_another_process_has_stored_is_no_obstacle(wall: Wall) -> None:
    filed = wall.hang()
    wall.blobs.stored[key_of(filed)] = b"what it drew"
    assert await wall.pictures.of(filed) == PNG
    assert wall.blobs.stored[key_of(filed)] == PNG


async def test_of_an_artifact_that_goes_away_meanwhile_no_picture_is_left(wall: Wall) -> None:
    filed = wall.hang()
    wall.pencil.may_end.clear()
    asking = wall.begin(filed)
    await settled()
    wall.records.filed.clear()
    wall.pencil.may_end.set()
    with pytest.raises(ArtifactNotFound):
        await asking
    assert (wall.records.previews, key_of(filed) in wall.blobs.stored) == ({}, False)


async def test_a_picture_that_cannot_be_kept_is_shown_all_the_same(wall: Wall) -> None:
    filed = wall.hang()
    wall.blobs.failure = StorageFull("here")
    assert await wall.pictures.of(filed) == PNG
    assert (wall.records.previews, wall.pencil.drawn) == ({}, 1)
    wall.blobs.failure = None
    assert await wall.pictures.of(filed) == PNG
    assert len(wall.records.previews) == 1


async def test_a_drawing_goes_on_when_nobody_waits_any_more(wall: Wall) -> None:
    filed = wall.hang()
    wall.pencil.may_end.clear()
    asking = wall.begin(filed)
    await settled()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    wall.pencil.may_end.set()
    assert await wall.pictures.of(filed) == PNG
    assert wall.pencil.drawn == 1


async def test_too_many_at_once_are_turned_away_and_nothing_is_noted(wall: Wall) -> None:
    wall.pencil.may_end.clear()
    asking = [wall.begin(wall.hang(f"art_{i}")) for i in range(1 + MOST_WAITING_PER_TENANT)]
    await settled()
    late = wall.hang("art_late")
    with pytest.raises(QueueFull):
        await wall.pictures.of(late)
    assert (late.artifact.id, 1) not in wall.records.previews
    wall.pencil.may_end.set()
    assert await asyncio.gather(*asking) == [PNG] * len(asking)
    assert await wall.pictures.of(late) == PNG


async def test_who_waits_too_long_may_try_again(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE_SECONDS", 0.001)
    wall.pencil.may_end.clear()
    with pytest.raises(QueueFull) as refused:
        await wall.pictures.of(wall.hang())
    assert (refused.value.limit, refused.value.retry_after_seconds) == (1, room.RETRY_SECONDS)
    assert wall.records.previews == {}


async def test_at_its_end_those_who_wait_are_told(wall: Wall) -> None:
    wall.pencil.may_end.clear()
    asking = [wall.begin(wall.hang(f"art_{i}")) for i in range(3)]
    await settled()
    await wall.pictures.close()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in told] == [ShuttingDown] * 3
    with pytest.raises(ShuttingDown):
        await wall.pictures.of(wall.hang("art_late"))


async def test_those_who_wait_for_a_drawing_that_fails_are_all_told(wall: Wall) -> None:
    filed = wall.hang()
    wall.pencil.failure = StorageFailed("there", "why")
    waiting: list[Coroutine[Any, Any, bytes | None]] = [wall.pictures.of(filed) for _ in range(3)]
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in told] == [StorageFailed] * 3
