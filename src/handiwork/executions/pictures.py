"""Pictures of versions: made when somebody first asks, stored beside the version's bytes, and gone with the artifact.

How one is drawn is the `previews`' affair, and who may see it is decided by whoever found the version. A picture is a
convenience: what cannot be stored is shown all the same, and one that was damaged is made again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from handiwork.errors import (
    ArtifactExpired,
    ArtifactNotFound,
    BlobExists,
    ContentDamaged,
    QueueFull,
    ShuttingDown,
    StorageFailed,
    StorageFull,
    VersionNotFound,
)
from handiwork.executions.previews import MOST_ORIGINAL_BYTES
from handiwork.executions.queue import Turns
from handiwork.ids import ArtifactId
from handiwork.media.formats import format_of_media_type
from handiwork.model import Version
from handiwork.store.blobs import Blobs, Stored
from handiwork.store.keys import BlobKey, preview_key
from handiwork.store.reading import read_verified
from handiwork.store.records import Filed, Preview, Records
from handiwork.store.space import Space

AT_ONCE = 1
MOST_WAITING = 64
MOST_WAITING_PER_TENANT = 32
PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 5


class Drawing(Protocol):
    """Draws thumbnails, in a place where a hostile file does no harm. `previews.Previews` is one."""

    async def thumbnail(
        self, key: str, media_type: str, size: int, chunks: Callable[[], AsyncIterator[bytes]]
    ) -> bytes | None:
        """Return a PNG, or None when none can be made of this content; `key` names it."""
        ...


def may_have_picture(version: Version) -> bool:
    """Whether it is worth asking; a file of the right format may turn out to be damaged."""
    format_ = format_of_media_type(version.media_type)
    if format_ is None or not 0 < version.size <= MOST_ORIGINAL_BYTES:
        return False
    return format_.name == "pdf" or (format_.category == "image" and not format_.is_text)


class Pictures:
    """The pictures of one store, made at most `at_once` at a time. Close it before the sandbox that draws."""

    def __init__(
        self, *, records: Records, blobs: Blobs, drawing: Drawing, space: Space | None = None, at_once: int = AT_ONCE
    ) -> None:
        self._records, self._blobs, self._drawing, self._space = records, blobs, drawing, space
        self._turns = Turns(slots=at_once, depth=MOST_WAITING, per_tenant=MOST_WAITING_PER_TENANT)
        self._making: dict[tuple[ArtifactId, int], asyncio.Task[bytes | None]] = {}

    async def of(self, filed: Filed) -> bytes | None:
        """Return the picture of a version that was found just now, as PNG; None when there is none to be had.

        Raises:
            QueueFull: too many are being made; it may be tried again.
            ArtifactExpired, ArtifactNotFound: it went away meanwhile.
            ContentDamaged, StorageFailed: the content cannot be read.
            IsolationUnavailable, SandboxBroken, ShuttingDown: nothing can be drawn now.
        """
        version = filed.artifact.version
        if not may_have_picture(version):
            return None
        noted = await self._records.preview(version.artifact_id, version.number)
        if isinstance(noted, bool):
            return None
        if noted is not None:
            with contextlib.suppress(ContentDamaged):
                return await self._read(noted)
        return await self._made_once(filed, damaged=noted)

    async def close(self) -> None:
        """Make no more, and give up what is being made."""
        self._turns.close()
        if making := list(self._making.values()):
            for task in making:
                task.cancel()
            await asyncio.wait(making)

    async def _read(self, preview: Preview) -> bytes:
        content = read_verified(self._blobs, preview.blob_key, size=preview.size, sha256=preview.sha256)
        return b"".join([chunk async for chunk in content])

    async def _made_once(self, filed: Filed, *, damaged: Preview | None) -> bytes | None:
        """Make it, or wait for who does; it is made to its end even when nobody waits any more."""
        place = (filed.artifact.version.artifact_id, filed.artifact.version.number)
        if (task := self._making.get(place)) is None:
            task = self._making[place] = asyncio.create_task(self._make(filed, damaged))
            task.add_done_callback(lambda ended: self._ended(place, ended))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise ShuttingDown from None
            raise

    def _ended(self, place: tuple[ArtifactId, int], task: "asyncio.Task[bytes | None]") -> None:
        del self._making[place]
        if not task.cancelled():
            task.exception()  # Looked at: those who waited for it may all have left.

    async def _make(self, filed: Filed, damaged: Preview | None) -> bytes | None:
        version = filed.artifact.version
        patience = asyncio.timeout(PATIENCE_SECONDS)
        try:
            # Whoever draws has a turn for everyone that has one here: what comes back as None is no matter of luck.
            async with patience, self._turns.turn(filed.artifact.scope.tenant):
                png = await self._drawing.thumbnail(
                    filed.blob_key, version.media_type, version.size, lambda: self._content(filed)
                )
        except TimeoutError:
            if not patience.expired():
                raise
            # So many waited, this one among them: no more than that could be drawn in time.
            waited = self._turns.waiting + 1
            raise QueueFull("depth", limit=waited, retry_after_seconds=RETRY_SECONDS) from None
        with contextlib.suppress(StorageFull, StorageFailed, BlobExists):
            if png is None:
                await self._records.note_preview(version.artifact_id, version.number, None)
            else:
                await self._keep(filed, png, damaged)
        return png

    def _content(self, filed: Filed) -> AsyncIterator[bytes]:
        version = filed.artifact.version
        return read_verified(self._blobs, filed.blob_key, size=version.size, sha256=version.sha256)

    async def _keep(self, filed: Filed, png: bytes, damaged: Preview | None) -> None:
        """Store the picture and note it; one whose artifact went away while it was drawn is not left behind."""
        artifact, version = filed.artifact, filed.artifact.version
        if self._space is not None:
            await self._space.demand()
        key = preview_key(artifact.scope, artifact.id, version.number)
        if damaged is not None:
            await self._blobs.delete(damaged.blob_key)
        stored = await self._put(key, png)
        try:
            # An end that comes after this look finds the picture and takes it along.
            await self._records.get(artifact.scope, artifact.id, version=version.number)
        except (ArtifactNotFound, ArtifactExpired, VersionNotFound):
            await self._blobs.delete(key)
            raise
        preview = Preview(blob_key=key, size=stored.size, sha256=stored.sha256)
        await self._records.note_preview(artifact.id, version.number, preview)

    async def _put(self, key: BlobKey, png: bytes) -> Stored:
        try:
            return await self._blobs.put(key, _chunks(png))
        except BlobExists:
            # Another process was faster, or one died before it had noted its picture.
            await self._blobs.delete(key)
            return await self._blobs.put(key, _chunks(png))


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data
