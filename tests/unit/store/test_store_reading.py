from collections.abc import AsyncGenerator
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path

import pytest

from handiwork.errors import ContentDamaged
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.blobs import CHUNK_BYTES
from handiwork.store.keys import blob_key
from handiwork.store.local_blobs import LocalBlobs
from handiwork.store.reading import read_verified

KEY = blob_key(Scope(session="s"), ArtifactId("art_1"), 1, "a.bin")
SMALL = b"a small file that is checked before its first byte"
LONG = bytes(range(256)) * 10_000  # two chunks and a part


async def stream(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


async def stored(root: Path, content: bytes) -> LocalBlobs:
    blobs = LocalBlobs(root)
    await blobs.put(KEY, stream(content))
    return blobs


async def received(blobs: LocalBlobs, original: bytes) -> tuple[int, bool]:
    """Return how many bytes a reader got, and whether it was told that they are damaged."""
    size = 0
    try:
        async with aclosing(
            read_verified(blobs, KEY, size=len(original), sha256=sha256(original).hexdigest())
        ) as chunks:
            async for chunk in chunks:
                size += len(chunk)
    except ContentDamaged:
        return size, True
    return size, False


@pytest.mark.parametrize("content", [b"", SMALL, b"x" * CHUNK_BYTES, b"x" * (CHUNK_BYTES + 1), LONG])
async def test_sound_content_is_read_whole(tmp_path: Path, content: bytes) -> None:
    blobs = await stored(tmp_path, content)

    chunks = [chunk async for chunk in read_verified(blobs, KEY, size=len(content), sha256=sha256(content).hexdigest())]

    assert b"".join(chunks) == content


async def test_any_flipped_bit_of_a_small_file_is_noticed_before_its_first_byte(tmp_path: Path) -> None:
    blobs = await stored(tmp_path, SMALL)

    for bit in range(len(SMALL) * 8):
        damaged = bytearray(SMALL)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / KEY).write_bytes(damaged)
        assert await received(blobs, SMALL) == (0, True)


@pytest.mark.parametrize("at", [0, CHUNK_BYTES, len(LONG) - 1])
async def test_a_reader_of_a_long_file_never_gets_its_end_when_a_bit_flipped(tmp_path: Path, at: int) -> None:
    blobs = await stored(tmp_path, LONG)
    damaged = bytearray(LONG)
    damaged[at] ^= 1
    (tmp_path / KEY).write_bytes(damaged)

    size, is_told = await received(blobs, LONG)

    assert is_told
    assert size == 2 * CHUNK_BYTES


@pytest.mark.parametrize("content", [SMALL, LONG])
@pytest.mark.parametrize("change", ["shorter", "longer", "emptied", "gone", "another of the same size"])
async def test_what_differs_from_the_record_is_never_read_to_its_end(
    tmp_path: Path, content: bytes, change: str
) -> None:
    blobs = await stored(tmp_path, content)
    path = tmp_path / KEY
    match change:
        case "shorter":
            path.write_bytes(content[:-1])
        case "longer":
            path.write_bytes(content + b"x")
        case "emptied":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case _:
            path.write_bytes(content[::-1])

    size, is_told = await received(blobs, content)

    assert is_told
    assert size < len(content)
