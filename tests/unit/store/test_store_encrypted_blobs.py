import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handiwork.errors import ContentDamaged, StorageFull
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.blobs import CHUNK_BYTES, Stored
from handiwork.store.encrypted_blobs import EncryptedBlobs
from handiwork.store.keys import HIDDEN_NAME, BlobKey, blob_key, preview_key
from handiwork.store.local_blobs import LocalBlobs
from handiwork.store.reading import read_verified
from handiwork.store.sealed_bytes import HEADER_BYTES, MAGIC, PART_BYTES, SEALED_PART_BYTES
from handiwork.store.vault import TAG_BYTES, Vault, new_generation
from memory_store import MemoryBlobs, measured
from sealed_store import new_vault

ADA = Scope(user="ada", session="s-1")
KEY = blob_key(ADA, ArtifactId("art_1"), 1, HIDDEN_NAME)
SMALL = b"a small content of a file"
# Around the borders of parts, of what one visit to the disk brings, and of what is sealed in a thread.
SIZES = (0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, CHUNK_BYTES, 2 * CHUNK_BYTES + 5)
OTHER_PLACES = [
    blob_key(ADA, ArtifactId("art_1"), 2, HIDDEN_NAME),
    blob_key(ADA, ArtifactId("art_2"), 1, HIDDEN_NAME),
    blob_key(Scope(user="ada", session="s-2"), ArtifactId("art_1"), 1, HIDDEN_NAME),
    blob_key(Scope(user="bo", session="s-1"), ArtifactId("art_1"), 1, HIDDEN_NAME),
    blob_key(Scope(tenant="other", user="ada", session="s-1"), ArtifactId("art_1"), 1, HIDDEN_NAME),
    preview_key(ADA, ArtifactId("art_1"), 1),
]


