"""Bytes that have changed on the disk are never handed out as what was stored."""

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import connect

import pytest
from kill_writer import SETTINGS

from handiwork import wiring
from handiwork.engine import Engine
from handiwork.errors import ContentDamaged
from handiwork.settings import DATABASE_NAME
from handiwork.store.blobs import CHUNK_BYTES
from handiwork.store.pieces import OUTLINED_BYTES, PIECE_BYTES
from handiwork.store.reading import HASHED_HERE_BYTES
from handiwork.store.records import Filed

FLIPS = 2_000
SEED = 20261121
SIZES = (1, 2, 100, 4096, HASHED_HERE_BYTES, HASHED_HERE_BYTES + 1, 300_000)
LONG_SIZES = (CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES)
BORDERS = (0, HASHED_HERE_BYTES, CHUNK_BYTES, 2 * CHUNK_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A store with a file of each size."""

    engine: Engine
    data: Path
    files: tuple[Filed, ...]

    def path(self, filed: Filed) -> Path:
        return self.data / wiring.BLOB_FOLDER / filed.blob_key

    async def read(self, filed: Filed, start: int = 0, stop: int | None = None) -> tuple[bytes, bool]:
        """Return what was handed out, and whether the reader was told that it is damaged."""
        served = bytearray()
        try:
            async with aclosing(self.engine.content(filed, start=start, stop=stop)) as chunks:
                async for chunk in chunks:
                    served += chunk
        except ContentDamaged:
            return bytes(served), True
        return bytes(served), False

    async def assert_damaged(self, filed: Filed, start: int = 0, stop: int | None = None) -> None:
        size = filed.artifact.size
        served, is_told = await self.read(filed, start, stop)
        assert is_told
        wanted = len(range(size)[start:stop])
        assert len(served) < max(1, wanted), "never to its end"
        assert size > CHUNK_BYTES or not served, "content of one chunk is checked before its first byte"

    async def assert_part(self, filed: Filed, sound: bytes, start: int, stop: int | None = None) -> None:
        """Of long content each piece is proved by itself, so a part is served where it is as it was, and else told."""
        served, is_told = await self.read(filed, start, stop)
        if is_told or filed.artifact.size <= OUTLINED_BYTES:
            await self.assert_damaged(filed, start, stop)
        else:
            assert served == sound[start:stop]

    async def assert_sound(self, filed: Filed) -> None:
        assert await self.read(filed) == (self.path(filed).read_bytes(), False)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncGenerator[Shelf]:
    chance = random.Random(SEED)
    async with wiring.open(tmp_path, settings=SETTINGS) as engine:
        session = engine.session("s")
        files: list[Filed] = []
        for size in (*SIZES, *LONG_SIZES):
            content = chance.randbytes(size // 2 + 1).hex()[:size]
            made = await session.create("file", content=content, name="a.txt")
            files.append(await engine.find(session.scope, made.id))
        yield Shelf(engine=engine, data=tmp_path, files=tuple(files))


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def place(chance: random.Random, size: int) -> int:
    """A bit of the file: at its ends and at the borders of chunks as often as anywhere else."""
    if chance.random() < 0.5:
        return chance.randrange(size * 8)
    near = chance.choice([*BORDERS, size]) + chance.choice([-1, 0, 1])
    return min(max(near, 0), size - 1) * 8 + chance.randrange(8)


async def test_every_flipped_bit_is_found_and_the_content_is_never_served_to_its_end(shelf: Shelf) -> None:
    chance = random.Random(SEED)
    weights = [4] * len(SIZES) + [1] * len(LONG_SIZES)
    contents = {filed.blob_key: shelf.path(filed).read_bytes() for filed in shelf.files}
    for number in range(FLIPS):
        (filed,) = chance.choices(shelf.files, weights)
        size, bit = filed.artifact.size, place(chance, filed.artifact.size)
        flip(shelf.path(filed), bit)
        if number % 2:
            await shelf.assert_damaged(filed)
        else:
            start, stop = sorted(chance.choices(range(size + 1), k=2))
            piece = bit // 8 // PIECE_BYTES
            if start < stop and start // PIECE_BYTES <= piece <= (stop - 1) // PIECE_BYTES:
                await shelf.assert_damaged(filed, start, stop)
            else:
                await shelf.assert_part(filed, contents[filed.blob_key], start, stop)
        flip(shelf.path(filed), bit)

    for filed in shelf.files:
        await shelf.assert_sound(filed)


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "last byte cut": lambda content: content[:-1],
    "emptied": lambda content: content[:0],
    "cut at a chunk": lambda content: content[:CHUNK_BYTES] if len(content) > CHUNK_BYTES else content[:-1],
    "byte added": lambda content: content + b"x",
    "chunk added": lambda content: content + bytes(CHUNK_BYTES),
    "shifted": lambda content: b"x" + content,
    "zeroed": lambda content: bytes(len(content)),
}


@pytest.mark.quick
@pytest.mark.parametrize("harm", HARMS)
async def test_a_file_that_was_cut_extended_or_emptied_is_not_served(shelf: Shelf, harm: str) -> None:
    for filed in shelf.files:
        sound = shelf.path(filed).read_bytes()
        shelf.path(filed).write_bytes(HARMS[harm](sound))
        await shelf.assert_damaged(filed)
        await shelf.assert_part(filed, sound, 0, 1)
        await shelf.assert_part(filed, sound, max(0, filed.artifact.size - 1))
        shelf.path(filed).write_bytes(sound)
        await shelf.assert_sound(filed)


@pytest.mark.quick
async def test_a_file_that_is_gone_is_damaged_and_not_merely_missing(shelf: Shelf) -> None:
    for filed in shelf.files:
        shelf.path(filed).unlink()
        await shelf.assert_damaged(filed)


@pytest.mark.quick
async def test_two_files_of_one_size_that_changed_places_are_not_served(shelf: Shelf) -> None:
    session = shelf.engine.session("s")
    for size in (3, 5_000, CHUNK_BYTES + 5):
        made = [await session.create("file", content=letter * size, name="a.txt") for letter in "ab"]
        one, other = [await shelf.engine.find(session.scope, each.id) for each in made]
        swap(shelf.path(one), shelf.path(other))
        await shelf.assert_damaged(one)
        await shelf.assert_damaged(other, 1, 2)
        swap(shelf.path(one), shelf.path(other))
        await shelf.assert_sound(one)
        await shelf.assert_sound(other)


def swap(one: Path, other: Path) -> None:
    third = one.with_name("third")
    one.rename(third)
    other.rename(one)
    third.rename(other)


@pytest.mark.parametrize("column", ["sha256", "size"])
async def test_a_record_that_has_changed_keeps_its_content_from_being_served(shelf: Shelf, column: str) -> None:
    session = shelf.engine.session("s")
    for filed in shelf.files:
        version = filed.artifact.version
        last = int(version.sha256[-1], 16) ^ 1
        changed = {"sha256": f"{version.sha256[:-1]}{last:x}", "size": version.size + 1}[column]
        kept = {"sha256": version.sha256, "size": version.size}[column]
        set_column(shelf.data, column, changed, version.artifact_id)
        with pytest.raises(ContentDamaged) as damaged:
            await session.read(version.artifact_id)
        assert damaged.value.code == "integrity_error"
        set_column(shelf.data, column, kept, version.artifact_id)
        assert len(await session.read(version.artifact_id)) == version.size


def set_column(data: Path, column: str, value: object, artifact_id: str) -> None:
    with closing(connect(data / DATABASE_NAME)) as connection, connection:
        changed = connection.execute(
            f"UPDATE versions SET {column} = ? WHERE artifact_id = ?",  # one of two names
            (value, artifact_id),
        )
        assert changed.rowcount == 1
