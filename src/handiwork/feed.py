"""Following what happens in a session, from a cursor on. Where events are kept is the store's affair.

However many follow one session, it is read once: what is new goes into a short ring that all of them read at their
own pace. Nobody has a queue. Who falls behind the ring reads from the log again, so a slow follower costs no memory
and misses nothing, and who comes back later goes on from the last number that he has seen.

What programs write while they run passes by: the newest pieces are in a short ring of their own, for those who follow
at that moment in this process, and whoever is too slow for it has a gap. Of content that is being written, whoever has
a gap gets the text so far once more.
"""

import asyncio
import io
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from handiwork.errors import HandiworkError, StorageFailed
from handiwork.events import Delta, Event, EventType, Passing
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.event_log import EventLog
from handiwork.tasks import trace_of

RING = 1000
PASSING = 100
READ_TOGETHER = 500
PAUSE_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Channel:
    """What the followers of one session share.

    `last` is the number of the newest event in the ring, or of the one before it; None until the log was read.
    """

    ring: deque[Event]
    last: int | None = None
    followers: int = 0
    must_look: bool = True
    passing: deque[Passing] = field(default_factory=lambda: deque[Passing](maxlen=PASSING))
    passed: int = 0
    failure: HandiworkError | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def newer(self, passed: int) -> tuple[Sequence[Passing], bool]:
        """What came by after the first `passed` pieces, as far as it is still here, and whether that is all of it."""
        missed = self.passed - passed
        count = min(missed, len(self.passing))
        return [self.passing[place] for place in range(-count, 0)], count == missed

    def tell(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()


@dataclass(slots=True, kw_only=True)
class _Written:
    """Content that is being written: its first piece, and all of its text so far."""

    begun: Delta
    text: io.StringIO = field(default_factory=io.StringIO)


class Feed:
    """Tells followers what is new; the newest `ring` events of a session are at hand. Close it when done."""

    def __init__(self, log: EventLog, *, ring: int = RING) -> None:
        self._log, self._ring = log, ring
        self._channels: dict[Scope, _Channel] = {}
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False
        self._written: dict[Scope, dict[ArtifactId, _Written]] = {}

    def tell(self, passing: Passing) -> None:
        """Pass on what was just written to those who follow its session now."""
        if isinstance(passing, Delta):
            written = self._written.setdefault(passing.scope, {})
            if passing.artifact_id not in written:
                written[passing.artifact_id] = _Written(begun=passing)
            written[passing.artifact_id].text.write(passing.text)
        channel = self._channels.get(passing.scope)
        if channel is not None:
            channel.passing.append(passing)
            channel.passed += 1
            channel.tell()

    def forget(self, scope: Scope, artifact_id: ArtifactId) -> None:
        """Let go of the text so far of content that is written no more."""
        written = self._written.get(scope, {})
        written.pop(artifact_id, None)
        if not written:
            self._written.pop(scope, None)

    async def follow(self, scope: Scope, *, after: int) -> AsyncGenerator[Event]:
        """Do as `follow_live`, without what programs write."""
        async with aclosing(self.follow_live(scope, after=after)) as told:
            async for each in told:
                if isinstance(each, Event):
                    yield each

    async def follow_live(self, scope: Scope, *, after: int) -> AsyncGenerator[Event | Passing]:
        """Yield the events of a session with a number over `after`, first those there are and then those to come.

        In between comes what programs write meanwhile, and content that is being written: the text so far first.

        It ends when the feed is closed. Close the generator when you stop before that.

        Raises:
            CursorTooOld: events after `after` are kept no longer, or the session was erased.
            StorageFailed: the log cannot be read.
        """
        channel = self._join(scope)
        try:
            seen, passed = after, channel.passed
            async for event in self._kept(scope, seen, channel):
                yield event
                seen = event.seq
            is_new = True
            while not self._is_closed:
                # In one step, so that nothing comes twice and nothing is left out.
                news, told, last = channel.news, channel.passed, channel.last
                pieces, is_all = channel.newer(passed)
                if is_new or not is_all:
                    pieces = [each for each in pieces if not isinstance(each, Delta)] + self._so_far(scope)
                passed, is_new = told, False
                # First, because the end of a run is an event.
                for piece in pieces:
                    yield piece
                if last is not None and last > seen:
                    for event in await self._missed(scope, channel, seen, channel.last or last):
                        # What is newer comes after what was written before it.
                        if event.seq <= last:
                            yield event
                            seen = event.seq
                elif channel.failure is not None:
                    raise channel.failure
                else:
                    await news.wait()
        finally:
            self._leave(scope, channel)

    async def latest(self, scope: Scope, types: Sequence[EventType], *, limit: int) -> Sequence[Event]:
        """Return what has happened already, the newest first. See `EventLog.latest`."""
        return await self._log.latest(scope, types, limit=limit)

    async def close(self) -> None:
        """Let every follower end."""
        self._is_closed = True
        for channel in self._channels.values():
            channel.tell()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def _so_far(self, scope: Scope) -> list[Passing]:
        """What has been written of each content that is not done, each as one piece."""
        return [replace(each.begun, text=each.text.getvalue()) for each in self._written.get(scope, {}).values()]

    def _join(self, scope: Scope) -> _Channel:
        channel = self._channels.get(scope)
        if channel is None:
            channel = self._channels[scope] = _Channel(ring=deque[Event](maxlen=self._ring))
        channel.followers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return channel

    def _leave(self, scope: Scope, channel: _Channel) -> None:
        channel.followers -= 1
        if not channel.followers and self._channels.get(scope) is channel:
            del self._channels[scope]

    async def _kept(self, scope: Scope, after: int, channel: _Channel) -> AsyncGenerator[Event]:
        """Yield what is in the log by now; from then on the ring has all that is new."""
        seen = after
        while True:
            stretch = await self._log.after(scope, seen, limit=READ_TOGETHER)
            for event in stretch.events:
                yield event
                seen = event.seq
            if seen >= stretch.last:
                # What was written since, the next look finds: it begins where the ring begins.
                if channel.last is None:
                    channel.last = seen
                channel.must_look = True
                return

    async def _missed(self, scope: Scope, channel: _Channel, seen: int, last: int) -> Sequence[Event]:
        """What a follower has not seen yet: from the ring if that goes back far enough, else from the log."""
        if channel.ring and channel.ring[0].seq <= seen + 1:
            return [channel.ring[place] for place in range(seen - last, 0)]
        return (await self._log.after(scope, seen, limit=READ_TOGETHER)).events

    async def _look(self) -> None:
        """Read what is new, as long as anybody follows. The feed owns this task."""
        seen = -1
        while self._channels and not self._is_closed:
            try:
                looked = await self._log.changed(seen)
                chosen = {s: c for s, c in self._channels.items() if looked != seen or c.must_look}
                for channel in chosen.values():
                    channel.must_look = False
                newest = await self._log.newest(list(chosen))
                for scope, channel in chosen.items():
                    if channel.last is not None and newest.get(scope, 0) != channel.last:
                        await self._read(scope, channel, channel.last)
                seen = looked
            except HandiworkError as failure:
                self._fail_all(failure)
            except Exception as failure:  # noqa: BLE001  # the edge of this task: else followers wait for ever
                _log.error("The feed could not look for what is new: %s", trace_of(failure))
                self._fail_all(StorageFailed("the event log", "it broke off; the log of this process tells why"))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _read(self, scope: Scope, channel: _Channel, last: int) -> None:
        try:
            while True:
                stretch = await self._log.after(scope, last, limit=READ_TOGETHER)
                channel.ring.extend(stretch.events)
                if stretch.events:
                    channel.last = last = stretch.events[-1].seq
                    channel.tell()
                if last >= stretch.last:
                    return
        except HandiworkError as failure:
            self._fail(scope, channel, failure)

    def _fail_all(self, failure: HandiworkError) -> None:
        for scope, channel in list(self._channels.items()):
            self._fail(scope, channel, failure)

    def _fail(self, scope: Scope, channel: _Channel, failure: HandiworkError) -> None:
        """Followers are told, and who comes next begins with a new channel."""
        channel.failure = failure
        channel.tell()
        if self._channels.get(scope) is channel:
            del self._channels[scope]
