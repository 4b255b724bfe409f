"""Parts of stored content are proved: as a whole by the first reader, piece by piece by the next ones."""

import hashlib
import itertools
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handiwork.errors import BlobNotFound, ContentDamaged
from handiwork.store.keys import BlobKey
from handiwork.store.local_blobs import LocalBlobs
from handiwork.store.outlines import Outline
from handiwork.store.pieces import OUTLINED_BYTES, PIECE_BYTES
from handiwork.store.records import Filed
from handiwork.versions.content import Bytes
from handiwork.versions.proving import Outlines, Proven, Proving
from memory_store import MemoryBlobs, MemoryRecords, measured
from sample_records import filed as sample

SIZE = OUTLINED_BYTES + 3 * PIECE_BYTES + 77
DATA = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(SIZE // 32 + 1))[:SIZE]


@dataclass(frozen=True)
class World:
    blobs: LocalBlobs
    filed: Filed
    path: Path
    outlines: Outlines
    records: MemoryRecords

    async def content(self) -> Proven | Proving:
        return await self.outlines.content(self.filed, records=self.records, blobs=self.blobs)

    async def part(self, offset: int, length: int | None = None) -> bytes:
        content = await self.content()
        data = b"".join([chunk async for chunk in content.chunks(offset=offset, length=length)])
        await content.finish()
        return data

    async def span(self, start: int, stop: int | None) -> bytes:
        content = self.outlines.span(self.filed, start, stop, records=self.records, blobs=self.blobs)
        return b"".join([chunk async for chunk in content])


@pytest.fixture
async def world(tmp_path: Path) -> World:
    blobs, entry = LocalBlobs(tmp_path), sample()
    stored = await blobs.put(entry.blob_key, Bytes(DATA).chunks())
    version = replace(entry.artifact.version, size=stored.size, sha256=stored.sha256)
    entry = replace(entry, artifact=replace(entry.artifact, version=version))
    return World(blobs, entry, tmp_path / entry.blob_key, Outlines(), MemoryRecords())


def damage(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


async def test_parts_are_the_same_from_the_first_reader_and_from_the_next(world: World) -> None:
    assert isinstance(await world.content(), Proving)
    assert await world.part(5, 10) == DATA[5:15]
    assert isinstance(await world.content(), Proven)
    places = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES, OUTLINED_BYTES, SIZE - 77, SIZE - 1, SIZE, SIZE + 9]
    for offset in places:
        for length in (None, 0, 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, SIZE):
            expected = DATA[offset : None if length is None else offset + length]
            assert await world.part(offset, length) == expected


class Crumbs(MemoryBlobs):
    """Blobs that come in chunks of the given sizes, over and over."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.sizes = sizes

    async def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        end = SIZE if length is None else min(offset + length, SIZE)
        sizes = itertools.cycle(self.sizes)
        while offset < end:
            size = next(sizes)
            yield self.stored[key][offset : min(offset + size, end)]
            offset += size


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(10_000, 2 * PIECE_BYTES), min_size=1, max_size=3))
async def test_pieces_are_proved_however_the_bytes_come(sizes: list[int]) -> None:
    blobs, entry = Crumbs(sizes), sample()
    blobs.stored[entry.blob_key] = DATA
    version = replace(entry.artifact.version, size=SIZE, sha256=hashlib.sha256(DATA).hexdigest())
    entry = replace(entry, artifact=replace(entry.artifact, version=version))
    outlines = Outlines()
    for _turn in range(2):
        content = await outlines.content(entry, records=MemoryRecords(), blobs=blobs)
        parts = [chunk async for chunk in content.chunks(offset=PIECE_BYTES + 3)]
        await content.finish()
        assert b"".join(parts) == DATA[PIECE_BYTES + 3 :]


@pytest.mark.parametrize("offset", [0, PIECE_BYTES, SIZE - 1])
async def test_what_was_damaged_before_it_was_read_is_found_out_wherever_it_is(world: World, offset: int) -> None:
    damage(world.path, offset)
    for _turn in range(2):
        with pytest.raises(ContentDamaged):
            await world.part(5, 10)


async def test_what_is_damaged_after_it_was_proved_is_found_out_where_it_is_read(world: World) -> None:
    await world.part(0)
    damage(world.path, 3 * PIECE_BYTES + 5)
    assert await world.part(2 * PIECE_BYTES, PIECE_BYTES) == DATA[2 * PIECE_BYTES : 3 * PIECE_BYTES]
    for part in ((3 * PIECE_BYTES, 1), (4 * PIECE_BYTES - 1, 5), (0, None)):
        with pytest.raises(ContentDamaged):
            await world.part(*part)


# What was kept when the content was stored


def kept(world: World) -> World:
    """The same content with what was kept of it, for a process that has read nothing of it."""
    outline = Outline.of(measured(DATA))
    return replace(world, records=OneOutline(outline), outlines=Outlines())


class OneOutline(MemoryRecords):
    """Records that tell one outline of whatever content, and count how often."""

    def __init__(self, outline: Outline | None) -> None:
        super().__init__()
        self.one, self.asked = outline, 0

    async def outline(self, filed: Filed) -> Outline | None:
        self.asked += 1
        return self.one


async def test_the_first_part_that_is_read_is_proved_by_what_was_kept_and_nothing_else_is_read(world: World) -> None:
    world = kept(world)
    damage(world.path, 0)
    assert await world.part(3 * PIECE_BYTES, 9) == DATA[3 * PIECE_BYTES : 3 * PIECE_BYTES + 9]
    with pytest.raises(ContentDamaged):
        await world.part(PIECE_BYTES - 5, 9)
    assert isinstance(world.records, OneOutline)
    assert world.records.asked == 1


@pytest.mark.parametrize("start", [0, 5, PIECE_BYTES, SIZE - 9, SIZE, SIZE + 9 * PIECE_BYTES])
@pytest.mark.parametrize("length", [None, -PIECE_BYTES, 0, 1, PIECE_BYTES + 1])
@pytest.mark.parametrize("is_kept", [True, False])
async def test_spans_are_the_same_whether_they_are_proved_by_pieces_or_as_a_whole(
    world: World, start: int, length: int | None, *, is_kept: bool
) -> None:
    world = kept(world) if is_kept else world
    stop = None if length is None else max(start + length, 0)
    assert await world.span(start, stop) == DATA[start:stop]


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_damaged_span_is_found_out_and_one_that_is_gone_is_as_good_as_damaged(
    world: World, *, is_kept: bool
) -> None:
    world = kept(world) if is_kept else world
    damage(world.path, 3 * PIECE_BYTES)
    for span in ((3 * PIECE_BYTES + 5, 3 * PIECE_BYTES + 6), (0, None), (9, None)):
        with pytest.raises(ContentDamaged):
            await world.span(*span)
    world.path.unlink()
    with pytest.raises(ContentDamaged):
        await world.span(0, 1)


async def test_pieces_that_are_not_those_of_the_content_let_nothing_of_it_through(world: World) -> None:
    outline = Outline.of(measured(bytes(SIZE)))
    world = replace(world, records=OneOutline(outline))
    for part in ((0, 1), (SIZE - 1, 1)):
        with pytest.raises(ContentDamaged):
            await world.part(*part)


async def test_of_short_content_nobody_asks_what_was_kept(world: World) -> None:
    short = DATA[:OUTLINED_BYTES]
    version = replace(world.filed.artifact.version, size=len(short), sha256=hashlib.sha256(short).hexdigest())
    world = replace(kept(world), filed=replace(world.filed, artifact=replace(world.filed.artifact, version=version)))
    world.path.write_bytes(short)
    assert await world.part(5, 9) == short[5:14]
    assert isinstance(world.records, OneOutline)
    assert world.records.asked == 0


@pytest.mark.parametrize("is_proved", [False, True])
@pytest.mark.parametrize("size", [0, SIZE - 1, SIZE + 1])
async def test_content_of_another_length_is_damaged(world: World, size: int, *, is_proved: bool) -> None:
    if is_proved:
        await world.part(0)
    world.path.write_bytes((DATA + b"x")[:size])
    if is_proved and size > SIZE:
        assert await world.part(SIZE - 5) == DATA[-5:]
        return
    with pytest.raises(ContentDamaged):
        await world.part(SIZE - 5)


async def test_what_is_gone_is_not_there_whatever_is_remembered(world: World) -> None:
    await world.part(0)
    world.path.unlink()
    with pytest.raises(BlobNotFound):
        await world.part(0)


async def test_no_more_is_remembered_than_there_is_room_for(world: World) -> None:
    world = replace(world, outlines=Outlines(most_pieces=2 * (SIZE // PIECE_BYTES + 1)))
    entries = [replace(world.filed, blob_key=BlobKey(f"{world.filed.blob_key}{number}")) for number in range(3)]
    for each in entries:
        await world.blobs.put(each.blob_key, Bytes(DATA).chunks())
        await replace(world, filed=each).part(0)
    kinds = [type(await replace(world, filed=each).content()) for each in entries]
    assert kinds == [Proving, Proven, Proven]
