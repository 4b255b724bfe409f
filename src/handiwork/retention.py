"""What ends: the purge of what has expired, orphans, traces of processes that are no more, and erasure.

Whether an artifact has expired is the records' to say, and nothing that has is served, purged or not. Here its bytes
go. They go first and the record after them, because that frees space even where the database has none left to write.

An orphan is bytes without a record: a process died between the two, or an erasure met an upload. Bytes are taken for
one when they are older than `GRACE` and no record names them. No record can name them later: an addition is refused
whose first byte was written more than half that time ago (`store.sql_terms`), and so is one into a place that was
erased meanwhile. So the decision needs no lock that is held while files are deleted.
"""

import asyncio
import functools
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from handiwork.clock import Clock
from handiwork.errors import HandiworkError, InvalidName
from handiwork.ids import ArtifactId
from handiwork.model import Reach, Scope
from handiwork.store.blobs import Blobs
from handiwork.store.database import Database
from handiwork.store.event_log import EventLog
from handiwork.store.execution_records import ExecutionRecords
from handiwork.store.expiry import Due, Erased, Expiry
from handiwork.store.keys import (
    BlobKey,
    BlobPrefix,
    artifact_prefix,
    is_preview,
    session_prefix,
    tenant_prefix,
    user_prefix,
    version_of,
)
from handiwork.store.owners import Owners
from handiwork.store.space import Space
from handiwork.store.sql_terms import LONGEST
from handiwork.tasks import in_thread, to_the_end, trace_of

