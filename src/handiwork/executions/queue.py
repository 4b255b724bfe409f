"""Who runs next: a fixed number of turns, bounded waiting, and no tenant in the way of another.

What is done in a turn, and what becomes of a caller who is turned away, is not decided here.
"""

import asyncio
import contextlib
import itertools
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from handiwork.errors import EngineClosed, QueueFull, ShuttingDown

SHORTEST_RETRY_SECONDS = 1
LONGEST_RETRY_SECONDS = 60
# How much the latest turn counts for in the moving average of how long turns last.
_WEIGHT = 0.2

_Answer = Literal["begin", "closed"]


@dataclass(slots=True, kw_only=True)
class _Lane:
    """Those of one tenant who wait, in the order they came; `since` is when the tenant came or a turn of it ended."""

    since: int
    # Each with its user, and when each user was called last.
    waiting: dict[asyncio.Future[_Answer], str] = field(default_factory=dict[asyncio.Future[_Answer], str])
    called: dict[str, int] = field(default_factory=dict[str, int])

    def next(self, running: Mapping[tuple[str, str], int], tenant: str) -> "tuple[asyncio.Future[_Answer], str]":
        """Return who is next: of the user with the fewest turns running, then of the one who was not called longest."""

        def standing(entry: "tuple[asyncio.Future[_Answer], str]") -> tuple[int, int]:
            user = entry[1]
            return running[tenant, user], self.called.get(user, -1)

        return min(self.waiting.items(), key=standing)


class Turns:
    """Gives out `slots` turns at a time; more than `depth` may not wait in all, nor `per_tenant` of one tenant.

    A free slot goes to the tenant that has the fewest turns running, among equals to the one that has waited
    longest since it came or a turn of it ended. So a tenant's first in line waits for no more than one turn of each
    other tenant, however many of them wait, and nobody waits for ever. Within a
    tenant it goes to the user with the fewest turns running, among equals to the one who was called longest ago.
    """

    def __init__(
        self, *, slots: int, depth: int, per_tenant: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots, self._depth, self._per_tenant = slots, depth, per_tenant
        self._monotonic = monotonic
        self._running = Counter[str]()
        self._running_of_users = Counter[tuple[str, str]]()
        self._lanes: dict[str, _Lane] = {}
        self._ticks = itertools.count()
        self._average_seconds: float | None = None
        self._is_closed = self._is_ended = False

    @property
    def running(self) -> int:
        return self._running.total()

    @property
    def waiting(self) -> int:
        return sum(len(lane.waiting) for lane in self._lanes.values())

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def demand_room(self, tenant: str) -> None:
        """Say what `turn` would say at this moment to one who comes now; it holds no place.

        Raises:
            QueueFull, ShuttingDown: as `turn`.
        """
        if self._is_closed:
            raise EngineClosed if self._is_ended else ShuttingDown
        if self._has_free_slot():
            return
        lane = self._lanes.get(tenant)
        own, everyone = len(lane.waiting) if lane is not None else 0, self.waiting
        if everyone >= self._depth:
            raise QueueFull("depth", limit=self._depth, retry_after_seconds=self._retry_after_seconds(everyone))
        if own >= self._per_tenant:
            # In a round of all tenants this one has one turn.
            before = min(everyone, own * len(self._lanes))
            raise QueueFull("per_tenant", limit=self._per_tenant, retry_after_seconds=self._retry_after_seconds(before))

    @contextlib.asynccontextmanager
    async def turn(self, tenant: str, user: str = "") -> AsyncGenerator[None]:
        """Wait for a slot and hold it. A caller that is cancelled, waiting or running, leaves nothing behind.

        The wait has no deadline of its own: it is bounded by `depth` and by how long turns last.

        Raises:
            QueueFull: too many wait already; told at once.
            ShuttingDown: no turn begins any more, for those who wait neither.
        """
        await self._enter(tenant, user)
        began = self._monotonic()
        try:
            yield
        finally:
            self._learn(self._monotonic() - began)
            self._leave(tenant, user)

    def close(self) -> None:
        """Send away all who wait and all who come; the turns that run go on to their end."""
        self._is_closed = True
        lanes, self._lanes = self._lanes, {}
        for waiter in itertools.chain.from_iterable(lane.waiting for lane in lanes.values()):
            if not waiter.done():
                waiter.set_result("closed")

    def end(self) -> None:
        """Say to all who come from now on that nothing runs any more."""
        self.close()
        self._is_ended = True

    async def _enter(self, tenant: str, user: str) -> None:
        self.demand_room(tenant)
        # Nobody waits as long as a slot is free.
        if self._has_free_slot():
            self._begin(tenant, user)
            return
        waiter: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._lanes.setdefault(tenant, _Lane(since=next(self._ticks))).waiting[waiter] = user
        try:
            answer = await waiter
        except asyncio.CancelledError:
            # The slot may have come in the same moment as the cancellation: then it goes on to the next.
            if waiter.cancelled():
                self._forget(tenant, waiter)
            elif waiter.result() == "begin":
                self._leave(tenant, user)
            raise
        if answer == "closed":
            raise ShuttingDown

    def _begin(self, tenant: str, user: str) -> None:
        self._running[tenant] += 1
        self._running_of_users[tenant, user] += 1

    def _leave(self, tenant: str, user: str) -> None:
        self._running -= Counter({tenant: 1})
        self._running_of_users -= Counter({(tenant, user): 1})
        if lane := self._lanes.get(tenant):
            lane.since = next(self._ticks)
        while self._lanes and self._has_free_slot():
            self._call_next()

    def _has_free_slot(self) -> bool:
        return self.running < self._slots

    def _call_next(self) -> None:
        tenant, lane = min(self._lanes.items(), key=lambda entry: (self._running[entry[0]], entry[1].since))
        waiter, user = lane.next(self._running_of_users, tenant)
        lane.called[user] = next(self._ticks)
        self._forget(tenant, waiter)
        # One that is cancelled and has not woken yet has lost its place.
        if not waiter.done():
            self._begin(tenant, user)
            waiter.set_result("begin")

    def _forget(self, tenant: str, waiter: "asyncio.Future[_Answer]") -> None:
        lane = self._lanes.get(tenant)
        if lane is None or waiter not in lane.waiting:
            return
        del lane.waiting[waiter]
        if not lane.waiting:
            del self._lanes[tenant]

    def _retry_after_seconds(self, before: int) -> int:
        """Return when the turn after the `before` first may begin, judged by how long those lasted that have ended."""
        expected = (self._average_seconds or 0.0) * (before + 1) / self._slots
        return min(max(math.ceil(expected), SHORTEST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)

    def _learn(self, seconds: float) -> None:
        known = self._average_seconds
        self._average_seconds = seconds if known is None else known + _WEIGHT * (seconds - known)
