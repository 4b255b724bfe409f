"""What every store of blobs must promise. A back end gives the fixture `blobs`; nothing here knows which one it is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from handiwork.errors import BlobExists, BlobNotFound, InvalidName
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.blobs import CHUNK_BYTES, Blobs, Stored
from handiwork.store.keys import BlobKey, artifact_prefix, blob_key, session_prefix, tenant_prefix, user_prefix

ADA = Scope(user="ada", session="s-1")
CHART = blob_key(ADA, ArtifactId("art_1"), 1, "chart.png")
CONTENT = b"the content of a chart"


async def stream(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


async def broken_stream(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk
    raise RuntimeError("the producer broke off")


async def read(blobs: Blobs, key: BlobKey, *, offset: int = 0, length: int | None = None) -> bytes:
    async with aclosing(blobs.open(key, offset=offset, length=length)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def is_missing(blobs: Blobs, key: BlobKey) -> bool:
    try:
        await read(blobs, key)
    except BlobNotFound:
        return True
    return False


class BlobsSuite:
    async def test_what_was_put_is_read_back(self, blobs: Blobs) -> None:
        stored = await blobs.put(CHART, stream(b"the content ", b"", b"of a chart"))

        assert stored == Stored(size=len(CONTENT), sha256=sha256(CONTENT).hexdigest())
        assert await read(blobs, CHART) == CONTENT

    @pytest.mark.parametrize("content", [CONTENT, b"", b"x" * (2 * CHUNK_BYTES + 1)], ids=["short", "empty", "long"])
    async def test_bytes_at_hand_are_put_while_a_thread_waits(self, blobs: Blobs, content: bytes) -> None:
        await asyncio.to_thread(blobs.put_bytes(CHART, content).result, 10)

        assert await read(blobs, CHART) == content

    async def test_bytes_at_hand_never_overwrite(self, blobs: Blobs) -> None:
        await blobs.put(CHART, stream(CONTENT))

        with pytest.raises(BlobExists):
            await asyncio.wrap_future(blobs.put_bytes(CHART, b"something else"))

        assert await read(blobs, CHART) == CONTENT

    async def test_bytes_at_hand_are_put_many_at_a_time(self, blobs: Blobs) -> None:
        keys = [blob_key(ADA, ArtifactId(f"art_{number}"), 1, "a.txt") for number in range(40)]
        begun = [blobs.put_bytes(key, key.encode()) for key in keys]
        await asyncio.gather(*map(asyncio.wrap_future, begun))

        assert [await read(blobs, key) for key in keys] == [key.encode() for key in keys]

    async def test_empty_content_is_content(self, blobs: Blobs) -> None:
        stored = await blobs.put(CHART, stream())

        assert stored.size == 0
        assert await read(blobs, CHART) == b""

    async def test_long_content_comes_in_chunks_of_a_mebibyte_at_most(self, blobs: Blobs) -> None:
        content = bytes(range(256)) * 10_000
        await blobs.put(CHART, stream(content))

        async with aclosing(blobs.open(CHART)) as chunks:
            sizes = [len(chunk) async for chunk in chunks]

        assert sum(sizes) == len(content)
        assert max(sizes) <= CHUNK_BYTES

    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [(4, None, CONTENT[4:]), (0, 3, b"the"), (4, 7, b"content"), (4, 0, b""), (4, 999, CONTENT[4:]), (999, 1, b"")],
    )
    async def test_a_part_can_be_read(self, blobs: Blobs, offset: int, length: int | None, expected: bytes) -> None:
        await blobs.put(CHART, stream(CONTENT))

        assert await read(blobs, CHART, offset=offset, length=length) == expected

    async def test_a_key_is_never_overwritten(self, blobs: Blobs) -> None:
        await blobs.put(CHART, stream(CONTENT))

        with pytest.raises(BlobExists):
            await blobs.put(CHART, stream(b"something else"))

        assert await read(blobs, CHART) == CONTENT

    async def test_a_producer_that_breaks_off_leaves_nothing(self, blobs: Blobs) -> None:
        with pytest.raises(RuntimeError, match="broke off"):
            await blobs.put(CHART, broken_stream(b"half of"))

        assert await is_missing(blobs, CHART)
        await blobs.put(CHART, stream(CONTENT))
        assert await read(blobs, CHART) == CONTENT

    async def test_a_key_without_content_is_not_found(self, blobs: Blobs) -> None:
        assert await is_missing(blobs, CHART)

    async def test_deleted_content_is_not_found_and_deleting_again_is_no_error(self, blobs: Blobs) -> None:
        await blobs.put(CHART, stream(CONTENT))

        await blobs.delete(CHART)
        await blobs.delete(CHART)

        assert await is_missing(blobs, CHART)

    async def test_a_reader_that_has_begun_reads_to_the_end(self, blobs: Blobs) -> None:
        content = b"x" * (CHUNK_BYTES + 1)
        await blobs.put(CHART, stream(content))

        async with aclosing(blobs.open(CHART)) as chunks:
            first = await anext(chunks)
            await blobs.delete(CHART)
            rest = [chunk async for chunk in chunks]

        assert b"".join([first, *rest]) == content

    async def test_each_prefix_erases_what_is_below_it_and_nothing_else(self, blobs: Blobs) -> None:
        scopes = {
            "own": ADA,
            "longer session name": Scope(user="ada", session="s-12"),
            "other user": Scope(user="bo", session="s-1"),
            "other tenant": Scope(tenant="other", user="ada", session="s-1"),
        }
        keys = {name: blob_key(scope, ArtifactId("art_1"), 1, "a.txt") for name, scope in scopes.items()}
        keys["other artifact"] = blob_key(ADA, ArtifactId("art_12"), 1, "a.txt")
        for key in keys.values():
            await blobs.put(key, stream(CONTENT))
        gone: set[str] = set()

        for prefix, names in (
            (artifact_prefix(ADA, ArtifactId("art_1")), {"own"}),
            (session_prefix(ADA), {"other artifact"}),
            (user_prefix("default", "ada"), {"longer session name"}),
            (tenant_prefix("default"), {"other user"}),
        ):
            await blobs.delete_prefix(prefix)
            await blobs.delete_prefix(prefix)
            gone |= names
            assert {name for name, key in keys.items() if await is_missing(blobs, key)} == gone

    @pytest.mark.parametrize("key", ["../escape", "/etc/passwd", "a//b", ".tmp/x", "a/./b", "", "a\0b", "a\\b"])
    async def test_a_key_that_no_version_has_is_refused(self, blobs: Blobs, key: str) -> None:
        with pytest.raises(InvalidName):
            await blobs.put(BlobKey(key), stream(CONTENT))

    async def test_the_listing_has_every_key_that_is_older_and_no_other(self, blobs: Blobs) -> None:
        keys = {blob_key(ADA, ArtifactId("art_1"), number, "metadata.json") for number in (1, 2, 3)}
        for key in keys:
            await blobs.put(key, stream(CONTENT))
        await blobs.delete(deleted := min(keys))

        now = datetime.now(UTC)
        async with aclosing(blobs.listing(before=now + timedelta(hours=1))) as older:
            assert {key async for key in older} == keys - {deleted}
        async with aclosing(blobs.listing(before=now - timedelta(hours=1))) as older:
            assert [key async for key in older] == []

    async def test_an_empty_store_lists_nothing(self, blobs: Blobs) -> None:
        async with aclosing(blobs.listing(before=datetime.now(UTC))) as older:
            assert [key async for key in older] == []
