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


async def received(blobs: LocalBlobs, original: bytes, *, start: int = 0, stop: int | None = None) -> tuple[int, bool]:
    """Return how many bytes a reader got, and whether it was told that they are damaged."""
    size = 0
    digest = sha256(original).hexdigest()
    try:
        async with aclosing(
            read_verified(blobs, KEY, size=len(original), sha256=digest, start=start, stop=stop)
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


@pytest.mark.parametrize("content", [SMALL, LONG])
@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, None),
        (0, 0),
        (0, 1),
        (3, 7),
        (5, None),
        (0, 10**9),
        (10**9, None),
        (7, 3),
        (CHUNK_BYTES - 1, CHUNK_BYTES + 1),
    ],
)
async def test_a_part_is_the_slice_of_the_whole(tmp_path: Path, content: bytes, start: int, stop: int | None) -> None:
    blobs = await stored(tmp_path, content)
    digest = sha256(content).hexdigest()

    parts = read_verified(blobs, KEY, size=len(content), sha256=digest, start=start, stop=stop)

    assert b"".join([part async for part in parts]) == content[start:stop]


@pytest.mark.parametrize(
    ("start", "stop", "given_out"), [(0, 9, 0), (0, CHUNK_BYTES + 9, CHUNK_BYTES), (9, None, None)]
)
async def test_a_part_is_not_read_to_its_end_when_a_bit_flipped_elsewhere(
    tmp_path: Path, start: int, stop: int | None, given_out: int | None
) -> None:
    blobs = await stored(tmp_path, LONG)
    damaged = bytearray(LONG)
    damaged[-1] ^= 1
    (tmp_path / KEY).write_bytes(damaged)

    size, is_told = await received(blobs, LONG, start=start, stop=stop)

    assert is_told
    assert size == (2 * CHUNK_BYTES - start if given_out is None else given_out)


async def test_no_byte_of_a_part_of_a_small_file_is_read_when_a_bit_flipped_elsewhere(tmp_path: Path) -> None:
    blobs = await stored(tmp_path, SMALL)
    assert await received(blobs, SMALL, start=0, stop=4) == (4, False), "control"
    (tmp_path / KEY).write_bytes(SMALL[:-1] + b"!")

    assert await received(blobs, SMALL, start=0, stop=4) == (0, True)
