"""The seam for what ends: artifacts that have expired, and everything of a session, user or tenant.

When that is done, and in which order bytes and records go, is decided in `retention`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from handiwork.ids import ArtifactId
from handiwork.model import Reach, Scope
from handiwork.store.keys import BlobKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An artifact that has expired and whose bytes are there yet; `size` is that of all its versions."""

    id: ArtifactId
    scope: Scope
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What has expired and takes space yet, in artifacts and bytes."""

    artifacts: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure took from the records."""

    artifacts: int
    executions: int
    size: int


class Expiry(Protocol):
    """Ends by scope and time. Each method may raise `StorageFailed`, and those that write `StorageFull`."""

    async def due(self, *, limit: int) -> Sequence[Due]:
        """Return artifacts that have expired, are not held and were not buried, the first expired first."""
        ...

    async def bury(self, artifacts: Sequence[Due]) -> None:
        """Note that their bytes are gone. What was known of them goes, but for what tells their owner of the expiry.

        One whose expiry nobody was told of yet gets its event.
        """
        ...

    async def forget(self, *, before: datetime) -> int:
        """Forget those that were buried, and the runs that ended, before that moment; return how many of both."""
        ...

    async def erase(self, reach: Reach, *, closed_until: datetime | None = None) -> Erased:
        """Take everything of a session, a user or a tenant out of the records, held or not, events and keys too.

        Whoever is storing something there at this moment will find that it was erased, and so will whoever begins to
        before `closed_until`, unless `reopen` ends that earlier.
        """
        ...

    async def reopen(self, reach: Reach, *, closed_until: datetime, at: datetime) -> None:
        """Let what begins after `at` stay where an erasure has closed its place; what others have closed stays so."""
        ...

    async def owed(self) -> Owed:
        """Return how much `due` would return without a limit."""
        ...

    async def keys_of(self, asked: Sequence[tuple[ArtifactId, int]]) -> Mapping[tuple[ArtifactId, int], BlobKey]:
        """Return under which keys those of the versions that are on record, by id of the artifact and number, lie."""
        ...
