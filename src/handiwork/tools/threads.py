"""Threads for blocking work of others that may never end, such as a summarizer of somebody's own.

Nobody can end a thread, so work that nobody waits for any more goes on. There are only so many of them for work of one
name, and in all. What the work is does not matter here.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

MOST_THREADS = 32
MOST_OF_ONE_NAME = 4

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class AllHang(Exception):
    """Each thread that there may be is at work which nobody waits for any more, or the system gives none."""


@dataclass(slots=True, eq=False)
class _Job:
    name: str
    run: Callable[[], object]
    is_left: bool = False


class Threads:
    """Does work in at most `most` threads, and work of one name in at most `most_of_one`; the rest of it waits."""

    def __init__(self, *, most: int = MOST_THREADS, most_of_one: int = MOST_OF_ONE_NAME) -> None:
        self._most, self._most_of_one = most, most_of_one
        # Sessions live in several event loops.
        self._lock = threading.Lock()
        self._running: list[_Job] = []
        self._waiting: list[_Job] = []
        self._told: set[str] = set()

    async def do(self, work: Callable[[], Result], *, name: str, seconds: float) -> Result:
        """Do work that raises nothing; what takes longer than `seconds` is left to itself, or not begun.

        Raises:
            TimeoutError: it was not done within `seconds`.
            AllHang: there is no thread to do it in, and none is expected; the log has said so once.
        """
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        results: list[Result] = []

        def run() -> None:
            results.append(work())
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody asks any more
                loop.call_soon_threadsafe(done.set)

        job = _Job(name, partial(copy_context().run, run))
        self._take(job)
        try:
            async with asyncio.timeout(seconds):
                await done.wait()
        finally:
            self._leave(job)
        return results[0]

    def _take(self, job: _Job) -> None:
        with self._lock:
            self._demand_hope(job.name)
            if not self._has_room(job.name):
                self._waiting.append(job)
                return
            self._running.append(job)
        try:
            threading.Thread(target=self._work, args=(job,), name="handiwork-apart", daemon=True).start()
        except RuntimeError as none_to_be_had:
            with self._lock:
                self._running.remove(job)
            raise AllHang from none_to_be_had

    def _leave(self, job: _Job) -> None:
        with self._lock:
            job.is_left = True
            if job in self._waiting:
                self._waiting.remove(job)

    def _work(self, job: _Job) -> None:
        following: _Job | None = job
        while following is not None:
            following.run()
            following = self._after(following)

    def _after(self, job: _Job) -> _Job | None:
        with self._lock:
            self._running.remove(job)
            self._told.discard(job.name)
            following = next((each for each in self._waiting if self._has_room(each.name)), None)
            if following is not None:
                self._waiting.remove(following)
                self._running.append(following)
            return following

    def _has_room(self, name: str) -> bool:
        of_one = sum(each.name == name for each in self._running)
        return len(self._running) < self._most and of_one < self._most_of_one

    def _demand_hope(self, name: str) -> None:
        left = [each.name for each in self._running if each.is_left]
        hanging = left.count(name)
        if hanging < self._most_of_one and len(left) < self._most:
            return
        if name not in self._told:
            self._told.add(name)
            _log.warning("`%s` is done without: %d threads hang, %d of them in it", name, len(left), hanging)
        raise AllHang
