"""Blobs that are encrypted on their way to where they are kept. Where that is, is not known here.

What a blob is bound to is its key, so it opens under no other tenant, artifact or version. Content from before the
encryption was turned on stays as it is and is read as it is.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Generator
from concurrent.futures import Future
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from handiwork.errors import ContentDamaged
from handiwork.store.blobs import CHUNK_BYTES, Blobs, Stored
from handiwork.store.keys import BlobKey, BlobPrefix
from handiwork.store.pieces import Measure
from handiwork.store.sealed_bytes import HEADER_BYTES, PART_BYTES, SEALED_PART_BYTES, Opener, Sealer, is_sealed
from handiwork.store.vault import Unopened, Vault
from handiwork.tasks import in_thread

# Sealing so much takes about as long as asking a thread to.
SEALED_HERE_BYTES = 256 * 1024


class EncryptedBlobs:
    """Keeps `Blobs`' promises over `inner`. `open` also raises `ContentDamaged`, before a byte that was not proved."""

    def __init__(self, inner: Blobs, vault: Vault) -> None:
        self._inner, self._vault = inner, vault

    async def put(self, key: BlobKey, chunks: AsyncIterable[bytes]) -> Stored:
        if not self._vault.seals:
            return await self._inner.put(key, chunks)
        sealer, measure = Sealer(self._vault, _tenant(key), _about(key)), Measure()
        async with aclosing(_sealed(sealer, measure, chunks)) as sealed:
            await self._inner.put(key, sealed)
        return measure.stored

    def put_bytes(self, key: BlobKey, data: bytes) -> "Future[None]":
        if not self._vault.seals:
            return self._inner.put_bytes(key, data)
        sealer = Sealer(self._vault, _tenant(key), _about(key))
        return self._inner.put_bytes(key, b"".join((sealer.header, sealer.take(data), sealer.end())))

    async def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        span = _Span.of(offset, length)
        skipped, left = span.skipped, length
        async with aclosing(self._opened(key, span)) as content:
            async for chunk in content:
                wanted = chunk[skipped : None if left is None else skipped + left]
                skipped -= min(skipped, len(chunk))
                left = None if left is None else left - len(wanted)
                for start in range(0, len(wanted), CHUNK_BYTES):
                    yield wanted[start : start + CHUNK_BYTES]

    async def delete(self, key: BlobKey) -> None:
        await self._inner.delete(key)

    async def delete_prefix(self, prefix: BlobPrefix) -> None:
        await self._inner.delete_prefix(prefix)

    def listing(self, *, before: datetime) -> AsyncGenerator[BlobKey, None]:
        return self._inner.listing(before=before)

    async def _opened(self, key: BlobKey, span: "_Span") -> AsyncGenerator[bytes, None]:
        """Yield the content from the first part of the span on, at least to the end of the span."""
        async with aclosing(self._inner.open(key, length=span.beginning)) as stored:
            head = await _head(stored)
            if not span.first:
                content = self._proved(key, head, stored, span) if is_sealed(head) else _all(head, stored)
                async with aclosing(content) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
        offset, length = span.in_sealed if is_sealed(head) else span.in_plain
        async with aclosing(self._inner.open(key, offset=offset, length=length)) as stored:
            content = self._proved(key, head, stored, span) if is_sealed(head) else stored
            async with aclosing(content) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _proved(
        self, key: BlobKey, head: bytes, stored: AsyncGenerator[bytes, None], span: "_Span"
    ) -> AsyncGenerator[bytes, None]:
        with _damage_as_ours(key):
            header, rest = head[:HEADER_BYTES], head[HEADER_BYTES:]
            opener = Opener(self._vault, _tenant(key), _about(key), header=header, number=span.first)
        async with aclosing(_all(rest, stored)) as chunks:
            async for chunk in chunks:
                with _damage_as_ours(key):
                    many = len(chunk) > SEALED_HERE_BYTES
                    opened = await in_thread(opener.take, chunk) if many else opener.take(chunk)
                if opened:
                    yield opened
        if opener.number == span.end:
            # What is left is the one byte that was read to see that more follows.
            return
        if opener.is_empty and opener.number == span.first > 0:
            await self._prove_end(key)
            return
        with _damage_as_ours(key):
            last = opener.end()
        yield last

    async def _prove_end(self, key: BlobKey) -> None:
        """Raise `ContentDamaged` unless the content ends where its bytes do: they may have been cut off."""
        async with aclosing(self._opened(key, _Span.of(0, None))) as content:
            async for _chunk in content:
                pass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Which parts a range touches: from `first` to before `end`, None to the last; `skipped` bytes come too early."""

    first: int
    end: int | None
    skipped: int

    @classmethod
    def of(cls, offset: int, length: int | None) -> "_Span":
        first, skipped = divmod(offset, PART_BYTES)
        end = None if length is None else first + -(-(skipped + length) // PART_BYTES)
        return cls(first=first, end=end, skipped=skipped)

    @property
    def beginning(self) -> int | None:
        """How much to read from the beginning of the blob: its header, and the range too if it begins there."""
        if self.first:
            return HEADER_BYTES
        return None if self.end is None else HEADER_BYTES + self.end * SEALED_PART_BYTES + 1

    @property
    def in_sealed(self) -> tuple[int, int | None]:
        """Offset and length in the sealed blob, and a byte more, which tells whether the last part is the last."""
        length = None if self.end is None else (self.end - self.first) * SEALED_PART_BYTES + 1
        return HEADER_BYTES + self.first * SEALED_PART_BYTES, length

    @property
    def in_plain(self) -> tuple[int, int | None]:
        length = None if self.end is None else (self.end - self.first) * PART_BYTES
        return self.first * PART_BYTES, length


async def _sealed(sealer: Sealer, measure: Measure, chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    def taken(chunk: bytes) -> bytes:
        measure.take(chunk)
        return sealer.take(chunk)

    yield sealer.header
    async for chunk in chunks:
        sealed = await in_thread(taken, chunk) if len(chunk) > SEALED_HERE_BYTES else taken(chunk)
        if sealed:
            yield sealed
    yield sealer.end()


async def _head(stored: AsyncGenerator[bytes, None]) -> bytes:
    """Return the first bytes, a whole header of them at least if there is so much."""
    head = b""
    while len(head) < HEADER_BYTES and (chunk := await anext(stored, b"")):
        head += chunk
    return head


async def _all(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    if first:
        yield first
    async for chunk in rest:
        yield chunk


def _tenant(key: BlobKey) -> str:
    """The tenant as the key spells it."""
    return key.partition("/")[0]


def _about(key: BlobKey) -> bytes:
    return key.encode("utf-8", "surrogatepass")


@contextmanager
def _damage_as_ours(key: BlobKey) -> Generator[None]:
    try:
        yield
    except Unopened as error:
        raise ContentDamaged(key) from error
