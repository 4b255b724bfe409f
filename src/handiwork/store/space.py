"""Room on a disk that is full: a reserve that deletion may use, and nobody else.

How the reserve lies on the disk is known to `reserve`.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from handiwork.errors import StorageFull
from handiwork.store.reserve import Reserve
from handiwork.store.threads import in_thread

Result = TypeVar("Result")

BELIEVED_SECONDS = 1.0


class Space:
    """Lets work that frees space go on when there is none left, and no other work until the reserve stands again."""

    def __init__(self, reserve: Reserve, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._reserve, self._monotonic = reserve, monotonic
        self._believed_until = 0.0

    async def demand(self) -> None:
        """Raise `StorageFull` when the reserve was used up and cannot be had back yet.

        What was seen to stand is believed for a second: it is gone soon only where another process gives it up.
        """
        if self._monotonic() < self._believed_until:
            return
        if not await self.restore():
            raise StorageFull("the data folder")
        self._believed_until = self._monotonic() + BELIEVED_SECONDS

    async def free(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do work that frees space; on a full disk the reserve is given up for it, and the work begins again."""
        try:
            return await work()
        except StorageFull:
            self._believed_until = 0.0
            await in_thread(self._reserve.release)
            return await work()

    async def restore(self) -> bool:
        """Take the reserve back if there is room for it; return whether it stands."""
        return await in_thread(self._reserve.stands) or bool(await in_thread(self._reserve.establish))
