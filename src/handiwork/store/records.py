"""The seam for records of artifacts: what is known of each, by scope. Content is not kept here, only its key.

A foreign artifact answers exactly like a missing one, because the scope is part of every query.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from handiwork.ids import ArtifactId, Handle
from handiwork.model import Artifact, Execution, PrincipalKind, Reach, Scope, SessionSummary
from handiwork.store.keys import BlobKey
from handiwork.store.outlines import Outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """An artifact at one version, with the key of that version's bytes."""

    artifact: Artifact
    blob_key: BlobKey
    outline: Outline | None = None
    """What is to be kept of long bytes that were stored just now. Who finds an artifact asks `Records` for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some artifacts of a session; `next_cursor` is None on the last page.

    Whoever follows the session's events from `seq` on misses nothing that is not on the page.
    """

    items: tuple[Artifact, ...]
    next_cursor: str | None
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """Some sessions of a user, the one that was active last first."""

    items: tuple[SessionSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which artifacts a page shows: of a type, in a state, with a text in title, name or handle; by default all.

    Those of the type `without` are left out.
    """

    type: str | None = None
    without: str | None = None
    state: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a session or a user may keep at most; None is no bound."""

    artifacts: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """That the result of a tool call becomes an artifact of a type, which it does once in a session."""

    tool_call_id: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What must hold for an addition: the quotas, and that nothing was erased since its bytes were put there.

    Each artifact that is added is what the one of its place in `promotes` comes to, and the only one that it does come
    to. There is one for each artifact, or none at all.
    """

    session: Quota = field(default_factory=Quota)
    user: Quota = field(default_factory=Quota)
    since: datetime | None = None
    promotes: tuple[Promotion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A picture of one version, stored beside its bytes."""

    blob_key: BlobKey
    size: int
    sha256: str


class Arriving(Protocol):
    """Bytes that are on their way while their record is written. Both calls block, and come from threads."""

    def begin(self) -> None:
        """Let them set out, if they have not; it takes a moment, and raises nothing."""
        ...

    def wait(self) -> None:
        """Return when they are stored; raise what storing them has raised."""
        ...


class Records(Protocol):
    """What is known of every artifact. When a method that writes returns, its change survives a crash.

    A `reference` is an id, or within one session a handle. Each change writes its events in its own transaction.
    Each method may raise `StorageFailed`, and those that write `StorageFull`.
    """

    async def add(
        self,
        entries: Sequence[Filed],
        *,
        execution: Execution | None = None,
        terms: Terms | None = None,
        until: Arriving | None = None,
    ) -> None:
        """Add new artifacts with their first versions, whose bytes are stored already; all of them or none.

        The `execution` that made them is recorded with them, or brought up to date if it is known. Bytes that are still
        to come are told by `until`: they set out before anything is written, and are waited for when everything is and
        before it counts; what is raised then takes everything back.

        Raises:
            HandleTaken: another artifact of the session has this handle.
            AlreadyPromoted: one of `terms.promotes` has come to another artifact, which is there yet.
            QuotaExceeded: the session or the user would have too much.
            ScopeErased: session, user or tenant was erased since `terms.since`.
            TookTooLong: `terms.since` is so long ago that the bytes may be taken for orphans.
        """
        ...

    async def get(self, reach: Scope | Reach, reference: str, *, version: int | None = None) -> Filed:
        """Return an artifact at its head, or at the version that was asked for.

        Raises:
            ArtifactNotFound: there is none within reach.
            VersionNotFound: it has no such version.
            ArtifactExpired: its retention has ended, whether or not anything was purged.
        """
        ...

    async def outline(self, filed: Filed) -> Outline | None:
        """Return what was kept of the bytes of a version that was found; None of short ones, old ones, and in doubt."""
        ...

    async def page(self, scope: Scope, *, search: Search | None = None, limit: int, cursor: str | None = None) -> Page:
        """Return artifacts that have not expired, at their heads, newest first.

        Going on from `next_cursor` repeats nothing and skips nothing, whatever is added meanwhile. A cursor holds no
        right: it only says where to go on.

        Raises:
            InvalidName: the cursor is none that a page has given.
        """
        ...

    async def handles(self, scope: Scope, ids: Sequence[ArtifactId]) -> Mapping[ArtifactId, Handle]:
        """Return the handles of artifacts of a session, of expired ones too as long as they are remembered."""
        ...

    async def reasons(
        self, scope: Scope, numbered: Sequence[tuple[ArtifactId, int]]
    ) -> Mapping[tuple[ArtifactId, int], str]:
        """Return why versions of a session were made, of those that have a reason and are to be had yet."""
        ...

    async def remove(self, reach: Scope | Reach, reference: str, *, by: PrincipalKind | None = None) -> Artifact:
        """Let an artifact expire now, and return it. Its bytes are the caller's to delete, or the next purge's.

        Raises:
            ArtifactNotFound: there is none within reach.
            ArtifactExpired: it has expired before.
            ArtifactHeld: it is pinned.
        """
        ...

    async def hold(self, reach: Scope | Reach, reference: str, *, held: bool) -> Artifact:
        """Pin an artifact so that it stays past its expiry, or let it go.

        Raises:
            ArtifactNotFound, ArtifactExpired: there is none to be had.
        """
        ...

    async def sessions(
        self, tenant: str, user: str, *, session: str | None = None, limit: int = 1000, cursor: str | None = None
    ) -> SessionPage:
        """Return the sessions of a user, the one that was active last first; with `session` that one alone."""
        ...

    async def preview(self, artifact_id: ArtifactId, number: int) -> Preview | bool | None:
        """Return where the picture of a version is; False when none can be made, None when nobody has tried."""
        ...

    async def note_preview(self, artifact_id: ArtifactId, number: int, preview: Preview | None) -> None:
        """Note where the picture of a version is, or that none can be made; a version that is gone is no error."""
        ...
