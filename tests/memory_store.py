"""Records and blobs in memory, as far as making and running needs them, with a switch for each failure.

What is promised of them is proved of the real ones in `tests/contract`.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from datetime import UTC, datetime

from handiwork.errors import ArtifactNotFound, BlobNotFound, ExecutionNotFound, HandleTaken
from handiwork.ids import ExecutionId
from handiwork.model import Execution, Scope
from handiwork.store.blobs import Stored
from handiwork.store.keys import BlobKey, BlobPrefix
from handiwork.store.records import Filed, Page

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class MemoryRecords:
    """`taken` counts how many attempts find their handle taken; `failure` is raised by `add`."""

    def __init__(self) -> None:
        self.filed: list[Filed] = []
        self.executions: dict[ExecutionId, Execution] = {}
        self.taken = 0
        self.failure: Exception | None = None
        self.tried: list[str] = []

    async def add(self, entries: Sequence[Filed], *, execution: Execution | None = None) -> None:
        self.tried += [entry.artifact.handle for entry in entries]
        if self.failure is not None:
            raise self.failure
        if self.taken:
            self.taken -= 1
            raise HandleTaken(entries[0].artifact.handle)
        self.filed += entries
        if execution is not None:
            await self.add_execution(execution)

    async def get(self, scope: Scope, reference: str, *, version: int | None = None) -> Filed:
        for each in self.filed:
            if each.artifact.scope == scope and reference in (each.artifact.id, each.artifact.handle):
                return each
        raise ArtifactNotFound(reference)

    async def page(
        self, scope: Scope, *, type: str | None = None, state: str | None = None, limit: int, cursor: str | None = None
    ) -> Page:
        found = [each.artifact for each in self.filed if each.artifact.scope == scope]
        return Page(items=tuple(reversed(found))[:limit], next_cursor=None)

    async def remove(self, scope: Scope, reference: str) -> tuple[BlobKey, ...]:
        found = await self.get(scope, reference)
        self.filed.remove(found)
        return (found.blob_key,)

    async def add_execution(self, execution: Execution) -> None:
        self.executions[execution.id] = execution

    async def get_execution(self, scope: Scope, execution_id: ExecutionId) -> Execution:
        if execution_id not in self.executions:
            raise ExecutionNotFound(execution_id)
        return self.executions[execution_id]

    async def sessions(self, tenant: str, user: str, *, limit: int = 1000) -> tuple[str, ...]:
        return tuple({each.artifact.scope.session for each in self.filed})[:limit]


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
        return Stored(size=len(data), sha256=hashlib.sha256(data).hexdigest())

    async def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        if key not in self.stored:
            raise BlobNotFound(key)
        yield self.stored[key][offset:]

    async def delete(self, key: BlobKey) -> None:
        self.stored.pop(key, None)

    async def delete_prefix(self, prefix: BlobPrefix) -> None:
        for key in [key for key in self.stored if key.startswith(prefix)]:
            del self.stored[key]
