"""Stored content that is proved while parts of it are read: no part is trusted before its bytes were held to the hash.

Of long content the hash of each piece was kept when it was stored, so that those that are read are proved, and no
more. Where none was kept, the first reader proves all of it and notes them. Which parts are wanted is not known here.
"""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing

from handiwork.errors import BlobNotFound, ContentDamaged
from handiwork.media.places import Places
from handiwork.model import KIB
from handiwork.store.blobs import Blobs
from handiwork.store.keys import BlobKey
from handiwork.store.outlines import Outline
from handiwork.store.pieces import OUTLINED_BYTES, PIECE_BYTES, Measure
from handiwork.store.reading import HASHED_HERE_BYTES, read_verified
from handiwork.store.records import Filed, Records
from handiwork.tasks import in_thread

MOST_PIECES = 64 * KIB
"""How many are remembered in all: those of 8 GiB, in some 10 MB of memory."""

# Of a part most often this much is needed; what follows is read in larger steps.
_FIRST_PIECES = 2


class Outlines:
    """The outlines of the contents that were read in parts last."""

    def __init__(self, *, most_pieces: int = MOST_PIECES) -> None:
        self._most_pieces = most_pieces
        self._pieces = 0
        self._known: OrderedDict[tuple[BlobKey, str], Outline] = OrderedDict()

    async def content(self, filed: Filed, *, records: Records, blobs: Blobs) -> "Proven | Proving":
        """Return the content of a version, to be read in parts. Trust none of them before `finish` has returned."""
        version = filed.artifact.version
        outline = await self._outline(filed, records)
        if outline is not None:
            return Proven(blobs, filed.blob_key, size=version.size, outline=outline)
        return Proving(blobs, filed.blob_key, size=version.size, sha256=version.sha256, outlines=self)

    async def span(
        self, filed: Filed, start: int, stop: int | None, *, records: Records, blobs: Blobs
    ) -> AsyncGenerator[bytes, None]:
        """Yield the content of a version from `start` to before `stop`; None is its end.

        What is read by pieces is proved before it is handed out, and the rest as `read_verified` does it.

        Raises:
            ContentDamaged: the bytes differ from the record, or are gone.
        """
        version, key = filed.artifact.version, filed.blob_key
        is_part = start > 0 or (stop is not None and stop < version.size)
        outline = await self._outline(filed, records) if is_part else None
        if outline is None:
            content = read_verified(blobs, key, size=version.size, sha256=version.sha256, start=start, stop=stop)
        else:
            length = None if stop is None else stop - start
            content = Proven(blobs, key, size=version.size, outline=outline).chunks(offset=start, length=length)
        try:
            async with aclosing(content) as chunks:
                async for chunk in chunks:
                    yield chunk
        except BlobNotFound as error:
            raise ContentDamaged(key) from error

    def keep(self, key: BlobKey, sha256: str, outline: Outline) -> None:
        """Remember an outline of content with this hash, and forget others where that is too much."""
        earlier = self._known.pop((key, sha256), None)
        self._known[key, sha256] = outline
        self._pieces += outline.count - (earlier.count if earlier else 0)
        while self._pieces > self._most_pieces:
            _name, forgotten = self._known.popitem(last=False)
            self._pieces -= forgotten.count

    async def _outline(self, filed: Filed, records: Records) -> Outline | None:
        """Return what is remembered of the content, or what was kept when it was stored."""
        version = filed.artifact.version
        name = (filed.blob_key, version.sha256)
        if version.size <= OUTLINED_BYTES:
            return None
        if name not in self._known and (kept := await records.outline(filed)):
            self.keep(*name, kept)
            return kept
        if name in self._known:
            self._known.move_to_end(name)
        return self._known.get(name)


class Proven:
    """Content whose pieces are known: each is held to its hash before any of it is handed out."""

    def __init__(self, blobs: Blobs, key: BlobKey, *, size: int, outline: Outline) -> None:
        self.size, self.places = size, outline.places
        self._blobs, self._key, self._outline = blobs, key, outline

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield `length` bytes from `offset` on, or all that follow. Raises `ContentDamaged`."""
        stop = self.size if length is None else min(offset + length, self.size)
        if stop <= offset:
            return
        start = offset - offset % PIECE_BYTES
        end = min(stop + -stop % PIECE_BYTES, self.size)
        first = min(start + _FIRST_PIECES * PIECE_BYTES, end)
        for begin, until in ((start, first), (first, end)):
            async with aclosing(self._pieces(begin, until)) as pieces:
                async for piece in pieces:
                    wanted = piece[max(offset - begin, 0) : stop - begin]
                    begin += len(piece)  # it is where the next one begins
                    if wanted:
                        yield wanted

    async def finish(self) -> None:
        """Do nothing: what was read is proved, and the rest was once."""

    async def _pieces(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield what is between two ends of pieces, one or more of them at once."""
        if start == end:
            return
        held, number = b"", start // PIECE_BYTES
        async with aclosing(self._blobs.open(self._key, offset=start, length=end - start)) as chunks:
            async for chunk in chunks:
                held += chunk
                start += len(chunk)
                whole = len(held) if start == end else len(held) - len(held) % PIECE_BYTES
                if not whole:
                    continue
                pieces, held = held[:whole], held[whole:]
                await in_thread(self._demand, pieces, number)
                number += -(-whole // PIECE_BYTES)
                yield pieces
        if start != end:
            raise ContentDamaged(self._key)

    def _demand(self, pieces: bytes, number: int) -> None:
        view = memoryview(pieces)
        for begin in range(0, len(view), PIECE_BYTES):
            if hashlib.sha256(view[begin : begin + PIECE_BYTES]).digest() != self._outline.digest(number):
                raise ContentDamaged(self._key)
            number += 1


class Proving:
    """Content that nothing is known of yet: what is read from its start on is hashed, and the rest in the end."""

    def __init__(self, blobs: Blobs, key: BlobKey, *, size: int, sha256: str, outlines: Outlines) -> None:
        self.size, self.places = size, Places()
        self._blobs, self._key, self._sha256, self._outlines = blobs, key, sha256, outlines
        self._measure = Measure()

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield `length` bytes from `offset` on, or all that follow."""
        async with aclosing(self._blobs.open(self._key, offset=offset, length=length)) as chunks:
            async for chunk in chunks:
                if offset <= self._measure.size < offset + len(chunk):
                    await self._take(chunk[self._measure.size - offset :])
                offset += len(chunk)
                yield chunk

    async def finish(self) -> None:
        """Read what was not read, and prove the whole.

        Raises:
            ContentDamaged: the bytes differ from the record.
        """
        async with aclosing(self._blobs.open(self._key, offset=self._measure.size)) as chunks:
            async for chunk in chunks:
                await self._take(chunk)
                if self._measure.size > self.size:
                    break
        measured = self._measure.stored
        if (measured.size, measured.sha256) != (self.size, self._sha256):
            raise ContentDamaged(self._key)
        if outline := Outline.of(measured, self.places):
            self._outlines.keep(self._key, self._sha256, outline)

    async def _take(self, data: bytes) -> None:
        if len(data) <= HASHED_HERE_BYTES:
            self._measure.take(data)
        else:
            await in_thread(self._measure.take, data)
