"""The seam for content: immutable bytes by key. Which key belongs to whom is known to the records, not here."""

from collections.abc import AsyncGenerator, AsyncIterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from handiwork.store.keys import BlobKey, BlobPrefix

CHUNK_BYTES = 1024 * 1024
SEAL = b"\x89HANDIWORK-SEAL\n"
"""What an encrypted blob begins with, and no content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What `put` has stored, measured while it was written."""

    size: int
    sha256: str
    pieces: bytes = b""
    """The SHA-256 of each piece, one after the other, as `pieces` cuts long content; of what is short, nothing."""


class Blobs(Protocol):
    """Immutable bytes by key.

    No method holds more than a chunk or two in memory. Each may raise `StorageFailed`, and `put` also `StorageFull`.
    """

    async def put(self, key: BlobKey, chunks: AsyncIterable[bytes]) -> Stored:
        """Store `chunks` under a new key; when this returns, they survive a crash and the loss of power.

        Readers see all of it or nothing, and after an error or a cancellation there is nothing. An error of `chunks`
        is passed on. Of several writers of one key the first wins.

        Raises:
            BlobExists: bytes are stored under this key; they stay as they are.
            StorageFull: no space is left.
        """
        ...

    def put_bytes(self, key: BlobKey, data: bytes) -> "Future[None]":
        """Begin to store bytes that are at hand, as `put` does; a thread may wait for it, and nobody has to.

        To begin may block for a moment, so it is called in a thread. They are not measured: whoever has them can. The
        future raises what `put` raises; who cancels it may find nothing stored.
        """
        ...

    def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `offset` on, `length` of them at most, in chunks of at most 1 MiB.

        Nothing is checked against the record: `reading` does that. A reader that has begun reads to the end even when
        the blob is deleted meanwhile. Close the generator if it is not read to the end.

        Raises:
            BlobNotFound: with the first chunk, when nothing is stored under this key.
        """
        ...

    async def delete(self, key: BlobKey) -> None:
        """Remove the bytes for good; it is no error when there are none."""
        ...

    async def delete_prefix(self, prefix: BlobPrefix) -> None:
        """Remove everything below `prefix`, as after `delete` of each key. It may be repeated after a failure."""
        ...

    def listing(self, *, before: datetime) -> AsyncGenerator[BlobKey, None]:
        """Yield every key whose bytes were last changed before that moment, in no order.

        What is put or deleted meanwhile may be among them or not. Close the generator if it is not read to the end.
        """
        ...