class Shelf:
    """Encrypted blobs in a folder, and a look at what is really there."""

    def __init__(self, root: Path, vault: Vault | None = None) -> None:
        self.vault = vault or new_vault()
        self.root, self.local = root, LocalBlobs(root)
        self.blobs = EncryptedBlobs(self.local, self.vault)

    def path(self, key: BlobKey = KEY) -> Path:
        return self.root / key

    async def put(self, content: bytes, key: BlobKey = KEY) -> Stored:
        return await self.blobs.put(key, pieces(content))

    async def read(self, *, key: BlobKey = KEY, offset: int = 0, length: int | None = None) -> bytes:
        async with aclosing(self.blobs.open(key, offset=offset, length=length)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def is_told(self, original: bytes, *, key: BlobKey = KEY) -> bool:
        """Read as the engine does; what is handed out before the reader is told is a beginning of what was stored."""
        served = bytearray()
        digest = sha256(original).hexdigest()
        try:
            async with aclosing(read_verified(self.blobs, key, size=len(original), sha256=digest)) as chunks:
                async for chunk in chunks:
                    served += chunk
        except ContentDamaged:
            assert original.startswith(bytes(served))
            assert len(served) < max(1, len(original))
            return True
        assert bytes(served) == original
        return False


async def pieces(content: bytes, size: int = 100_000) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def some(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "blobs")


@pytest.mark.parametrize("size", SIZES)
async def test_content_of_every_size_is_read_back_and_lies_there_encrypted(shelf: Shelf, size: int) -> None:
    content = some(size)

    stored = await shelf.put(content)

    assert stored == measured(content)
    assert await shelf.read() == content
    lies_there = shelf.path().read_bytes()
    parts = max(1, -(-size // PART_BYTES))
    assert len(lies_there) == HEADER_BYTES + size + parts * TAG_BYTES
    assert size < 16 or content[:16] not in lies_there


@pytest.mark.parametrize("size", SIZES)
async def test_bytes_at_hand_lie_there_like_others(shelf: Shelf, size: int) -> None:
    content = some(size)

    shelf.blobs.put_bytes(KEY, content).result(10)

    assert await shelf.read() == content
    assert shelf.path().read_bytes().startswith(MAGIC)


async def test_the_same_content_never_lies_there_twice_alike(shelf: Shelf) -> None:
    await shelf.put(SMALL)
    await shelf.put(SMALL, OTHER_PLACES[0])

    one, other = shelf.path().read_bytes(), shelf.path(OTHER_PLACES[0]).read_bytes()
    assert one[HEADER_BYTES:] != other[HEADER_BYTES:]


@settings(max_examples=150, deadline=None)
@given(
    size=st.sampled_from([0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 5 * PART_BYTES + 7]),
    offset=st.one_of(st.integers(0, 6 * PART_BYTES), st.sampled_from([n * PART_BYTES for n in range(7)])),
    length=st.one_of(st.none(), st.integers(0, 6 * PART_BYTES), st.sampled_from([n * PART_BYTES for n in range(7)])),
    is_sealed=st.booleans(),
)
async def test_a_range_is_that_slice_of_the_content(
    size: int, offset: int, length: int | None, is_sealed: bool
) -> None:
    content = some(size)
    with TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder))
        await (shelf.put(content) if is_sealed else shelf.local.put(KEY, pieces(content)))

        found = await shelf.read(offset=offset, length=length)

    assert found == content[offset : None if length is None else offset + length]


class Counted(MemoryBlobs):
    """Blobs in memory that count what is read of them."""

    read = 0

    async def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        content = self.stored[key][offset:]
        content = content if length is None else content[:length]
        self.read += len(content)
        yield content


async def test_a_range_reads_only_the_parts_that_it_needs() -> None:
    inner = Counted()
    blobs, content = EncryptedBlobs(inner, new_vault()), some(40 * PART_BYTES)
    blobs.put_bytes(KEY, content).result(10)

    async with aclosing(blobs.open(KEY, offset=20 * PART_BYTES + 5, length=10)) as chunks:
        found = b"".join([chunk async for chunk in chunks])

    assert found == content[20 * PART_BYTES + 5 :][:10]
    assert inner.read <= HEADER_BYTES + SEALED_PART_BYTES + 1


async def test_every_byte_that_changes_is_told_and_nothing_wrong_is_handed_out(shelf: Shelf) -> None:
    await shelf.put(SMALL)
    assert not await shelf.is_told(SMALL), "control: it is sound"
    path, sound = shelf.path(), shelf.path().read_bytes()

    for place in range(len(sound)):
        for change in (0x01, 0x80, 0xFF):
            path.write_bytes(sound[:place] + bytes([sound[place] ^ change]) + sound[place + 1 :])
            assert await shelf.is_told(SMALL), place
            if place >= len(MAGIC):
                with pytest.raises(ContentDamaged):
                    await shelf.read()

    path.write_bytes(sound)
    assert not await shelf.is_told(SMALL)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
async def test_a_bit_that_flips_anywhere_in_a_longer_blob_is_told(place: int, bit: int) -> None:
    content = some(3 * PART_BYTES + 11)
    with TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder))
        await shelf.put(content)
        sound = bytearray(shelf.path().read_bytes())
        sound[place % len(sound)] ^= 1 << bit
        shelf.path().write_bytes(sound)

        assert await shelf.is_told(content)


@pytest.mark.parametrize("parts", range(1, 5))
@pytest.mark.parametrize("size", [3 * PART_BYTES, 4 * PART_BYTES, 4 * PART_BYTES + 3])
async def test_a_blob_that_was_cut_off_is_told(shelf: Shelf, size: int, parts: int) -> None:
    content = some(size)
    await shelf.put(content)
    sound = shelf.path().read_bytes()

    for border in (HEADER_BYTES + (parts - 1) * SEALED_PART_BYTES, HEADER_BYTES + parts * SEALED_PART_BYTES - 1):
        if border < len(sound):
            shelf.path().write_bytes(sound[:border])
            with pytest.raises(ContentDamaged):
                await shelf.read()
            # Also to who asks for what is no more there, and for what ends at the cut.
            with pytest.raises(ContentDamaged):
                await shelf.read(offset=size - 1, length=1)
            assert await shelf.is_told(content)


@pytest.mark.parametrize("length", range(HEADER_BYTES + TAG_BYTES))
async def test_the_beginning_of_a_blob_is_no_content(shelf: Shelf, length: int) -> None:
    await shelf.put(SMALL)
    shelf.path().write_bytes(shelf.path().read_bytes()[:length])

    assert await shelf.is_told(SMALL)


