"""Room on a disk that is full: a reserve that deletion may use, and nobody else.

How the reserve lies on the disk is known to `reserve`.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from handiwork.errors import StorageFull
from handiwork.store.reserve import Reserve
from handiwork.tasks import in_thread

Result = TypeVar("Result")


class Space:
    """Lets work that frees space go on when there is none left, and no other work until the reserve stands again."""

    def __init__(self, reserve: Reserve) -> None:
        self._reserve = reserve

    async def demand(self) -> None:
        """Raise `StorageFull` when the reserve was used up and cannot be had back yet.

        It is looked at each time: another process may have given it up, and what that frees is not for new things. The
        look is one call that waits for no disk, and takes less time than asking a thread for it.
        """
        if not (self._reserve.stands() or await self.restore()):
            raise StorageFull("the data folder")

    async def free(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do work that frees space; on a full disk the reserve is given up for it, and the work begins again."""
        try:
            return await work()
        except StorageFull:
            await in_thread(self._reserve.release)
            return await work()

    async def restore(self) -> bool:
        """Take the reserve back, or what was halved of it, as far as there is room; return whether it stands."""
        return bool(await in_thread(self._reserve.establish))
