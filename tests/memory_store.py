"""Records, runs and blobs in memory, as far as making and running needs them, with a switch for each failure.

What is promised of them is proved of the real ones in `tests/contract`.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime

from handiwork.errors import ArtifactNotFound, BlobNotFound, ExecutionNotFound, HandleTaken
from handiwork.ids import ArtifactId, ExecutionId, Handle
from handiwork.model import UNFINISHED, Artifact, Execution, Outcome, PrincipalKind, Reach, Scope, Status
from handiwork.store.blobs import Stored
from handiwork.store.keys import BlobKey, BlobPrefix
from handiwork.store.outlines import Outline
from handiwork.store.pieces import OUTLINED_BYTES, PIECE_BYTES
from handiwork.store.records import Arriving, Filed, Page, Preview, Search, SessionPage, Terms

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class MemoryRecords:
    """`taken` counts how many attempts find their handle taken; `failure` is raised by `add`."""

    def __init__(self) -> None:
        self.filed: list[Filed] = []
        self.executions: dict[ExecutionId, Execution] = {}
        self.taken = 0
        self.failure: Exception | None = None
        self.tried: list[str] = []
        self.terms: Terms | None = None
        self.previews: dict[tuple[ArtifactId, int], Preview | None] = {}

    async def add(
        self,
        entries: Sequence[Filed],
        *,
        execution: Execution | None = None,
        terms: Terms | None = None,
        until: Arriving | None = None,
    ) -> None:
        self.tried += [entry.artifact.handle for entry in entries]
        self.terms = terms
        if until is not None:
            await asyncio.to_thread(until.begin)
            await asyncio.to_thread(until.wait)
        if self.failure is not None:
            raise self.failure
        if self.taken:
            self.taken -= 1
            raise HandleTaken(entries[0].artifact.handle)
        self.filed += entries
        if execution is not None:
            self.note(execution)

    async def get(self, reach: Scope | Reach, reference: str, *, version: int | None = None) -> Filed:
        for each in self.filed:
            if _sees(reach, each.artifact.scope) and reference in (each.artifact.id, each.artifact.handle):
                return each
        raise ArtifactNotFound(reference)

    async def outline(self, filed: Filed) -> Outline | None:
        return next((each.outline for each in self.filed if each.blob_key == filed.blob_key), None)

    async def page(self, scope: Scope, *, search: Search | None = None, limit: int, cursor: str | None = None) -> Page:
        left_out = search.without if search is not None else None
        found = [each.artifact for each in self.filed if each.artifact.scope == scope]
        found = [each for each in found if each.type != left_out]
        return Page(items=tuple(reversed(found))[:limit], next_cursor=None)

    async def handles(self, scope: Scope, ids: Sequence[ArtifactId]) -> Mapping[ArtifactId, Handle]:
        here = {each.artifact.id: each.artifact.handle for each in self.filed if each.artifact.scope == scope}
        return {id: here[id] for id in ids if id in here}

    async def reasons(
        self, scope: Scope, numbered: Sequence[tuple[ArtifactId, int]]
    ) -> Mapping[tuple[ArtifactId, int], str]:
        here = [each.artifact.version for each in self.filed if each.artifact.scope == scope]
        reasons = {(each.artifact_id, each.number): each.provenance.reason for each in here}
        return {each: reason for each in numbered if (reason := reasons.get(each))}

    async def remove(self, reach: Scope | Reach, reference: str, *, by: PrincipalKind | None = None) -> Artifact:
        found = await self.get(reach, reference)
        self.filed.remove(found)
        return found.artifact

    async def hold(self, reach: Scope | Reach, reference: str, *, held: bool) -> Artifact:
        found = await self.get(reach, reference)
        changed = replace(found, artifact=replace(found.artifact, held=held))
        self.filed[self.filed.index(found)] = changed
        return changed.artifact

    async def sessions(
        self, tenant: str, user: str, *, session: str | None = None, limit: int = 1000, cursor: str | None = None
    ) -> SessionPage:
        return SessionPage(items=(), next_cursor=None)

    async def preview(self, artifact_id: ArtifactId, number: int) -> Preview | bool | None:
        place = (artifact_id, number)
        return (self.previews[place] or False) if place in self.previews else None

    async def note_preview(self, artifact_id: ArtifactId, number: int, preview: Preview | None) -> None:
        self.previews[artifact_id, number] = preview

    def note(self, execution: Execution) -> None:
        """One that has ended stays as it ended."""
        known = self.executions.get(execution.id)
        if known is None or not known.is_finished:
            self.executions[execution.id] = execution


class MemoryExecutions:
    """The runs kept in `records`; `said` has every status that was recorded.

    `failure` is raised by `begin`, `cannot_ask` by `request_cancel`, and `unforeseen` by `cancel_requests`.
    """

    def __init__(self, records: MemoryRecords) -> None:
        self.records = records
        self.failure: Exception | None = None
        self.cannot_ask: Exception | None = None
        self.unforeseen: Exception | None = None
        self.said: list[Status] = []
        self.wanted: set[ExecutionId] = set()
        self.owner_of: dict[ExecutionId, str] = {}

    async def begin(self, execution: Execution, *, owner: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.said.append(execution.status)
        self.records.note(execution)
        self.owner_of[execution.id] = owner

    async def get(self, reach: Scope | Reach, execution_id: ExecutionId) -> Execution:
        found = self.records.executions.get(execution_id)
        if found is None or not _sees(reach, found.scope):
            raise ExecutionNotFound(execution_id)
        return found

    async def request_cancel(self, reach: Scope | Reach, execution_id: ExecutionId) -> Execution:
        found = await self.get(reach, execution_id)
        if self.cannot_ask is not None:
            raise self.cannot_ask
        if not found.is_finished:
            self.wanted.add(execution_id)
        return found

    async def cancel_requests(self, owner: str) -> Sequence[ExecutionId]:
        if self.unforeseen is not None:
            raise self.unforeseen
        return tuple(each.id for each in self._unfinished(owner) if each.id in self.wanted)

    async def owners(self) -> frozenset[str]:
        return frozenset(owner for owner in self.owner_of.values() if self._unfinished(owner))

    async def lose(self, owner: str) -> int:
        left = self._unfinished(owner)
        for each in left:
            self.records.note(replace(each, outcome=Outcome(status="lost")))
        return len(left)

    def _unfinished(self, owner: str) -> list[Execution]:
        found = [each for each in self.records.executions.values() if self.owner_of.get(each.id) == owner]
        return [each for each in found if each.status in UNFINISHED]


class MemoryBlobs:
    """`failure` is raised by the `put` after `good` others."""

    def __init__(self) -> None:
        self.stored: dict[BlobKey, bytes] = {}
        self.failure: Exception | None = None
        self.good = 0

    async def put(self, key: BlobKey, chunks: AsyncIterable[bytes]) -> Stored:
        data = b"".join([chunk async for chunk in chunks])
        if self.failure is not None and len(self.stored) >= self.good:
            raise self.failure
        self.stored[key] = data
        return measured(data)

    def put_bytes(self, key: BlobKey, data: bytes) -> "Future[None]":
        putting: Future[None] = Future()
        if self.failure is not None and len(self.stored) >= self.good:
            putting.set_exception(self.failure)
        else:
            self.stored[key] = data
            putting.set_result(None)
        return putting

    async def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        if key not in self.stored:
            raise BlobNotFound(key)
        yield self.stored[key][offset:]

    async def delete(self, key: BlobKey) -> None:
        self.stored.pop(key, None)

    async def delete_prefix(self, prefix: BlobPrefix) -> None:
        for key in [key for key in self.stored if key.startswith(prefix)]:
            del self.stored[key]

    async def listing(self, *, before: datetime) -> AsyncGenerator[BlobKey, None]:
        for key in list(self.stored):
            yield key


def measured(data: bytes) -> Stored:
    """What a store has to tell of these bytes, measured at once."""
    parts = [data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES)]
    pieces = b"".join(hashlib.sha256(part).digest() for part in parts)
    sha256 = hashlib.sha256(data).hexdigest()
    return Stored(size=len(data), sha256=sha256, pieces=pieces if len(data) > OUTLINED_BYTES else b"")


def _sees(reach: Scope | Reach, scope: Scope) -> bool:
    asked = ((reach.user, scope.user), (reach.session, scope.session))
    return reach.tenant == scope.tenant and all(wanted in (None, own) for wanted, own in asked)
