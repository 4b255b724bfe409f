"""The warm interpreter of the day: after many jobs or a long time another takes its place, and nobody waits for that.

All children of one interpreter share the secret of string hashes and the addresses of memory; renewing it renews them.
What the interpreters do is in `interpreter`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from handiwork.errors import HandiworkError
from handiwork.sandbox.interpreter import WarmInterpreter
from handiwork.tasks import to_the_end

log = logging.getLogger(__name__)


class Renewal:
    """Holds the interpreter that is asked now. `taken_over` is called when a new one is, before the old one goes."""

    def __init__(
        self,
        new: Callable[[], WarmInterpreter],
        *,
        after_jobs: int,
        after_seconds: float,
        taken_over: Callable[[], Awaitable[None]],
    ) -> None:
        self._new, self._taken_over = new, taken_over
        self._after_jobs, self._after_seconds = after_jobs, after_seconds
        self._jobs = 0
        self._renewing: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self.current = new()

    def count_job(self) -> None:
        """Note that a job comes, and begin with a new interpreter when it is time."""
        self._jobs += 1
        is_due = self._jobs >= self._after_jobs or self.current.age_seconds >= self._after_seconds
        if is_due and (self._renewing is None or self._renewing.done()):
            self._jobs = 0
            self._renewing = asyncio.create_task(self._renew())

    async def close(self) -> None:
        tasks = [*self._retiring, *([] if self._renewing is None else [self._renewing])]
        for task in tasks:
            task.cancel()
        if tasks:
            await to_the_end(asyncio.wait(tasks))

    async def _renew(self) -> None:
        fresh = self._new()
        try:
            await fresh.start()
        except HandiworkError as failure:
            log.warning("No new interpreter could be started, so the old one stays: %s", failure)
            await to_the_end(fresh.aclose())
            return
        except BaseException:
            await to_the_end(fresh.aclose())
            raise
        old, self.current = self.current, fresh
        try:
            await self._taken_over()
        finally:
            retiring = asyncio.create_task(_retire(old))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)


async def _retire(old: WarmInterpreter) -> None:
    try:
        await old.retire()
    finally:
        await to_the_end(old.aclose())
