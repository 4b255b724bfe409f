"""The seam for what changes about an artifact: further versions, its state, its facts, its labels.

What a new version should hold, and which states may follow, is decided by the callers; a change that was decided on
something that has meanwhile changed itself is refused here, so that nothing is overwritten unseen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from handiwork.events import Happening
from handiwork.ids import ActionId
from handiwork.model import Artifact, PrincipalKind, Reach, Scope, Version
from handiwork.store.records import Arriving, Filed, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPage:
    """Some versions of an artifact, the newest first; `next_before` is None on the last page."""

    items: tuple[Version, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What is noted about an artifact beside its versions; None leaves it as it is."""

    state: str | None = None
    facts: Mapping[str, object] | None = None
    labels: Sequence[str] | None = None
    by: PrincipalKind | None = None
    """Who noted it, for the event alone."""
    version: int | None = None
    """The number of the head that it is for; None is whichever it is."""
    action_id: ActionId | None = None
    """By which action it came, for the event alone."""


class Revisions(Protocol):
    """Changes of artifacts that are there. Each writes its event in its own transaction, as `Records` does."""

    async def add(
        self,
        revised: Filed,
        *,
        expected: int,
        terms: Terms | None = None,
        until: Arriving | None = None,
        restores: int | None = None,
    ) -> Artifact:
        """Make a version the head of its artifact, and return the artifact. `until` is as in `Records.add`.

        The event says who made it and, when it is an earlier version once more, which one it `restores`.

        Raises:
            HeadMoved: the head is not version `expected` any more.
            ArtifactNotFound, ArtifactExpired: there is none to be had.
            QuotaExceeded, ScopeErased, TookTooLong: nothing was added.
        """
        ...

    async def listing(
        self, reach: Scope | Reach, reference: str, *, limit: int, before: int | None = None
    ) -> VersionPage:
        """Return versions with numbers below `before`, the newest first.

        Raises:
            ArtifactNotFound, ArtifactExpired: there is none to be had.
        """
        ...

    async def tell(self, scope: Scope, happening: Happening, *, since: datetime) -> None:
        """Record something that has begun at `since`, has happened now and changes nothing else.

        Raises:
            ScopeErased: session, user or tenant was erased meanwhile; nothing was recorded.
        """
        ...

    async def mark(self, artifact: Artifact, marks: Marks) -> Artifact:
        """Note state, facts or labels of an artifact that was found just now, and return it at its head.

        Raises:
            MarksMoved: its state or facts are not what they were when it was found.
            ArtifactNotFound, ArtifactExpired: there is none to be had any more.
        """
        ...