@pytest.mark.parametrize(
    "order", [[1, 0, 2], [0, 0, 2], [0, 2], [0, 1, 2, 2], [0, 1, 2, 1], [2]], ids=lambda order: "".join(map(str, order))
)
async def test_parts_that_were_moved_repeated_or_left_out_are_told(shelf: Shelf, order: list[int]) -> None:
    content = some(3 * PART_BYTES)
    await shelf.put(content)
    sound = shelf.path().read_bytes()
    parts = [sound[HEADER_BYTES + n * SEALED_PART_BYTES :][:SEALED_PART_BYTES] for n in range(3)]
    assert sound == sound[:HEADER_BYTES] + b"".join(parts), "control: that is all of it"

    shelf.path().write_bytes(sound[:HEADER_BYTES] + b"".join(parts[n] for n in order))

    with pytest.raises(ContentDamaged):
        await shelf.read()
    assert await shelf.is_told(content)


@pytest.mark.parametrize("place", OTHER_PLACES)
async def test_a_blob_opens_at_its_own_place_only(shelf: Shelf, place: BlobKey) -> None:
    await shelf.put(SMALL)
    await shelf.put(some(len(SMALL)), place)
    assert await shelf.read(key=place) == some(len(SMALL)), "control: it opens before"

    shelf.path(place).write_bytes(shelf.path().read_bytes())

    assert await shelf.read() == SMALL
    with pytest.raises(ContentDamaged):
        await shelf.read(key=place)


async def test_the_body_of_one_blob_does_not_open_under_the_header_of_another(shelf: Shelf) -> None:
    await shelf.put(SMALL)
    await shelf.put(SMALL, OTHER_PLACES[0])
    header, body = shelf.path().read_bytes()[:HEADER_BYTES], shelf.path(OTHER_PLACES[0]).read_bytes()[HEADER_BYTES:]

    shelf.path().write_bytes(header + body)

    with pytest.raises(ContentDamaged):
        await shelf.read()


async def test_another_key_opens_nothing(shelf: Shelf) -> None:
    await shelf.put(SMALL)

    with pytest.raises(ContentDamaged):
        await Shelf(shelf.root).read()


async def test_what_was_stored_before_the_encryption_is_read_as_it_is(shelf: Shelf) -> None:
    for number, content in enumerate((b"", b"x", MAGIC[:-1], some(HEADER_BYTES), some(3 * CHUNK_BYTES)), 1):
        key = blob_key(ADA, ArtifactId("art_1"), number, "a.txt")
        await shelf.local.put(key, pieces(content))

        assert await shelf.read(key=key) == content
        assert await shelf.read(key=key, offset=2 * PART_BYTES, length=9) == content[2 * PART_BYTES :][:9]


async def test_after_the_encryption_was_turned_off_all_is_read_and_nothing_is_encrypted(tmp_path: Path) -> None:
    generation = new_generation()
    keys = {generation.id: generation.root}
    await Shelf(tmp_path, Vault(keys, writing=generation.id)).put(SMALL)

    shelf = Shelf(tmp_path, Vault(keys, writing=None))
    await shelf.put(b"plain", OTHER_PLACES[0])
    shelf.blobs.put_bytes(OTHER_PLACES[1], b"plain too").result(10)

    assert await shelf.read() == SMALL
    assert shelf.path(OTHER_PLACES[0]).read_bytes() == b"plain"
    assert shelf.path(OTHER_PLACES[1]).read_bytes() == b"plain too"


async def test_content_that_looks_encrypted_is_encrypted_like_all_other(shelf: Shelf) -> None:
    await shelf.put(SMALL)
    forged = shelf.path().read_bytes()

    await shelf.put(forged, OTHER_PLACES[0])

    assert await shelf.read(key=OTHER_PLACES[0]) == forged


async def test_a_failure_of_the_disk_is_told_to_who_waits() -> None:
    inner = MemoryBlobs()
    inner.failure = StorageFull("/data")
    blobs = EncryptedBlobs(inner, new_vault())

    with pytest.raises(StorageFull):
        blobs.put_bytes(KEY, SMALL).result(10)
    with pytest.raises(StorageFull):
        await blobs.put(KEY, pieces(SMALL))
