"""Bytes on their way into the store, and what becomes of them when their record comes to nothing: `Arriving`.

What the record is does not matter here: of bytes without one nothing stays, and a record counts only with its bytes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from handiwork.errors import (
    AlreadyPromoted,
    ArtifactExpired,
    ArtifactNotFound,
    HandleTaken,
    HeadMoved,
    QuotaExceeded,
    ScopeErased,
    StorageFailed,
    StorageFull,
    TookTooLong,
)
from handiwork.store.blobs import Blobs, Stored
from handiwork.store.keys import BlobKey

# Of bytes at hand; a disk that takes longer to sync is broken, and the database must not wait for it.
LONGEST_PUT_SECONDS = 30.0

Result = TypeVar("Result")

# With these it is certain that there is no record.
_REFUSALS = (
    AlreadyPromoted,
    ArtifactExpired,
    ArtifactNotFound,
    HandleTaken,
    HeadMoved,
    QuotaExceeded,
    ScopeErased,
    StorageFull,
    TookTooLong,
)


class Arrival:
    """The bytes of some versions, put before their record is made or while it is."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._stored: list[BlobKey] = []
        self._at_hand: dict[BlobKey, bytes] = {}
        self._begun: dict[BlobKey, Future[None]] = {}

    async def put(self, key: BlobKey, chunks: AsyncIterator[bytes]) -> Stored:
        stored = await self._blobs.put(key, chunks)
        self._stored.append(key)
        return stored

    def bring(self, key: BlobKey, data: bytes) -> None:
        """Put bytes that are at hand while their record is written."""
        self._at_hand[key] = data

    def begin(self) -> None:
        # Whoever writes the record may have to try again.
        at_hand, self._at_hand = self._at_hand, {}
        for key, data in at_hand.items():
            try:
                self._begun[key] = self._blobs.put_bytes(key, data)
            except Exception as failure:  # noqa: BLE001  # whoever waits is told
                self._begun[key] = Future()
                self._begun[key].set_exception(failure)

    async def kept_if(self, recorded: Coroutine[Any, Any, Result]) -> Result:
        """Make the record, and remove the bytes when there is none. See it to its end: `to_the_end`."""
        try:
            return await recorded
        except _REFUSALS:
            await self.forget()
            raise
        except BaseException:
            # A record that could not be synced may come back, and needs its bytes then. Without them there is none.
            if await self.have_failed():
                await self.forget()
            raise

    async def have_failed(self) -> bool:
        return any(putting.exception() is not None for putting in (await self._ended()).values())

    async def forget(self) -> None:
        """Remove what has arrived. What arrives later yet is an orphan like any other."""
        arrived = [key for key, putting in (await self._ended()).items() if putting.exception() is None]
        for key in (*self._stored, *arrived):
            await self._blobs.delete(key)

    def wait(self) -> None:
        self.begin()
        by = time.monotonic() + LONGEST_PUT_SECONDS
        for putting in self._begun.values():
            try:
                putting.result(max(0.0, by - time.monotonic()))
            except TimeoutError as late:
                raise StorageFailed("the blobs", f"they took longer than {LONGEST_PUT_SECONDS:g} s") from late

    async def _ended(self) -> "dict[BlobKey, Future[None]]":
        if self._begun:
            waited = [asyncio.wrap_future(putting) for putting in self._begun.values()]
            ended, _late = await asyncio.wait(waited, timeout=LONGEST_PUT_SECONDS)
            for each in ended:
                each.exception()  # Looked at, so that asyncio does not report it as forgotten.
        return {key: putting for key, putting in self._begun.items() if putting.done()}
