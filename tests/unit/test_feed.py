"""Followers of a real log: each gets all from its cursor on, in order, nothing missed and nothing twice."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import store_process
from handiwork.errors import CursorTooOld, StorageFailed
from handiwork.events import Delta, Event, Output, Settled
from handiwork.feed import BLOCK, PASSING, Feed
from handiwork.ids import ArtifactId, ExecutionId
from handiwork.model import Reach, Scope
from handiwork.store.event_log import Stretch
from sample_records import ADA, FOREIGN, filed
from sqlite_store import Store, open_store

DEADLINE = 20.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    async with open_store(tmp_path) as store:
        yield store


@pytest.fixture
async def feed(store: Store) -> AsyncGenerator[Feed]:
    feed = Feed(store.log)
    yield feed
    await feed.close()


async def add(store: Store, *names: str, scope: Scope = ADA) -> None:
    for name in names:
        await store.records.add([filed(name, scope=scope)])


async def take(
    feed: Feed, count: int, *, after: int = 0, scope: Scope = ADA, pause: Callable[[], float] | None = None
) -> list[int]:
    """Follow until `count` events were seen, and return their numbers."""
    seen: list[int] = []
    async with asyncio.timeout(DEADLINE), aclosing(feed.follow(scope, after=after)) as events:
        async for event in events:
            seen.append(event.seq)
            if len(seen) == count:
                break
            if pause is not None:
                await asyncio.sleep(pause())
    return seen


async def next_of(events: AsyncGenerator[Event]) -> int:
    return (await asyncio.wait_for(anext(events), 5)).seq


async def test_a_follower_gets_what_there_is_and_then_what_comes(feed: Feed, store: Store) -> None:
    await add(store, "a", "b")
    async with aclosing(feed.follow(ADA, after=0)) as events:
        assert [await next_of(events), await next_of(events)] == [1, 2]
        await add(store, "c")
        assert await next_of(events) == 3


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_follower_begins_after_its_cursor(feed: Feed, store: Store, after: int) -> None:
    await add(store, "a", "b", "c")
    async with aclosing(feed.follow(ADA, after=after)) as events:
        await add(store, "d")
        assert [await next_of(events) for _ in range(4 - after)] == list(range(after + 1, 5))


def output(offset: int, *, scope: Scope = ADA) -> Output:
    return Output(scope=scope, execution_id=ExecutionId("exc_1"), stream="stdout", offset=offset, text="x")


async def test_what_programs_write_passes_by_who_follows_now_and_nobody_else(feed: Feed, store: Store) -> None:
    await add(store, "a")
    feed.tell(output(0))
    async with aclosing(feed.follow_live(ADA, after=0)) as told, aclosing(feed.follow(ADA, after=0)) as events:
        assert isinstance(await anext(told), Event)
        assert await next_of(events) == 1
        coming = asyncio.ensure_future(anext(told))
        await asyncio.sleep(0)
        feed.tell(output(1, scope=replace(ADA, session="another")))
        feed.tell(output(2))
        assert await asyncio.wait_for(coming, 5) == output(2)
        await add(store, "b")
        assert await next_of(events) == 2
        after_it = await asyncio.wait_for(anext(told), 5)
        assert isinstance(after_it, Event)
        assert after_it.seq == 2


async def test_who_is_too_slow_for_what_programs_write_has_a_gap_and_misses_no_event(feed: Feed, store: Store) -> None:
    await add(store, "a")
    async with aclosing(feed.follow_live(ADA, after=0)) as told:
        assert isinstance(await anext(told), Event)
        for offset in range(PASSING + 50):
            feed.tell(output(offset))
        await add(store, "b")
        came = [await asyncio.wait_for(anext(told), 5) for _ in range(PASSING + 1)]
    assert [each.offset for each in came if isinstance(each, Output)] == list(range(50, PASSING + 50))
    assert [each.seq for each in came if isinstance(each, Event)] == [2]


def delta(offset: int, text: str = "x") -> Delta:
    return Delta(scope=ADA, artifact_id=ArtifactId("art_1"), artifact_type="markdown", offset=offset, text=text)


async def test_who_is_too_slow_for_what_is_written_gets_the_text_so_far_again(feed: Feed, store: Store) -> None:
    await add(store, "a")
    async with aclosing(feed.follow_live(ADA, after=0)) as told:
        assert isinstance(await anext(told), Event)
        for offset in range(PASSING + 50):
            feed.tell(delta(offset))
        feed.tell(output(0))
        came = [await asyncio.wait_for(anext(told), 5) for _ in range(2)]
        assert came == [output(0), delta(0, "x" * (PASSING + 50))]
        feed.tell(delta(PASSING + 50, "y"))
        assert await asyncio.wait_for(anext(told), 5) == delta(PASSING + 50, "y")


async def test_who_was_too_slow_gets_what_is_lacking_and_nothing_twice(feed: Feed, store: Store) -> None:
    await add(store, "a")
    async with aclosing(feed.follow_live(ADA, after=0)) as told:
        assert isinstance(await anext(told), Event)
        feed.tell(delta(0, "begin"))
        assert await asyncio.wait_for(anext(told), 5) == delta(0, "begin")
        for offset in range(PASSING + 50):
            feed.tell(delta(5 + offset))
        assert await asyncio.wait_for(anext(told), 5) == delta(5, "x" * (PASSING + 50))
        # What is begun anew meanwhile is another text.
        feed.forget(ADA, ArtifactId("art_1"))
        for offset in range(PASSING + 50):
            feed.tell(delta(offset, "z"))
        assert await asyncio.wait_for(anext(told), 5) == delta(0, "z" * (PASSING + 50))


async def test_long_text_is_told_in_blocks_that_all_who_are_late_share(feed: Feed, store: Store) -> None:
    await add(store, "a")
    text = "".join(chr(0x4E00 + place % 1000) for place in range(3 * BLOCK + 7))
    feed.tell(delta(0, text[:10]))
    feed.tell(delta(10, text[10:]))
    came: list[list[Delta]] = []
    for _ in range(2):
        async with aclosing(feed.follow_live(ADA, after=1)) as told:
            each = [await asyncio.wait_for(anext(told), 5) for _ in range(4)]
            came.append([piece for piece in each if isinstance(piece, Delta)])
    first, second = came
    assert "".join(piece.text for piece in first) == text
    assert [(piece.offset, piece.more) for piece in first] == [
        (0, len(text) - BLOCK), (BLOCK, 0), (2 * BLOCK, 0), (3 * BLOCK, 0),
    ]  # fmt: skip
    assert [one is other for one, other in zip(first, second, strict=True)][1:3] == [True, True]


@given(
    pieces=st.lists(st.text("äz", min_size=1, max_size=40), min_size=1, max_size=30),
    takes=st.lists(st.integers(0, 6), max_size=30),
)
async def test_whenever_one_joins_and_however_slowly_one_takes_the_text_comes_whole_and_once(
    pieces: list[str], takes: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handiwork.feed.BLOCK", 16)
        patch.setattr("handiwork.feed.PASSING", 3)
        feed = Feed(Silent())  # pyright: ignore[reportArgumentType]  # narrower than the seam, on purpose
        slow, written = Taken(feed), ""
        for number, piece in enumerate(pieces):
            feed.tell(delta(len(written), piece))
            written += piece
            await slow.take(takes[number] if number < len(takes) else 0)
        await slow.take_all(len(written))
        await feed.close()
    assert slow.text == written


class Silent:
    """A log in which nothing happens."""

    async def after(self, _scope: Scope, _seq: int, *, limit: int) -> Stretch:
        del limit
        return Stretch(events=(), last=0)

    async def changed(self, _since: int) -> int:
        return await asyncio.get_running_loop().create_future()


class Taken:
    """A follower, and the text that it has put together."""

    def __init__(self, feed: Feed) -> None:
        self._told, self.text = feed.follow_live(ADA, after=0), ""
        self._next = asyncio.ensure_future(anext(self._told))

    async def take(self, most: int) -> None:
        """Take so many pieces, as far as they are there."""
        for _ in range(most):
            for _ in range(5):
                await asyncio.sleep(0)
            if not self._next.done():
                return
            await self._take_one()

    async def take_all(self, length: int) -> None:
        while len(self.text) < length:
            await asyncio.wait_for(self._take_one(), 5)
        self._next.cancel()
        await asyncio.wait([self._next])
        await self._told.aclose()

    async def _take_one(self) -> None:
        piece = await self._next
        assert isinstance(piece, Delta)
        assert piece.offset == len(self.text)
        self.text += piece.text
        self._next = asyncio.ensure_future(anext(self._told))


async def test_a_session_is_followed_before_it_exists(feed: Feed, store: Store) -> None:
    taking = asyncio.ensure_future(take(feed, 2))
    await asyncio.sleep(0)
    await add(store, "a", "b")
    assert await taking == [1, 2]


async def test_a_follower_hears_nothing_of_another_session(feed: Feed, store: Store) -> None:
    here, there = asyncio.ensure_future(take(feed, 1)), asyncio.ensure_future(take(feed, 2, scope=FOREIGN[0]))
    await add(store, "a")
    await add(store, "b", "c", scope=FOREIGN[0])
    assert [await here, await there] == [[1], [1, 2]]


@pytest.mark.parametrize("after", [-1, 3])
async def test_a_cursor_that_the_session_never_had_is_refused(feed: Feed, store: Store, after: int) -> None:
    await add(store, "a", "b")
    with pytest.raises(CursorTooOld):
        await take(feed, 1, after=after)


async def test_many_who_join_at_random_moments_miss_nothing_and_get_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    total, followers = 120, 50

    async def join(feed: Feed, store: Store) -> tuple[int, list[int]]:
        await asyncio.sleep(chance.uniform(0, 0.5))
        after = chance.randint(0, (await store.log.newest([ADA])).get(ADA, 0))
        pause = (lambda: chance.uniform(0, 0.004)) if chance.random() < 0.3 else None
        return after, await take(feed, total - after, after=after, pause=pause) if after < total else []

    async with open_store(tmp_path) as store:
        feed = Feed(store.log, ring=chance.choice([3, 10]))
        other = await store_process.start(tmp_path, "s-1", writer="there", writers=2, count=30)
        joining = [asyncio.ensure_future(join(feed, store)) for _ in range(followers)]
        here = asyncio.gather(*(add(store, *(f"here{n}x{turn}" for turn in range(30))) for n in range(2)))
        await asyncio.wait_for(asyncio.gather(here, other.wait()), DEADLINE)
        for after, seen in await asyncio.gather(*joining):
            assert seen == list(range(after + 1, total + 1))
        await feed.close()


async def test_what_another_process_writes_comes_too(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        feed = Feed(store.log)
        taking = asyncio.ensure_future(take(feed, 20))
        other = await store_process.start(tmp_path, "s-1", writer="there", count=20)
        assert await taking == list(range(1, 21))
        assert await other.wait() == 0
        await feed.close()


async def test_a_slow_follower_falls_behind_the_ring_and_gets_everything(store: Store) -> None:
    feed = Feed(store.log, ring=3)
    async with aclosing(feed.follow(ADA, after=0)) as slow:
        await add(store, "a0")
        assert await next_of(slow) == 1
        quick = asyncio.ensure_future(take(feed, 10))
        await add(store, *(f"a{n}" for n in range(1, 10)))
        assert await quick == list(range(1, 11))  # The ring has the last three by now.
        assert [await next_of(slow) for _ in range(9)] == list(range(2, 11))
    await feed.close()


async def test_a_slow_follower_costs_no_memory(store: Store) -> None:
    feed = Feed(store.log, ring=3)
    async with aclosing(feed.follow(ADA, after=0)) as slow:
        await add(store, *(f"a{n}" for n in range(10)))
        assert await next_of(slow) == 1
        await take(feed, 10)
        (channel,) = feed._channels.values()
        assert len(channel.ring) <= 3
    await feed.close()


async def test_who_was_away_for_so_long_that_events_were_forgotten_is_told(feed: Feed, store: Store) -> None:
    await add(store, "a", "b")
    store.clock.now = store.clock.now.replace(year=2027)
    await store.log.trim(before=store.clock.now)
    with pytest.raises(CursorTooOld) as refused:
        await take(feed, 1, after=1)
    assert (refused.value.oldest, refused.value.last) == (2, 2)


async def test_an_erased_session_is_told_to_those_who_follow_it_and_to_nobody_else(feed: Feed, store: Store) -> None:
    await add(store, "a")
    await add(store, "b", scope=FOREIGN[0])
    async with aclosing(feed.follow(ADA, after=0)) as erased, aclosing(feed.follow(FOREIGN[0], after=0)) as other:
        assert [await next_of(erased), await next_of(other)] == [1, 1]
        await store.expiry.erase(Reach(tenant="default", user="ada", session="s-1"))
        with pytest.raises(CursorTooOld):
            await next_of(erased)
        await add(store, "c", scope=FOREIGN[0])
        assert await next_of(other) == 2


async def test_a_session_that_begins_anew_after_its_erasure_goes_on_with_numbers_that_nobody_has_seen(
    feed: Feed, store: Store
) -> None:
    await add(store, "a", "b")
    async with aclosing(feed.follow(ADA, after=0)) as erased:
        assert await next_of(erased) == 1
        await store.expiry.erase(Reach(tenant="default", user="ada"))
        assert await next_of(erased) == 2  # It was on its way.
        with pytest.raises(CursorTooOld):
            await next_of(erased)
    taking = asyncio.ensure_future(take(feed, 1))
    await add(store, "c")
    assert await taking == [4]
    # Neither the last number that was seen, nor the one that would have come next, fits any more.
    for old in (1, 2):
        with pytest.raises(CursorTooOld):
            await take(feed, 1, after=old)


async def test_a_close_ends_all_who_follow(store: Store) -> None:
    feed = Feed(store.log)
    await add(store, "a")

    async def all_of(scope: Scope) -> list[int]:
        return [event.seq async for event in feed.follow(scope, after=0)]

    following = [asyncio.ensure_future(all_of(scope)) for scope in (ADA, ADA, FOREIGN[0])]
    async with aclosing(feed.follow(ADA, after=0)) as events:
        await next_of(events)
        await asyncio.wait_for(feed.close(), 5)
        with pytest.raises(StopAsyncIteration):
            await next_of(events)
    assert await asyncio.wait_for(asyncio.gather(*following), 5) == [[1], [1], []]
    assert await asyncio.wait_for(all_of(ADA), 5) == [1]


async def test_nobody_looks_when_nobody_follows(feed: Feed, store: Store) -> None:
    await add(store, "a", "b")
    await take(feed, 1)
    assert feed._channels == {}
    looking = feed._looking
    assert looking is not None
    await asyncio.wait_for(asyncio.wait([looking]), 5)
    assert await take(feed, 1, after=1) == [2]  # And who comes after that is told again.


async def test_more_than_is_read_together_comes_whole(
    feed: Feed, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handiwork.feed.READ_TOGETHER", 2)
    await store.records.add([filed(f"a{n}") for n in range(5)])
    async with aclosing(feed.follow(ADA, after=0)) as events:
        assert [await next_of(events) for _ in range(5)] == [1, 2, 3, 4, 5]
        await store.records.add([filed(f"b{n}") for n in range(5)])
        assert [await next_of(events) for _ in range(5)] == [6, 7, 8, 9, 10]


class HeldUp:
    """A log whose answer to a new follower comes late, after the feed has looked for what is new."""

    def __init__(self, store: Store) -> None:
        self._log, self.newest, self.trim = store.log, store.log.newest, store.log.trim
        self.latest = store.log.latest
        self.has_read, self.may_answer = asyncio.Event(), asyncio.Event()
        self.looks = 0

    async def after(self, scope: Scope, seq: int, *, limit: int) -> Stretch:
        stretch = await self._log.after(scope, seq, limit=limit)
        self.has_read.set()
        await self.may_answer.wait()
        return stretch

    async def changed(self, seen: int) -> int:
        self.looks += 1
        return await self._log.changed(seen)


async def test_what_is_written_between_the_read_of_the_old_and_the_first_look_is_not_missed(store: Store) -> None:
    log = HeldUp(store)
    feed = Feed(log)
    await add(store, "a")
    taking = asyncio.ensure_future(take(feed, 2))
    async with asyncio.timeout(5):
        await log.has_read.wait()
        await add(store, "b")
        enough = log.looks + 3
        while log.looks < enough:  # noqa: ASYNC110  # a look is announced to nobody
            await asyncio.sleep(0.005)
    log.may_answer.set()
    assert await asyncio.wait_for(taking, 5) == [1, 2]
    await feed.close()


async def last_of(events: AsyncGenerator[Event]) -> None:
    """Take what comes until it breaks off: a look that was under way may find something before."""
    while True:
        await next_of(events)


class BrokenOnce:
    """A log that cannot be read once, when it is asked what is new."""

    def __init__(self, store: Store, failure: Exception | None = None) -> None:
        self._log, self.is_broken = store.log, False
        self.failure = failure or StorageFailed("the database", "I/O error")
        self.trim, self.changed = self._log.trim, self._log.changed

    async def after(self, scope: Scope, seq: int, *, limit: int) -> Stretch:
        return await self._log.after(scope, seq, limit=limit)

    async def newest(self, scopes: list[Scope]) -> dict[Scope, int]:
        if self.is_broken:
            self.is_broken = False
            raise self.failure
        return dict(await self._log.newest(scopes))


@pytest.mark.parametrize("failure", [StorageFailed("the database", "I/O error"), ZeroDivisionError("canary")])
async def test_a_log_that_cannot_be_read_is_told_and_who_comes_back_goes_on(
    store: Store, failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("handiwork.feed.PAUSE_SECONDS", 0.01)
    log = BrokenOnce(store, failure)
    feed = Feed(log)  # pyright: ignore[reportArgumentType]  # narrower than the seam, on purpose
    await add(store, "a")
    async with aclosing(feed.follow(ADA, after=0)) as events:
        assert await next_of(events) == 1
        log.is_broken = True
        await add(store, "b")
        with pytest.raises(StorageFailed):
            await last_of(events)
    assert await take(feed, 1, after=1) == [2]
    await feed.close()
    assert ("ZeroDivisionError" in caplog.text) is isinstance(failure, ZeroDivisionError)
    assert "canary" not in caplog.text


async def test_that_nothing_more_is_written_is_told_once_and_only_of_what_was_written(feed: Feed, store: Store) -> None:
    await add(store, "a")
    async with aclosing(feed.follow_live(ADA, after=0)) as told:
        assert isinstance(await anext(told), Event)
        feed.tell(delta(0))
        for _ in range(2):
            feed.forget(ADA, ArtifactId("art_1"))
        feed.forget(ADA, ArtifactId("art_2"))
        await add(store, "b")
        came = [await asyncio.wait_for(anext(told), 5) for _ in range(2)]
    # Who had not come so far yet gets no piece of what is over, and is told that it is.
    assert came[0] == Settled(scope=ADA, artifact_id=ArtifactId("art_1"))
    assert isinstance(came[1], Event)
