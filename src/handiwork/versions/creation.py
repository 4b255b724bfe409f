"""Making artifacts: bytes first, then one transaction, then the note for people beside the bytes.

Which bytes are wanted is decided by the callers; where they go is the store's.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol

from handiwork.clock import Clock
from handiwork.errors import (
    ContentTooLarge,
    HandleTaken,
    InvalidName,
    QuotaExceeded,
    ScopeErased,
    StorageFull,
    TookTooLong,
    UnsupportedFormat,
)
from handiwork.ids import ArtifactId, new_handle
from handiwork.media.detection import detect
from handiwork.media.formats import Format
from handiwork.model import Artifact, Execution, Provenance, Scope, Version
from handiwork.store.blobs import Blobs
from handiwork.store.keys import BlobKey, blob_key
from handiwork.store.projection import Projections
from handiwork.store.records import Filed, Quota, Records, Terms
from handiwork.store.space import Space
from handiwork.tasks import in_thread, to_the_end
from handiwork.types.artifact_type import ArtifactType
from handiwork.versions.content import Bytes

HANDLE_ATTEMPTS = 8
AT_HAND_BYTES = 64 * 1024
LONGEST_NAME = 255
LONGEST_TITLE = 300


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
    language: str | None = None
    """None is the one that the content is found to be in."""
    provenance: Provenance = field(default_factory=Provenance)
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    retention: timedelta | Literal["default"] | None = "default"
    """How long it is kept; None is for ever."""
    format: Format | None = None
    """None is the one that name and content tell."""
    uncounted_bytes: int = 0
    """What was put in on the way, such as a library, and does not count against the cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """What each session and each user may keep at most."""

    session: Quota = field(default_factory=Quota)
    user: Quota = field(default_factory=Quota)


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """Files artifacts in one store. `retention` None keeps them for ever; `notes` describes them for people."""

    records: Records
    blobs: Blobs
    clock: Clock
    new_id: Callable[[], ArtifactId]
    retention: timedelta | None
    notes: Projections | None
    quotas: Quotas = field(default_factory=Quotas)
    space: Space | None = None

    async def file(
        self,
        scope: Scope,
        drafts: Sequence[Draft],
        *,
        execution: Execution | None = None,
        since: datetime | None = None,
    ) -> tuple[Artifact, ...]:
        """Store the drafts, all or none, with the execution that made them.

        `since` is when their content began to come in: an erasure after that refuses them.

        Raises:
            ContentTooLarge: a draft is over the cap of its type.
            UnsupportedFormat: a draft is of a kind that is not delivered.
            InvalidName: a name or title cannot be used.
            QuotaExceeded, ScopeErased, TookTooLong: nothing was stored.
            StorageFull, StorageFailed: nothing was stored.
        """
        terms = Terms(session=self.quotas.session, user=self.quotas.user, since=since or self.clock())
        formats = await _admitted(drafts)
        if self.space is not None and drafts:
            await self.space.demand()
        stored: list[BlobKey] = []
        try:
            filed = [await self._put(scope, d, f, stored) for d, f in zip(drafts, formats, strict=True)]
        except BaseException:
            await self._forget(stored)
            raise
        try:
            # Cut in two, nobody could tell whether the commit took place and the bytes are needed.
            filed = await to_the_end(self._commit(filed, execution, terms))
        except (HandleTaken, QuotaExceeded, ScopeErased, StorageFull, TookTooLong):
            # Not after `StorageFailed`: a record that could not be synced may come back, and needs its bytes then.
            await self._forget(stored)
            raise
        if self.notes is not None:
            for each in filed:
                self.notes.describe(each.artifact)
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
        kept_for = self.retention if draft.retention == "default" else draft.retention
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
            language=draft.language or format_.language,
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
            expires_at=None if kept_for is None else now + kept_for,
            version=version,
        )
        return Filed(artifact=artifact, blob_key=key)

    async def _commit(self, filed: list[Filed], execution: Execution | None, terms: Terms) -> list[Filed]:
        for _attempt in range(HANDLE_ATTEMPTS):
            try:
                if execution is None:
                    await self.records.add(filed, terms=terms)
                else:
                    made = tuple(each.artifact for each in filed)
                    await self.records.add(filed, execution=replace(execution, artifacts=made), terms=terms)
            except HandleTaken as taken:
                filed = [_renamed(each) if each.artifact.handle == taken.handle else each for each in filed]
            else:
                return filed
        raise HandleTaken(filed[0].artifact.handle)


async def _admitted(drafts: Sequence[Draft]) -> list[Format]:
    if all(draft.format is not None or _is_at_hand(draft.content) for draft in drafts):
        return [_admit(draft) for draft in drafts]
    # Looking into files waits for the disk.
    return await in_thread(lambda: [_admit(draft) for draft in drafts])


def _is_at_hand(content: Content) -> bool:
    return isinstance(content, Bytes) and content.size <= AT_HAND_BYTES


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
    if draft.title is not None and (len(draft.title) > LONGEST_TITLE or not _is_whole(draft.title)):
        raise InvalidName("title", draft.title[:60] + "…", expected=f"at most {LONGEST_TITLE} whole characters")
    if draft.content.size - draft.uncounted_bytes > draft.type.cap_bytes:
        raise ContentTooLarge(draft.name, size=draft.content.size, limit=draft.type.cap_bytes)
    found = draft.format or detect(draft.name, draft.content)
    if not found.delivered:
        raise UnsupportedFormat(draft.name, media_type=found.media_type, hint=found.hint or "")
    return found


def _is_whole(text: str) -> bool:
    """Tell whether no half of a surrogate pair is in it, which no database takes."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
