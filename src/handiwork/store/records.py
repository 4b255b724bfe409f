"""The seam for records: artifacts, versions and executions by scope. Content is not kept here, only its key.

A foreign artifact answers exactly like a missing one, because the scope is part of every query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from handiwork.ids import ExecutionId
from handiwork.model import Artifact, Execution, Scope
from handiwork.store.keys import BlobKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """An artifact at one version, with the key of that version's bytes."""

    artifact: Artifact
    blob_key: BlobKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some artifacts of a session; `next_cursor` is None on the last page."""

    items: tuple[Artifact, ...]
    next_cursor: str | None


class Records(Protocol):
    """What is known of every artifact. When a method that writes returns, its change survives a crash.

    A `reference` is an id or a handle. Each method may raise `StorageFailed`, and those that write `StorageFull`.
    """

    async def add(self, entries: Sequence[Filed], *, execution: Execution | None = None) -> None:
        """Add new artifacts with their first versions, whose bytes are stored already; all of them or none.

        The `execution` that made them is recorded with them, or brought up to date if it is known.

        Raises:
            HandleTaken: another artifact of the session has this handle; nothing was added.
        """
        ...

    async def get(self, scope: Scope, reference: str, *, version: int | None = None) -> Filed:
        """Return an artifact at its head, or at the version that was asked for.

        Raises:
            ArtifactNotFound: there is none in this scope.
            VersionNotFound: it has no such version.
            ArtifactExpired: its retention has ended, whether or not anything was purged.
        """
        ...

    async def page(
        self, scope: Scope, *, type: str | None = None, state: str | None = None, limit: int, cursor: str | None = None
    ) -> Page:
        """Return artifacts that have not expired, at their heads, newest first.

        Going on from `next_cursor` repeats nothing and skips nothing, whatever is added meanwhile. A cursor holds no
        right: it only says where to go on.

        Raises:
            InvalidName: the cursor is none that a page has given.
        """
        ...

    async def remove(self, scope: Scope, reference: str) -> tuple[BlobKey, ...]:
        """Let an artifact expire now, and return the keys of its versions, whose bytes the caller then deletes.

        Raises:
            ArtifactNotFound: there is none in this scope.
            ArtifactExpired: it has expired before.
        """
        ...

    async def add_execution(self, execution: Execution) -> None:
        """Record a run as it stands; one that is known is brought up to date. Its artifacts are not added."""
        ...

    async def get_execution(self, scope: Scope, execution_id: ExecutionId) -> Execution:
        """Return a run with the artifacts that it made and that have not expired, in the order they were added.

        Raises:
            ExecutionNotFound: there is none in this scope.
        """
        ...

    async def sessions(self, tenant: str, user: str, *, limit: int = 1000) -> tuple[str, ...]:
        """Return the sessions of a user, the one that was active last first."""
        ...