PURGED_TOGETHER = 100
# Longer than an erasure should take. One that was killed cannot reopen its place, which is open again after this time.
LONGEST_ERASURE = timedelta(minutes=10)
LOOKED_UP_TOGETHER = 200
GRACE = 2 * LONGEST
REMEMBERED = timedelta(days=30)
# A clock that was set by more than this is not believed at once.
BELIEVED = timedelta(hours=1)
FIRST_SECONDS = 60.0
RECOVERY_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What a clean-up took, or would take; sizes are in bytes."""

    expired: int = 0
    expired_size: int = 0
    orphans: int = 0
    events: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Ends what is over in one store; `events_kept` is how long a follower can stay away and miss nothing."""

    expiry: Expiry
    executions: ExecutionRecords
    blobs: Blobs
    log: EventLog
    database: Database
    owners: Owners
    space: Space
    clock: Clock
    events_kept: timedelta
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    erasing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def clean(self) -> Cleaned:
        """Do all of it. What is cut short goes on with the next clean-up.

        Raises:
            StorageFull, StorageFailed: the store does not allow it.
        """
        lost = await self.recover()
        expired, size = await self.space.free(self.purge)
        now = self.clock()
        await self.space.free(lambda: self.expiry.forget(before=now - REMEMBERED))
        events = await self.space.free(lambda: self.log.trim(before=now - self.events_kept))
        orphans = 0
        async for some in self._orphans():
            for key in some:
                await self.blobs.delete(key)
            orphans += len(some)
        await self._tidy()
        await self.space.restore()
        return Cleaned(expired=expired, expired_size=size, orphans=orphans, events=events, lost=lost)

    async def look(self) -> Cleaned:
        """Return what `clean` would take now, and change nothing. Events are not counted."""
        owed = await self.expiry.owed()
        orphans = 0
        async for some in self._orphans():
            orphans += len(some)
        return Cleaned(expired=owed.artifacts, expired_size=owed.size, orphans=orphans)

    async def purge(self) -> tuple[int, int]:
        """Delete what has expired; return how many artifacts and how many bytes."""
        count = size = 0
        while due := await self.expiry.due(limit=PURGED_TOGETHER):
            await self.bury(due)
            count, size = count + len(due), size + sum(each.size for each in due)
        return count, size

    async def bury(self, due: Sequence[Due]) -> None:
        """Delete the bytes of artifacts that have expired, then what is known of them."""
        for each in due:
            await self.blobs.delete_prefix(artifact_prefix(each.scope, each.id))
        await self.expiry.bury(due)

    async def recover(self) -> int:
        """Declare the runs of processes that are no more lost, and remove their drafts; return how many runs."""
        async with self.one_at_a_time:
            traced = await in_thread(self.owners.abandoned)
            # One whose folder somebody removed by hand has left nothing but its runs.
            named = await self.executions.owners()
            untraced = named - await in_thread(self.owners.living) if named else frozenset[str]()
            lost = 0
            for owner in {*traced, *untraced}:
                # The trace of the process goes last: a crash in between repeats this.
                lost += await self.space.free(functools.partial(self.executions.lose, owner))
                await in_thread(self.owners.sweep, owner)
            return lost

    async def erase(self, reach: Reach) -> Erased:
        """Take everything of a session, a user or a tenant out of the store, held or not.

        Raises:
            InvalidName: a session without its user.
            StorageFull, StorageFailed: what is left goes when it is called again.
        """
        if reach.session is not None and reach.user is None:
            raise InvalidName("user", "", expected="the user whose session it is")
        return await to_the_end(self._erased(reach))

    async def _erased(self, reach: Reach) -> Erased:
        # One after the other: the end of one would open what the next one has closed.
        async with self.erasing:
            begun = self.clock()
            until = begun + LONGEST_ERASURE
            erased = await self.space.free(lambda: self.expiry.erase(reach, closed_until=until))
            try:
                # What came to lie there now would go, too, though it is new.
                await self.blobs.delete_prefix(_prefix(reach))
            finally:
                end = max(begun, self.clock())
                await self.space.free(lambda: self.expiry.reopen(reach, closed_until=until, at=end))
            await self._tidy()
            return erased

    async def _tidy(self) -> None:
        if not await self.database.tidy():
            _log.warning("Somebody reads the database; what was deleted leaves its log with the next clean-up.")

    async def keep_clean(self, every: timedelta, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Clean up at once when something died, and all of it `every` so often, until cancelled."""
        pause = every.total_seconds()
        believed, next_clean = (self.clock(), monotonic()), monotonic() + min(pause, FIRST_SECONDS)
        while True:
            await asyncio.sleep(min(RECOVERY_SECONDS, max(0.0, next_clean - monotonic())))
            try:
                if monotonic() < next_clean:
                    await self.recover()
                    continue
                passed = self.clock() - believed[0] - timedelta(seconds=monotonic() - believed[1])
                believed, next_clean = (self.clock(), monotonic()), monotonic() + pause
                if abs(passed) > BELIEVED:
                    _log.warning("The clock was set by %s; nothing is purged before the next clean-up.", passed)
                    continue
                _report(await self.clean())
            except HandiworkError as failure:
                _log.warning("The clean-up failed and is tried again: %s", failure)
            except Exception as failure:  # noqa: BLE001  # the edge of this task: else nothing is cleaned any more
                _log.error("The clean-up broke off and is tried again: %s", trace_of(failure))
                await asyncio.sleep(RECOVERY_SECONDS)

    async def _orphans(self) -> AsyncGenerator[list[BlobKey]]:
        """Yield bytes that no record names and that are too old to get one, some at a time."""
        waiting: dict[tuple[ArtifactId, int], list[BlobKey]] = {}
        async for key in self.blobs.listing(before=self.clock() - GRACE):
            version = version_of(key)
            if version is not None:
                waiting.setdefault(version, []).append(key)
            if len(waiting) >= LOOKED_UP_TOGETHER:
                yield await self._nameless(waiting)
                waiting = {}
        if waiting:
            yield await self._nameless(waiting)

    async def _nameless(self, keys: dict[tuple[ArtifactId, int], list[BlobKey]]) -> list[BlobKey]:
        known = await self.expiry.keys_of(list(keys))
        # Of a version that is on record, whoever lost the race for its number may have left bytes beside its own.
        return [
            key
            for version, of_it in keys.items()
            for key in of_it
            if version not in known or not (key == known[version] or is_preview(key))
        ]


def _prefix(reach: Reach) -> BlobPrefix:
    if reach.user is None:
        return tenant_prefix(reach.tenant)
    if reach.session is None:
        return user_prefix(reach.tenant, reach.user)
    return session_prefix(Scope(tenant=reach.tenant, user=reach.user, session=reach.session))


def _report(cleaned: Cleaned) -> None:
    if cleaned != Cleaned():
        _log.info(
            "Clean-up: %d expired (%d bytes), %d orphans, %d old events, %d lost runs.",
            cleaned.expired, cleaned.expired_size, cleaned.orphans, cleaned.events, cleaned.lost,
        )  # fmt: skip
