"""Making artifacts: bytes first, then one transaction, then the note for people beside the bytes.

Which bytes are wanted is decided by the callers; where they go is the store's.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from handiwork.clock import Clock
from handiwork.errors import (
    HandleTaken,
)
from handiwork.ids import ArtifactId, new_handle
from handiwork.media.formats import Format
from handiwork.model import Artifact, Execution, Scope, Version
from handiwork.store.blobs import Blobs, Stored
from handiwork.store.keys import HIDDEN_NAME, BlobKey, blob_key
from handiwork.store.outlines import Outline
from handiwork.store.projection import Projections
from handiwork.store.records import Filed, Promotion, Quota, Records, Terms
from handiwork.store.space import Space
from handiwork.tasks import to_the_end
from handiwork.versions.arrival import Arrival
from handiwork.versions.drafts import Admission, Draft, all_of, is_at_hand, name_of

HANDLE_ATTEMPTS = 8


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
    admission: Admission = field(default_factory=Admission)
    space: Space | None = None
    hides_names: bool = False
    """Whether keys and handles, which are no secret, tell nothing of file names."""

    async def file(
        self,
        scope: Scope,
        drafts: Sequence[Draft],
        *,
        execution: Execution | None = None,
        since: datetime | None = None,
        promotes: tuple[Promotion, ...] = (),
    ) -> tuple[Artifact, ...]:
        """Store the drafts, all or none, with the execution that made them.

        `since` is when their content began to come in: an erasure after that refuses them. With `promotes` each draft
        is what the promotion of its place comes to, and all come to be only where those have come to nothing else.

        Raises:
            ContentTooLarge: a draft is over the cap of its type.
            UnsupportedFormat: a draft is of a kind that is not delivered.
            InvalidName: a name or title cannot be used.
            HandleTaken: another artifact of the session has the handle that a draft is to have.
            QuotaExceeded, ScopeErased, TookTooLong, AlreadyPromoted: nothing was stored.
            StorageFull, StorageFailed: nothing was stored.
        """
        quotas = self.quotas
        terms = Terms(session=quotas.session, user=quotas.user, since=since or self.clock(), promotes=promotes)
        if drafts:
            self.admission.demand_enabled()
        drafts, formats = await self.admission.examined(drafts)
        if self.space is not None and drafts:
            await self.space.demand()
        entries = [self._entry(scope, d, f) for d, f in zip(drafts, formats, strict=True)]
        if drafts and all(is_at_hand(draft.content) for draft in drafts):
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
        bytes_ = Arrival(self.blobs)
        try:
            filed = [entry.filed(await bytes_.put(entry.key, entry.draft.content.chunks())) for entry in entries]
        except BaseException:
            await bytes_.forget()
            raise
        # Cut in two, nobody could tell whether the commit took place and the bytes are needed.
        return await to_the_end(bytes_.kept_if(self._recorded(filed, execution, terms, bytes_, _chosen(entries))))

    async def _file_together(
        self, entries: "Sequence[_Entry]", execution: Execution | None, terms: Terms
    ) -> Sequence[Filed]:
        """Store bytes that are few while their record is being written, which counts when they are on the disk."""
        bytes_ = Arrival(self.blobs)
        contents = [all_of(entry.draft.content) for entry in entries]
        filed = [entry.filed(_measured(data)) for entry, data in zip(entries, contents, strict=True)]
        for entry, data in zip(entries, contents, strict=True):
            bytes_.bring(entry.key, data)
        return await bytes_.kept_if(self._recorded(filed, execution, terms, bytes_, _chosen(entries)))

    def _entry(self, scope: Scope, draft: Draft, format_: Format) -> "_Entry":
        now = self.clock()
        usual = draft.type.retention or self.retention
        kept_for = usual if draft.retention == "default" else draft.retention
        artifact_id = draft.id or self.new_id()
        return _Entry(
            draft=draft,
            format=format_,
            id=artifact_id,
            scope=scope,
            key=blob_key(scope, artifact_id, 1, HIDDEN_NAME if self.hides_names else name_of(draft)),
            stem=draft.type.name if self.hides_names else name_of(draft),
            created_at=now,
            expires_at=None if kept_for is None else now + kept_for,
        )

    async def _recorded(
        self, filed: list[Filed], execution: Execution | None, terms: Terms, bytes_: Arrival, chosen: Collection[str]
    ) -> list[Filed]:
        for _attempt in range(HANDLE_ATTEMPTS):
            made = None if execution is None else replace(execution, artifacts=tuple(each.artifact for each in filed))
            try:
                await self.records.add(filed, execution=made, terms=terms, until=bytes_)
            except HandleTaken as taken:
                if taken.handle in chosen:
                    raise
                filed = [self._renamed(each) if each.artifact.handle == taken.handle else each for each in filed]
            else:
                return filed
        raise HandleTaken(filed[0].artifact.handle)

    def _renamed(self, filed: Filed) -> Filed:
        artifact = filed.artifact
        handle = new_handle(artifact.type if self.hides_names else artifact.name)
        return replace(filed, artifact=replace(artifact, handle=handle))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A draft with all that it becomes, but for its bytes."""

    draft: Draft
    format: Format
    id: ArtifactId
    scope: Scope
    key: BlobKey
    stem: str
    created_at: datetime
    expires_at: datetime | None

    def filed(self, bytes_: Stored) -> Filed:
        draft = self.draft
        version = Version(
            artifact_id=self.id,
            number=1,
            name=name_of(draft),
            media_type=self.format.media_type,
            category=draft.type.category or self.format.category,
            size=bytes_.size,
            sha256=bytes_.sha256,
            created_at=self.created_at,
            summary=draft.summary or draft.type.summarize(name_of(draft), self.format, bytes_.size),
            summary_data=draft.summary_data,
            language=draft.language or self.format.language,
            metadata=draft.metadata,
            provenance=replace(draft.provenance, title=draft.title or name_of(draft)),
        )
        artifact = Artifact(
            id=self.id,
            handle=draft.handle or new_handle(self.stem),
            scope=self.scope,
            type=draft.type.name,
            title=draft.title or name_of(draft),
            state=draft.type.initial_state,
            created_at=self.created_at,
            updated_at=self.created_at,
            expires_at=self.expires_at,
            version=version,
        )
        return Filed(artifact=artifact, blob_key=self.key, outline=Outline.of(bytes_, draft.places))


def _chosen(entries: "Sequence[_Entry]") -> Collection[str]:
    """Return the handles that somebody has chosen, so that no other ones will do."""
    return {entry.draft.handle for entry in entries if entry.draft.handle is not None}


def _measured(data: bytes) -> Stored:
    return Stored(size=len(data), sha256=hashlib.sha256(data).hexdigest())
