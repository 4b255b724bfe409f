"""Making artifacts: bytes first, then one transaction, then the note for people beside the bytes.

Which bytes are wanted is decided by the callers; where they go is the store's.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from handiwork.errors import ContentTooLarge, HandleTaken, InvalidName, UnsupportedFormat
from handiwork.ids import ArtifactId, new_handle
from handiwork.media.detection import detect
from handiwork.media.formats import Format
from handiwork.model import Artifact, Execution, Provenance, Scope, Version
from handiwork.store.blobs import Blobs
from handiwork.store.keys import BlobKey, blob_key
from handiwork.store.projection import write_projection
from handiwork.store.records import Filed, Records
from handiwork.tasks import to_the_end
from handiwork.types.artifact_type import ArtifactType

HANDLE_ATTEMPTS = 8
LONGEST_NAME = 255
LONGEST_TITLE = 300
Clock = Callable[[], datetime]


class Content(Protocol):
    """Bytes that can be looked into and streamed."""

    @property
    def size(self) -> int: ...
    def read_at(self, offset: int, length: int) -> bytes: ...
    def chunks(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An artifact to be."""

    type: ArtifactType
    name: str
    content: Content
    title: str | None = None
    provenance: Provenance = field(default_factory=Provenance)
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    uncounted_bytes: int = 0
    """What was put in on the way, such as a library, and does not count against the cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """Files artifacts in one store. `retention` None keeps them for ever; `notes` is where `metadata.json` goes."""

    records: Records
    blobs: Blobs
    clock: Clock
    new_id: Callable[[], ArtifactId]
    retention: timedelta | None
    notes: Path | None

    async def file(
        self, scope: Scope, drafts: Sequence[Draft], *, execution: Execution | None = None
    ) -> tuple[Artifact, ...]:
        """Store the drafts, all or none, with the execution that made them.

        Raises:
            ContentTooLarge: a draft is over the cap of its type.
            UnsupportedFormat: a draft is of a kind that is not delivered.
            InvalidName: a name or title cannot be used.
            StorageFull, StorageFailed: nothing was stored.
        """
        formats = [_admit(draft) for draft in drafts]
        stored: list[BlobKey] = []
        try:
            filed = [await self._put(scope, d, f, stored) for d, f in zip(drafts, formats, strict=True)]
        except BaseException:
            await self._forget(stored)
            raise
        try:
            # Cut in two, nobody could tell whether the commit took place and the bytes are needed.
            filed = await to_the_end(self._commit(filed, execution))
        except HandleTaken:
            await self._forget(stored)
            raise
        if self.notes is not None:
            for each in filed:
                await write_projection(self.notes, each.artifact)
        return tuple(each.artifact for each in filed)

    async def _forget(self, stored: Sequence[BlobKey]) -> None:
        for key in stored:
            await self.blobs.delete(key)

    async def _put(self, scope: Scope, draft: Draft, format_: Format, stored: list[BlobKey]) -> Filed:
        artifact_id = self.new_id()
        key = blob_key(scope, artifact_id, 1, draft.name)
        bytes_ = await self.blobs.put(key, draft.content.chunks())
        stored.append(key)
        now = self.clock()
        version = Version(
            artifact_id=artifact_id,
            number=1,
            name=draft.name,
            media_type=format_.media_type,
            category=format_.category,
            size=bytes_.size,
            sha256=bytes_.sha256,
            created_at=now,
            summary=draft.type.summarize(draft.name, format_, bytes_.size),
            language=format_.language,
            metadata=draft.metadata,
            provenance=draft.provenance,
        )
        artifact = Artifact(
            id=artifact_id,
            handle=new_handle(draft.name),
            scope=scope,
            type=draft.type.name,
            title=draft.title or draft.name,
            created_at=now,
            updated_at=now,
            expires_at=None if self.retention is None else now + self.retention,
            version=version,
        )
        return Filed(artifact=artifact, blob_key=key)

    async def _commit(self, filed: list[Filed], execution: Execution | None) -> list[Filed]:
        for _attempt in range(HANDLE_ATTEMPTS):
            try:
                if execution is None:
                    await self.records.add(filed)
                else:
                    made = tuple(each.artifact for each in filed)
                    await self.records.add(filed, execution=replace(execution, artifacts=made))
            except HandleTaken as taken:
                filed = [_renamed(each) if each.artifact.handle == taken.handle else each for each in filed]
            else:
                return filed
        raise HandleTaken(filed[0].artifact.handle)


def _renamed(filed: Filed) -> Filed:
    return replace(filed, artifact=replace(filed.artifact, handle=new_handle(filed.artifact.version.name)))


def _admit(draft: Draft) -> Format:
    if (
        not 0 < len(draft.name.encode("utf-8", "surrogatepass")) <= LONGEST_NAME
        or "/" in draft.name
        or draft.name in (".", "..")
        or not draft.name.isprintable()
    ):
        raise InvalidName(
            "file name", draft.name, expected=f"printable characters without a slash, 1 to {LONGEST_NAME} bytes"
        )
    if draft.title is not None and len(draft.title) > LONGEST_TITLE:
        raise InvalidName("title", draft.title[:60] + "…", expected=f"at most {LONGEST_TITLE} characters")
    if draft.content.size - draft.uncounted_bytes > draft.type.cap_bytes:
        raise ContentTooLarge(draft.name, size=draft.content.size, limit=draft.type.cap_bytes)
    found = detect(draft.name, draft.content)
    if not found.delivered:
        raise UnsupportedFormat(draft.name, media_type=found.media_type, hint=found.hint or "")
    return found
