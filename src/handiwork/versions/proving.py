"""Stored content that is proved while parts of it are read: no part is trusted before its bytes were held to the hash.

The first reader of some content proves all of it and notes the hash of each piece on the way; who comes later proves
the pieces that are read, and no more. Which parts are wanted is not known here.
"""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from handiwork.errors import ContentDamaged
from handiwork.model import KIB, MIB
from handiwork.store.blobs import Blobs
from handiwork.store.keys import BlobKey
from handiwork.store.reading import HASHED_HERE_BYTES
from handiwork.store.records import Filed
from handiwork.tasks import in_thread
from handiwork.versions.places import Places

PIECE_BYTES = 128 * KIB
OUTLINED_BYTES = MIB
"""From here on it is worth while to remember pieces; less is proved as a whole in less than a millisecond."""
MOST_PIECES = 64 * KIB
"""How many are remembered in all: those of 8 GiB, in some 10 MB of memory."""

# Of a part most often this much is needed; what follows is read in larger steps.
_FIRST_PIECES = 2


@dataclass(slots=True, kw_only=True)
class Outline:
    """What is remembered of content that was proved: the hash of each piece, and where units begin."""

    digests: list[bytes] = field(default_factory=list[bytes])
    places: Places = field(default_factory=Places)


class Outlines:
    """The outlines of the contents that were read in parts last."""

    def __init__(self, *, most_pieces: int = MOST_PIECES) -> None:
        self._most_pieces = most_pieces
        self._pieces = 0
        self._known: OrderedDict[tuple[BlobKey, str], Outline] = OrderedDict()

    def content(self, blobs: Blobs, filed: Filed) -> "Proven | Proving":
        """Return the content of a version, to be read in parts. Trust none of them before `finish` has returned."""
        version = filed.artifact.version
        name = (filed.blob_key, version.sha256)
        outline = self._known.get(name)
        if outline is not None:
            self._known.move_to_end(name)
            return Proven(blobs, filed.blob_key, size=version.size, outline=outline)
        return Proving(blobs, filed.blob_key, size=version.size, sha256=version.sha256, outlines=self)

    def keep(self, key: BlobKey, sha256: str, outline: Outline) -> None:
        """Remember an outline of content with this hash, and forget others where that is too much."""
        earlier = self._known.pop((key, sha256), None)
        self._known[key, sha256] = outline
        self._pieces += len(outline.digests) - (len(earlier.digests) if earlier else 0)
        while self._pieces > self._most_pieces:
            _name, forgotten = self._known.popitem(last=False)
            self._pieces -= len(forgotten.digests)


class Proven:
    """Content whose pieces are known: each is held to its hash before any of it is handed out."""

    def __init__(self, blobs: Blobs, key: BlobKey, *, size: int, outline: Outline) -> None:
        self.size, self.places = size, outline.places
        self._blobs, self._key, self._digests = blobs, key, outline.digests

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield `length` bytes from `offset` on, or all that follow. Raises `ContentDamaged`."""
        stop = self.size if length is None else min(offset + length, self.size)
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
            if hashlib.sha256(view[begin : begin + PIECE_BYTES]).digest() != self._digests[number]:
                raise ContentDamaged(self._key)
            number += 1


class Proving:
    """Content that nothing is known of yet: what is read from its start on is hashed, and the rest in the end."""

    def __init__(self, blobs: Blobs, key: BlobKey, *, size: int, sha256: str, outlines: Outlines) -> None:
        self.size, self._outline = size, Outline()
        self._blobs, self._key, self._sha256, self._outlines = blobs, key, sha256, outlines
        self._whole, self._piece = hashlib.sha256(), hashlib.sha256()
        self._reached = 0

    @property
    def places(self) -> Places:
        return self._outline.places

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield `length` bytes from `offset` on, or all that follow."""
        async with aclosing(self._blobs.open(self._key, offset=offset, length=length)) as chunks:
            async for chunk in chunks:
                if offset <= self._reached < offset + len(chunk):
                    await self._take(chunk[self._reached - offset :])
                offset += len(chunk)
                yield chunk

    async def finish(self) -> None:
        """Read what was not read, and prove the whole.

        Raises:
            ContentDamaged: the bytes differ from the record.
        """
        async with aclosing(self._blobs.open(self._key, offset=self._reached)) as chunks:
            async for chunk in chunks:
                await self._take(chunk)
                if self._reached > self.size:
                    break
        if self._reached != self.size or self._whole.hexdigest() != self._sha256:
            raise ContentDamaged(self._key)
        if self.size <= OUTLINED_BYTES:
            return
        if self.size % PIECE_BYTES:
            self._outline.digests.append(self._piece.digest())
        self._outlines.keep(self._key, self._sha256, self._outline)

    async def _take(self, data: bytes) -> None:
        if len(data) <= HASHED_HERE_BYTES:
            self._hash(data)
        else:
            await in_thread(self._hash, data)

    def _hash(self, data: bytes) -> None:
        self._whole.update(data)
        view, position = memoryview(data), 0
        while self.size > OUTLINED_BYTES and position < len(view):
            part = view[position : position + PIECE_BYTES - (self._reached + position) % PIECE_BYTES]
            self._piece.update(part)
            position += len(part)
            if not (self._reached + position) % PIECE_BYTES:
                self._outline.digests.append(self._piece.digest())
                self._piece = hashlib.sha256()
        self._reached += len(data)
