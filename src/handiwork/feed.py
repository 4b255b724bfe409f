"""Following what happens in a session, from a cursor on. Where events are kept is the store's affair.

However many follow one session, it is read once: what is new goes into a short ring that all of them read at their
own pace. Nobody has a queue. Who falls behind the ring reads from the log again, so a slow follower costs no memory
and misses nothing, and who comes back later goes on from the last number that he has seen.

What programs write while they run passes by: the newest pieces are in a short ring of their own, for those who follow
at that moment in this process, and whoever is too slow for it has a gap. Of content that is being written nobody has
one: its text so far is kept once, and whoever was too slow gets what is lacking from there, in blocks that all share.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from handiwork.errors import HandiworkError, StorageFailed
from handiwork.events import Delta, Event, EventType, Passing, Settled, Told
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.event_log import EventLog
from handiwork.tasks import trace_of

RING = 1000
PASSING = 100
BLOCK = 65_536
"""The most characters of content that is being written that are told as one piece."""
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
    passing: deque[Passing | Settled] = field(default_factory=lambda: deque[Passing | Settled](maxlen=PASSING))
    passed: int = 0
    failure: HandiworkError | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def newer(self, passed: int) -> tuple[Sequence[Passing | Settled], bool]:
        """What came by after the first `passed` pieces, as far as it is still here, and whether that is all of it."""
        missed = self.passed - passed
        count = min(missed, len(self.passing))
        return [self.passing[place] for place in range(-count, 0)], count == missed

    def tell(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()


@dataclass(slots=True, kw_only=True)
class _Written:
    """Content that is being written: its first piece, and all of its text so far, in blocks and what follows them."""

    begun: Delta
    length: int = 0
    blocks: list[Delta] = field(default_factory=list[Delta])
    rest: list[str] = field(default_factory=list[str])

    def grow(self, text: str) -> None:
        self.length += len(text)
        self.rest.append(text)
        while self.length - self._blocked >= BLOCK:
            rest = "".join(self.rest)
            self.blocks.append(replace(self.begun, offset=self._blocked, text=rest[:BLOCK]))
            self.rest = [rest[BLOCK:]]

    def after(self, length: int) -> list[Delta]:
        """Return what has come after the first `length` characters; whoever has none is told how much it is."""
        rest = replace(self.begun, offset=self._blocked, text="".join(self.rest))
        first, *lacking = [*self.blocks, rest][length // BLOCK :]
        first = replace(first, offset=length, text=first.text[length - first.offset :])
        if length == 0:
            first = replace(first, more=self.length - len(first.text))
        return [each for each in (first, *lacking) if each.text]

    @property
    def _blocked(self) -> int:
        return len(self.blocks) * BLOCK


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
        if not isinstance(passing, Delta):
            self._pass_on(passing)
            return
        written = self._written.setdefault(passing.scope, {})
        if passing.artifact_id not in written:
            written[passing.artifact_id] = _Written(begun=replace(passing, offset=0, text=""))
        for piece in _cut(passing):
            written[passing.artifact_id].grow(piece.text)
            self._pass_on(piece)

    def forget(self, scope: Scope, artifact_id: ArtifactId) -> None:
        """Let go of the text so far of content that is written no more, and say so."""
        written = self._written.get(scope, {})
        was_told = written.pop(artifact_id, None) is not None
        if not written:
            self._written.pop(scope, None)
        if was_told:
            self._pass_on(Settled(scope=scope, artifact_id=artifact_id))

    async def follow(self, scope: Scope, *, after: int) -> AsyncGenerator[Event]:
        """Do as `follow_live`, without what programs write."""
        async with aclosing(self.follow_live(scope, after=after)) as told:
            async for each in told:
                if isinstance(each, Event):
                    yield each

    async def follow_live(self, scope: Scope, *, after: int) -> AsyncGenerator[Told]:
        """Yield the events of a session with a number over `after`, first those there are and then those to come.

        In between comes what programs write meanwhile, and content that is being written: the text so far first.

        It ends when the feed is closed. Close the generator when you stop before that.

        Raises:
            CursorTooOld: events after `after` are kept no longer, or the session was erased.
            StorageFailed: the log cannot be read.
        """
        channel = self._join(scope)
        try:
            seen, passed, known = after, channel.passed, dict[ArtifactId, tuple[_Written, int]]()
            async for event in self._kept(scope, seen, channel):
                yield event
                seen = event.seq
            is_new = True
            while not self._is_closed:
                # In one step, so that nothing comes twice and nothing is left out.
                news, told, last = channel.news, channel.passed, channel.last
                pieces, is_all = channel.newer(passed)
                if is_new or not is_all:
                    others = [each for each in pieces if not isinstance(each, Delta)]
                    pieces = [*others, *self._lacking(scope, known)]
                passed, is_new, known = told, False, self._lengths(scope)
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

    def _pass_on(self, passing: Passing | Settled) -> None:
        channel = self._channels.get(passing.scope)
        if channel is not None:
            channel.passing.append(passing)
            channel.passed += 1
            channel.tell()

    def _lengths(self, scope: Scope) -> Mapping[ArtifactId, tuple[_Written, int]]:
        """How much has been written of each content that is not done."""
        return {id: (each, each.length) for id, each in self._written.get(scope, {}).items()}

    def _lacking(self, scope: Scope, known: Mapping[ArtifactId, tuple[_Written, int]]) -> Iterator[Delta]:
        """Yield of each content that is not done what has been written beyond what is known of it."""
        for id, written in self._written.get(scope, {}).items():
            before, length = known.get(id, (written, 0))
            yield from written.after(length if before is written else 0)

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


def _cut(delta: Delta) -> Iterator[Delta]:
    """Yield a piece in pieces of `BLOCK` characters at most."""
    for begin in range(0, len(delta.text), BLOCK):
        yield replace(delta, offset=delta.offset + begin, text=delta.text[begin : begin + BLOCK])
