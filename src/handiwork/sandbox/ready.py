"""Children that are made ahead of demand, so that a job finds its walls built and its memory at hand.

How one is made is the caller's; here is known how many wait, which goes next, and that none outlives the pool.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from handiwork.errors import HandiworkError
from handiwork.sandbox.cgroups import Group
from handiwork.sandbox.child import Child
from handiwork.sandbox.workspace import Place
from handiwork.tasks import in_thread, to_the_end

PAUSE_SECONDS = 0.01

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """What one job has of this machine, to be given back whatever happens."""

    place: Place
    child: Child | None = None
    group: Group | None = None

    async def end(self) -> None:
        """End every process of it; what it has left can be looked at no more."""
        if self.child is not None:
            await self.child.discard()

    async def clear(self) -> None:
        """Remove what is left of it when its processes are gone."""
        await in_thread(self._clear)

    def _clear(self) -> None:
        try:
            if self.group is not None:
                self.group.remove()
        finally:
            self.place.remove()

    async def release(self) -> None:
        try:
            await self.end()
        finally:
            await self.clear()


class ReadyChildren:
    """Keeps up to `size` children ready, from `begin` until `close`. The one that waits longest goes first.

    Making one slows down whoever runs meanwhile, so it is done when `begin` is called, best when nobody runs, and
    before that only for the sake of the next who comes and would find none.
    """

    def __init__(self, make: Callable[[], Awaitable[Held]], *, size: int, give_up: Callable[[Held], None]) -> None:
        """`make` makes one; `give_up` ends one that nobody will use."""
        self._make, self._size, self._give_up = make, size, give_up
        self._waiting: deque[Held] = deque()
        self._making: asyncio.Task[None] | None = None
        self._came = asyncio.Event()
        self._is_open = self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many are ready."""
        return len(self._waiting)

    def begin(self) -> None:
        """Make what is missing, one after the other; what was done before this is answered first."""
        self._is_open = not self._is_closed
        if self._is_open and len(self._waiting) < self._size and (self._making is None or self._making.done()):
            pause = PAUSE_SECONDS if self._waiting else 0.0
            self._making = asyncio.create_task(self._fill(self._size, after_seconds=pause))

    async def take(self) -> Held | None:
        """Return one that lives, also one that is nearly there; None where none is to be had."""
        while self._is_open:
            while self._waiting:
                held = self._waiting.popleft()
                if held.child is not None and held.child.is_waiting():
                    if not self._waiting:
                        self.begin()
                    return held
                self._give_up(held)
            if self._making is None or self._making.done():
                return None
            self._came.clear()
            coming = asyncio.ensure_future(self._came.wait())
            try:
                await asyncio.wait({coming, self._making}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                coming.cancel()
        return None

    async def renew(self) -> None:
        """Make new ones, and give up those there were when the new ones are ready: somebody always waits."""
        old = list(self._waiting)
        await self._fill(self._size, beside=old)
        for held in old:
            if held in self._waiting:
                self._waiting.remove(held)
                self._give_up(held)

    async def close(self) -> None:
        self._is_open, self._is_closed = False, True
        if self._making is not None:
            self._making.cancel()
            await to_the_end(asyncio.wait([self._making]))
        while self._waiting:
            await to_the_end(self._waiting.popleft().release())

    async def _fill(self, wanted: int, *, beside: Sequence[Held] = (), after_seconds: float = 0.0) -> None:
        await asyncio.sleep(after_seconds)
        try:
            while self._is_open and sum(held not in beside for held in self._waiting) < wanted:
                self._waiting.append(await self._make())
                self._came.set()
        except HandiworkError as failure:
            # Whoever has a job is told when one is made for it; until then there is nobody to tell.
            _log.warning("No child could be made ahead of demand: %s", failure)
