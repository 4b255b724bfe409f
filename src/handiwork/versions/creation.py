"""Making artifacts: bytes first, then one transaction, then the note for people beside the bytes.

Which bytes are wanted is decided by the callers; where they go is the store's.
"""

import asyncio
import concurrent.futures
import hashlib
import time
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
    StorageFailed,
    StorageFull,
    TookTooLong,
    UnsupportedFormat,
)
from handiwork.ids import ArtifactId, new_handle
from handiwork.media.detection import detect
from handiwork.media.formats import Format
from handiwork.model import Artifact, Execution, Provenance, Scope, Version
from handiwork.store.blobs import Blobs, Stored
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
# Of bytes at hand; a disk that takes longer is broken, and the database must not wait for it.
LONGEST_PUT_SECONDS = 30.0
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
        entries = [self._entry(scope, d, f) for d, f in zip(drafts, formats, strict=True)]
        if drafts and all(_is_at_hand(draft.content) for draft in drafts):
            filed = await to_the_end(self._file_together(entries, execution, terms))
        else:
            filed = await self._file_in_turn(entries, execution, terms)
        if self.notes is not None:
            for each in filed:
                self.notes.describe(each.artifact)
        return tuple(each.artifact for each in filed)

    async def _file_in_turn(
        self, entries: "Sequence[_Entry]", execution: Execution | None, terms: Terms
    ) -> Sequence[Filed]:
        """Store the bytes, however long that takes, then their record."""
        bytes_ = _OnTheirWay(self.blobs)
        try:
            filed = [entry.filed(await bytes_.put(entry)) for entry in entries]
        except BaseException:
            await bytes_.forget()
            raise
        # Cut in two, nobody could tell whether the commit took place and the bytes are needed.
        return await to_the_end(self._commit(filed, execution, terms, bytes_))

    async def _file_together(
        self, entries: "Sequence[_Entry]", execution: Execution | None, terms: Terms
    ) -> Sequence[Filed]:
        """Store bytes that are few while their record is being written, which counts when they are on the disk."""
        bytes_ = _OnTheirWay(self.blobs)
        filed = [entry.filed(_measured(entry.draft.content)) for entry in entries]
        bytes_.begin(entries)
        return await self._commit(filed, execution, terms, bytes_)

    def _entry(self, scope: Scope, draft: Draft, format_: Format) -> "_Entry":
        now = self.clock()
        kept_for = self.retention if draft.retention == "default" else draft.retention
        artifact_id = self.new_id()
        return _Entry(
            draft=draft,
            format=format_,
            id=artifact_id,
            scope=scope,
            key=blob_key(scope, artifact_id, 1, draft.name),
            created_at=now,
            expires_at=None if kept_for is None else now + kept_for,
        )

    async def _commit(
        self, filed: list[Filed], execution: Execution | None, terms: Terms, bytes_: "_OnTheirWay"
    ) -> list[Filed]:
        try:
            return await self._recorded(filed, execution, terms, bytes_)
        except (HandleTaken, QuotaExceeded, ScopeErased, StorageFull, TookTooLong):
            await bytes_.forget()
            raise
        except BaseException:
            # A record that could not be synced may come back, and needs its bytes then. Without them there is none.
            if await bytes_.have_failed():
                await bytes_.forget()
            raise

    async def _recorded(
        self, filed: list[Filed], execution: Execution | None, terms: Terms, bytes_: "_OnTheirWay"
    ) -> list[Filed]:
        for _attempt in range(HANDLE_ATTEMPTS):
            made = None if execution is None else replace(execution, artifacts=tuple(each.artifact for each in filed))
            try:
                await self.records.add(filed, execution=made, terms=terms, until=bytes_.waited_for)
            except HandleTaken as taken:
                filed = [_renamed(each) if each.artifact.handle == taken.handle else each for each in filed]
            else:
                return filed
        raise HandleTaken(filed[0].artifact.handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A draft with all that it becomes, but for its bytes."""

    draft: Draft
    format: Format
    id: ArtifactId
    scope: Scope
    key: BlobKey
    created_at: datetime
    expires_at: datetime | None

    def filed(self, bytes_: Stored) -> Filed:
        draft = self.draft
        version = Version(
            artifact_id=self.id,
            number=1,
            name=draft.name,
            media_type=self.format.media_type,
            category=self.format.category,
            size=bytes_.size,
            sha256=bytes_.sha256,
            created_at=self.created_at,
            summary=draft.type.summarize(draft.name, self.format, bytes_.size),
            language=draft.language or self.format.language,
            metadata=draft.metadata,
            provenance=draft.provenance,
        )
        artifact = Artifact(
            id=self.id,
            handle=new_handle(draft.name),
            scope=self.scope,
            type=draft.type.name,
            title=draft.title or draft.name,
            created_at=self.created_at,
            updated_at=self.created_at,
            expires_at=self.expires_at,
            version=version,
        )
        return Filed(artifact=artifact, blob_key=self.key)


class _OnTheirWay:
    """The bytes of some entries on their way into the store."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._stored: list[BlobKey] = []
        self._begun: dict[BlobKey, concurrent.futures.Future[Stored]] = {}

    async def put(self, entry: _Entry) -> Stored:
        stored = await self._blobs.put(entry.key, entry.draft.content.chunks())
        self._stored.append(entry.key)
        return stored

    def begin(self, entries: Sequence[_Entry]) -> None:
        """Put all of them, while something else is done."""
        for entry in entries:
            self._begun[entry.key] = self._blobs.put_bytes(entry.key, _all_of(entry.draft.content))

    @property
    def waited_for(self) -> Callable[[], None] | None:
        """Return what a thread calls to wait for all that has begun; it raises what putting them has raised."""
        return self._wait if self._begun else None

    async def have_failed(self) -> bool:
        return any(putting.exception() is not None for putting in (await self._ended()).values())

    async def forget(self) -> None:
        """Remove what has arrived. What arrives later yet is an orphan like any other."""
        arrived = [key for key, putting in (await self._ended()).items() if putting.exception() is None]
        for key in (*self._stored, *arrived):
            await self._blobs.delete(key)

    def _wait(self) -> None:
        by = time.monotonic() + LONGEST_PUT_SECONDS
        for putting in self._begun.values():
            try:
                putting.result(max(0.0, by - time.monotonic()))
            except TimeoutError as late:
                raise StorageFailed("the blobs", f"they took longer than {LONGEST_PUT_SECONDS:g} s") from late

    async def _ended(self) -> "dict[BlobKey, concurrent.futures.Future[Stored]]":
        if self._begun:
            waited = [asyncio.wrap_future(putting) for putting in self._begun.values()]
            ended, _late = await asyncio.wait(waited, timeout=LONGEST_PUT_SECONDS)
            for each in ended:
                each.exception()  # Looked at, so that asyncio does not report it as forgotten.
        return {key: putting for key, putting in self._begun.items() if putting.done()}


async def _admitted(drafts: Sequence[Draft]) -> list[Format]:
    if all(draft.format is not None or _is_at_hand(draft.content) for draft in drafts):
        return [_admit(draft) for draft in drafts]
    # Looking into files waits for the disk.
    return await in_thread(lambda: [_admit(draft) for draft in drafts])


def _all_of(content: Content) -> bytes:
    return content.read_at(0, content.size)


def _measured(content: Content) -> Stored:
    data = _all_of(content)
    return Stored(size=len(data), sha256=hashlib.sha256(data).hexdigest())


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
