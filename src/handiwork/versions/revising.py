"""Making further versions: by whole content, by a patch, or by going back to an earlier one.

What a patch means is known to `patches`, and what two changes come to together to `merging`. Whoever revises says
which version that was decided on; when the head has moved since, the change is merged into it or refused as a whole.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

from handiwork.clock import Clock
from handiwork.errors import (
    ArtifactExpired,
    ArtifactNotFound,
    BlobExists,
    ContentDamaged,
    ContentRefused,
    HeadMoved,
    InvalidContent,
    UnknownType,
    VersionConflict,
)
from handiwork.ids import ArtifactId
from handiwork.media.formats import format_of_media_type
from handiwork.media.places import Places
from handiwork.model import KIB, Artifact, Provenance, Reach, Scope, Version
from handiwork.shapes import Shape, artifact_shape
from handiwork.store.blobs import Blobs
from handiwork.store.keys import HIDDEN_NAME, BlobKey, blob_key, spare_key
from handiwork.store.outlines import Outline
from handiwork.store.projection import Projections
from handiwork.store.reading import read_verified, unless_gone
from handiwork.store.records import Filed, Records, Terms
from handiwork.store.revisions import Revisions
from handiwork.store.space import Space
from handiwork.tasks import in_thread, to_the_end
from handiwork.types.artifact_type import ArtifactType, Checked, text_alone
from handiwork.types.registry import Registry
from handiwork.types.strict_json import is_short, parsed
from handiwork.verbs import version_number
from handiwork.versions.arrival import Arrival
from handiwork.versions.content import Bytes
from handiwork.versions.creation import Quotas
from handiwork.versions.descriptions import Description, brought_together
from handiwork.versions.differences import MISSING
from handiwork.versions.drafts import Admission, Draft
from handiwork.versions.texts import Difference, difference, is_one_edit_of, merged, patched, text_of, wanted

INLINE_BYTES = 32 * KIB
# Deciding on less takes about as long as asking a thread to; and so much may be stored while its record is written.
DECIDED_HERE_BYTES, TOGETHER_BYTES = 16 * KIB, 256 * KIB
ATTEMPTS = 200
"""How often a revision begins anew because other processes were faster. Of four that never pause, three out of four
attempts come too late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A version to be: exactly one of `content` and `patch`; what is None carries forward."""

    content: object = MISSING
    """`MISSING` is none, since `None` is what JSON calls `null`."""
    patch: object = None
    base_version: int | None = None
    """The version that it was decided on; None is the newest."""
    expected: int | None = None
    """The version that must be the newest when this is stored; otherwise `HeadMoved`, and nothing is merged."""
    title: str | None = None
    language: str | None = None
    metadata: Mapping[str, object] | None = None
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revising:
    """Revises artifacts in one store; `new_token` makes a name of bytes where the usual one is taken."""

    records: Records
    revisions: Revisions
    blobs: Blobs
    types: Registry
    clock: Clock
    new_token: Callable[[], str]
    notes: Projections | None = None
    quotas: Quotas = field(default_factory=Quotas)
    admission: Admission = field(default_factory=Admission)
    space: Space | None = None
    hides_names: bool = False
    """Whether keys tell nothing of file names."""
    _locks: WeakValueDictionary[ArtifactId, asyncio.Lock] = field(default_factory=WeakValueDictionary, init=False)

    async def revise(self, reach: Scope | Reach, reference: str, revision: Revision) -> Artifact:
        """Make the next version, or return the artifact as it is when nothing in it would change.

        Raises:
            ArtifactNotFound, ArtifactExpired, VersionNotFound: there is none to be had.
            ContentRefused, PatchRefused, EditMissed, InvalidContent, ContentTooLarge: nothing was changed.
            VersionConflict: the head has moved since `base_version`, and both changed the same places.
            HeadMoved: the newest version is not `expected`.
            QuotaExceeded, StorageFull: there is no room for it.
        """
        self.demand_possible(revision)
        head: Filed | None = await self.records.get(reach, reference)
        id = head.artifact.id
        # One after the other where that can be had; other processes are met by trying again.
        lock = self._locks.setdefault(id, asyncio.Lock())
        if lock.locked():
            head = None

        async def attempt() -> Artifact:
            nonlocal head
            found, head = head or await self.records.get(reach, id), None
            return await self._next(found, revision)

        async with lock:
            return await (self._again(attempt) if revision.expected is None else attempt())

    def demand_possible(self, revision: Revision) -> None:
        """Raise what `revise` raises of a revision whatever the artifact is."""
        self.admission.demand_enabled()
        version_number(revision.base_version)
        if (revision.content is MISSING) == (revision.patch is None):
            got = "none" if revision.content is MISSING else "both"
            raise InvalidContent("revision", expected="exactly one of `content` and `patch`", got=got)

    async def restore(
        self, reach: Scope | Reach, reference: str, version: int, *, provenance: Provenance | None = None
    ) -> Artifact:
        """Make an earlier version the newest again, as a version of its own."""
        self.admission.demand_enabled()
        version_number(version)
        id = (await self.records.get(reach, reference)).artifact.id
        async with self._locks.setdefault(id, asyncio.Lock()):
            return await self._again(lambda: self._restored(reach, id, version, provenance or Provenance()))

    async def diff(self, reach: Scope | Reach, reference: str, start: int, end: int | None = None) -> Difference:
        """Tell what differs between two versions; `end` None is the newest.

        Raises:
            InvalidContent: it is no text.
            ArtifactNotFound, ArtifactExpired, VersionNotFound: there is none to be had.
        """
        new = await self.records.get(reach, reference, version=version_number(end))
        old = await self.records.get(reach, new.artifact.id, version=version_number(start))
        type_ = self.types.named(new.artifact.type)
        texts = [await in_thread(text_of, await self._bytes(each), type_, each.artifact.version) for each in (old, new)]
        number = new.artifact.version.number
        return await in_thread(difference, *texts, start=start, end=number)

    async def shape(self, artifact: Artifact, *, given: bytes | None = None) -> Shape:
        """Return an artifact as JSON has it, with content that is short and no file; `null` is content, too.

        `given` are bytes that may be its content, so that it need not be read again.
        """
        shape = artifact_shape(artifact)
        # What was good when it was stored is shown as it is: its type may have changed since, or be known no more.
        with contextlib.suppress(UnknownType, ContentRefused, ContentDamaged, ArtifactNotFound, ArtifactExpired):
            kind, version = self.types.named(artifact.type).content, artifact.version
            if kind != "bytes" and version.size <= INLINE_BYTES:
                if given is None or hashlib.sha256(given).hexdigest() != version.sha256:
                    given = await self._bytes(
                        await self.records.get(artifact.scope, artifact.id, version=version.number)
                    )
                text = given.decode(errors="replace")
                shape["version"]["content"] = parsed(text, type_name=artifact.type) if kind == "json" else text
        return shape

    async def _again(self, work: Callable[[], Awaitable[Artifact]]) -> Artifact:
        """Do work that finds the head anew each time, as often as others are faster."""
        for _attempt in range(ATTEMPTS - 1):
            with contextlib.suppress(HeadMoved):
                return await work()
        return await work()

    async def _restored(self, reach: Scope | Reach, id: ArtifactId, version: int, provenance: Provenance) -> Artifact:
        head = await self.records.get(reach, id)
        earlier = await self.records.get(reach, id, version=version)
        if _is_same(head.artifact.version, earlier.artifact.version):
            return head.artifact
        now, number = self.clock(), head.artifact.version.number + 1
        provenance = replace(provenance, title=head.artifact.title)
        again = replace(earlier.artifact.version, number=number, created_at=now, provenance=provenance)
        revised = Filed(artifact=replace(head.artifact, version=again), blob_key=earlier.blob_key)
        adding = self.revisions.add(revised, expected=number - 1, terms=self._terms(now), restores=version)
        return self._noted(await to_the_end(adding))

    async def _next(self, head: Filed, revision: Revision) -> Artifact:
        begun = self.clock()
        artifact = head.artifact
        number = artifact.version.number
        if revision.expected not in (None, number):
            raise HeadMoved(artifact.id, number)
        base = head
        if revision.base_version not in (None, number):
            base = await self.records.get(artifact.scope, artifact.id, version=revision.base_version)
        needs = [] if revision.patch is None and base is head else [base] if base is head else [base, head]
        contents = [await self._bytes(each) for each in needs]
        decide = partial(self._decided, artifact, base.artifact.version, revision, contents)
        next_ = decide() if self._is_quick(artifact, revision.patch, contents) else await in_thread(decide)
        version = next_.version
        title = version.provenance.title or artifact.title
        if _is_same(artifact.version, version) and title == artifact.title:
            return artifact
        if self.space is not None:
            await self.space.demand()
        revised = replace(artifact, title=title, version=version)
        return self._noted(await self._stored(revised, next_, expected=number, begun=begun))

    def _is_quick(self, artifact: Artifact, patch: object, contents: Sequence[bytes]) -> bool:
        """Tell whether deciding takes about as long as asking a thread to: of a little, or of one edit that fits."""
        if patch is None or not is_short(patch, DECIDED_HERE_BYTES):
            return False
        if sum(map(len, contents)) < DECIDED_HERE_BYTES:
            return True
        is_plain = self.types.named(artifact.type).examine is text_alone and len(contents) == 1
        return is_plain and len(contents[0]) <= TOGETHER_BYTES and is_one_edit_of(contents[0], patch)

    def _decided(self, artifact: Artifact, base: Version, revision: Revision, contents: Sequence[bytes]) -> "_Next":
        """Return what the next version is to be, from the contents of its base and of the head where they count."""
        type_, head = self.types.named(artifact.type), artifact.version
        said = Description(title=revision.title, language=revision.language, metadata=revision.metadata)
        said, conflicts = brought_together(base, artifact, said)
        revision = replace(revision, title=said.title, language=said.language, metadata=said.metadata)
        language = revision.language or head.language
        if not contents:
            return self._version(artifact, revision, type_, wanted(revision.content, type_, language=language))
        before = text_of(contents[0], type_, base)
        if revision.patch is not None:
            mine = patched(before, revision.patch, type_, language=language)
        else:
            mine = wanted(revision.content, type_, language=language)
        if len(contents) == 1:
            return self._version(artifact, revision, type_, mine)
        theirs = text_of(contents[1], type_, head)
        outcome = merged(before, text_of(mine.data, type_, head), theirs, type_, language=language)
        if outcome.checked is None or conflicts:
            told = [*(each.as_facts() for each in conflicts), *outcome.conflicts]
            raise VersionConflict(artifact.id, base=base.number, head=head.number, conflicts=told)
        return self._version(artifact, revision, type_, outcome.checked)

    def _version(self, artifact: Artifact, revision: Revision, type_: ArtifactType, checked: Checked) -> "_Next":
        was, data = artifact.version, checked.data
        draft = Draft(
            type=type_,
            name=was.name,
            content=Bytes(data),
            title=revision.title,
            language=revision.language,
            metadata=was.metadata if revision.metadata is None else revision.metadata,
            provenance=revision.provenance,
            format=checked.format,
        )
        format_ = self.admission.admit(draft)
        sha256 = hashlib.sha256(data).hexdigest()
        version = replace(
            was,
            number=was.number + 1,
            media_type=format_.media_type,
            category=type_.category or format_.category,
            size=len(data),
            sha256=sha256,
            created_at=self.clock(),
            summary=_carried(was, type_) or type_.summarize(was.name, format_, len(data)),
            # What a summarizer has said is of that content alone.
            summary_data=was.summary_data if sha256 == was.sha256 else {},
            language=revision.language or was.language,
            metadata=draft.metadata,
            provenance=replace(revision.provenance, title=revision.title or artifact.title),
        )
        return _Next(data=data, version=version, places=checked.places)

    async def _stored(self, revised: Artifact, next_: "_Next", *, expected: int, begun: datetime) -> Artifact:
        number, name = revised.version.number, HIDDEN_NAME if self.hides_names else revised.version.name
        try:
            key = blob_key(revised.scope, revised.id, number, name)
            return await to_the_end(self._stored_as(key, revised, next_, expected, begun))
        except BlobExists:
            # Somebody revises it at this moment, or has died of it: the one whose record comes first has won.
            key = spare_key(revised.scope, revised.id, number, self.new_token())
            return await to_the_end(self._stored_as(key, revised, next_, expected, begun))

    async def _stored_as(
        self, key: BlobKey, revised: Artifact, next_: "_Next", expected: int, begun: datetime
    ) -> Artifact:
        bytes_, outline = Arrival(self.blobs), None
        if len(next_.data) > TOGETHER_BYTES:
            async with unless_gone(self.records, revised):
                outline = Outline.of(await bytes_.put(key, Bytes(next_.data).chunks()), next_.places)
        else:
            bytes_.bring(key, next_.data)
        filed = Filed(artifact=revised, blob_key=key, outline=outline)
        terms = self._terms(begun)
        return await bytes_.kept_if(self.revisions.add(filed, expected=expected, terms=terms, until=bytes_))

    async def _bytes(self, filed: Filed) -> bytes:
        version = filed.artifact.version
        content = read_verified(self.blobs, filed.blob_key, size=version.size, sha256=version.sha256)
        async with unless_gone(self.records, filed.artifact):
            return b"".join([chunk async for chunk in content])

    def _terms(self, since: datetime) -> Terms:
        return Terms(session=self.quotas.session, user=self.quotas.user, since=since)

    def _noted(self, artifact: Artifact) -> Artifact:
        if self.notes is not None:
            self.notes.describe(artifact)
        return artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class _Next:
    """A version to be with its bytes, and where units of them begin."""

    data: bytes
    version: Version
    places: Places


def _carried(was: Version, type_: ArtifactType) -> str | None:
    """Return the summary that somebody has given; None for one that the type has made of the content."""
    format_ = format_of_media_type(was.media_type)
    is_given = format_ is not None and was.summary != type_.summarize(was.name, format_, was.size)
    return was.summary if is_given else None


def _is_same(was: Version, is_now: Version) -> bool:
    def facts(version: Version) -> tuple[object, ...]:
        return version.sha256, version.name, version.language, version.metadata

    return facts(was) == facts(is_now)
