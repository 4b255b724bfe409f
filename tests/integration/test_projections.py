"""Whatever happens in a session: what the other side of each wire makes of it is what `list` says.

A client is cut off at any frame and comes back with the cursor it has, as often as it likes.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from artifact_model import note
from doors import Door, open_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from other_sides import NO_CONTENT, SIDES, AgUiSide, Side, Standing, blocks_of

from handiwork.errors import HandiworkError
from handiwork.ids import nanoid
from handiwork.server.desk import Desk
from handiwork.server.projections import Format, Own, spelling_of
from handiwork.session import Session

SOON = 20.0
FORMATS = sorted(SIDES)

texts = st.text(alphabet=st.sampled_from('ab \n<>&"é図🎈'), min_size=1, max_size=12)
pieces = st.lists(texts, min_size=1, max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, -1, 2**53 - 1, 2**53, 10**30, 0.5]) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
which = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("create"), texts),
    st.tuples(st.just("note"), texts),
    st.tuples(st.just("json"), values),
    st.tuples(st.just("file"), texts),
    st.tuples(st.just("write"), pieces),
    st.tuples(st.just("break"), pieces),
    st.tuples(st.just("revise"), which, texts),
    st.tuples(st.just("rewrite"), which, pieces),
    st.tuples(st.just("overtake"), which, pieces, texts),
    st.tuples(st.just("same"), which),
    st.tuples(st.just("entitle"), which, texts),
    st.tuples(st.just("restore"), which),
    st.tuples(st.just("label"), which, texts),
    st.tuples(st.just("step"), which, st.sampled_from(["final", "draft", "shelved"])),
    st.tuples(st.just("remove"), which),
)
plans = st.lists(steps, min_size=1, max_size=9)
cuts = st.lists(st.integers(0, 12), max_size=5)


class Author:
    """Does to a session what a plan says; what cannot be done is left."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._made: list[str] = []

    async def do(self, step: Sequence[Any]) -> None:
        verb, *given_ = step
        with suppress(HandiworkError, BrokenOff):
            await getattr(self, f"_{verb}")(*given_)

    async def _new(self, type_: str, content: object) -> None:
        self._made.append((await self._session.create(type_, content=content, title="A title")).id)

    async def _create(self, text: str) -> None:
        await self._new("markdown", text)

    async def _note(self, text: str) -> None:
        await self._new("note", text)

    async def _json(self, value: object) -> None:
        await self._new("json", json.dumps(value))

    async def _file(self, text: str) -> None:
        await self._new("file", text)

    async def _write(self, pieces_: Sequence[str]) -> None:
        await self._new("markdown", _slowly(pieces_))

    async def _break(self, pieces_: Sequence[str]) -> None:
        await self._new("markdown", _slowly(pieces_, breaks=True))

    def _id(self, place: int) -> str:
        return self._made[place % len(self._made)] if self._made else "art_none"

    async def _revise(self, place: int, text: str) -> None:
        await self._session.revise(self._id(place), content=text)

    async def _rewrite(self, place: int, pieces_: Sequence[str]) -> None:
        await self._session.revise(self._id(place), content=_slowly(pieces_))

    async def _overtake(self, place: int, pieces_: Sequence[str], text: str) -> None:
        """Revise what somebody else is writing anew."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self.do(("rewrite", place, pieces_)))
            await asyncio.sleep(0.001)
            both.create_task(self.do(("revise", place, text)))

    async def _same(self, place: int) -> None:
        text = (await self._session.read(self._id(place))).decode()
        await self._session.revise(self._id(place), content=_slowly([text[:1], text[1:]]))

    async def _entitle(self, place: int, text: str) -> None:
        await self._session.revise(self._id(place), content=text + "!", title=text)

    async def _restore(self, place: int) -> None:
        await self._session.restore(self._id(place), 1)

    async def _label(self, place: int, text: str) -> None:
        await self._session.label(self._id(place), *[word for word in text.split() if word.isprintable()])

    async def _step(self, place: int, state: str) -> None:
        await self._session.step(self._id(place), state=state)

    async def _remove(self, place: int) -> None:
        await self._session.remove(self._id(place))


class BrokenOff(Exception):  # what a model does
    pass


async def _slowly(pieces_: Sequence[str], *, breaks: bool = False) -> AsyncIterator[str]:
    for piece in pieces_:
        await asyncio.sleep(0)
        yield piece
    await asyncio.sleep(0)
    if breaks:
        raise BrokenOff


async def expected(session: Session) -> Mapping[str, Standing]:
    """What there is, as `list` and `read` say."""
    found: dict[str, Standing] = {}
    for each in (await session.list(limit=1000)).items:
        content: object = NO_CONTENT
        if each.type != "file":
            content = (await session.read(each.id)).decode()
        if each.type == "json":
            content = json.loads(str(content))
        found[each.id] = Standing(each.version.number, each.sha256, each.title, each.state, tuple(each.labels), content)
    return found


async def follow(
    desk: Desk, session: Session, format_: Format, side: Side, *, cut_after: Sequence[int], until: asyncio.Future[int]
) -> None:
    """Take frames until the event of that number came, and leave after so many of them each time, to come back."""
    cursor, places = 0, iter(cut_after)
    while True:
        left = next(places, None)
        spelling = spelling_of(format_, desk=desk, scope=session.scope, after=cursor, own=Own())
        side.connect()
        async with aclosing(_chunks(session, spelling, cursor)) as chunks:
            async for chunk in chunks:
                for told, frame in blocks_of(chunk):
                    if left is not None and left <= 0:
                        break
                    left = None if left is None else left - 1
                    if frame is not None:
                        side.take(frame)
                    cursor = cursor if told is None else told
                if until.done() and cursor >= until.result():
                    return
                if left is not None and left <= 0:
                    break


async def _chunks(session: Session, spelling: Any, after: int) -> AsyncGenerator[bytes]:
    yield spelling.begin()
    async with aclosing(session.engine.feed.follow_live(session.scope, after=after)) as told:
        async for each in told:
            yield await spelling.tell(each)


@pytest.fixture
def opened(tmp_path: Path) -> Generator[tuple[asyncio.Runner, Door]]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        door = runner.run(stack.enter_async_context(open_server(tmp_path, types=[note])))
        yield runner, door
        runner.run(stack.aclose())


@pytest.mark.timeout(300)
def test_what_is_told_over_every_wire_ends_in_what_list_says(opened: tuple[asyncio.Runner, Door]) -> None:
    runner, door = opened

    async def live_and_late(plan: Sequence[Any], cut_after: Sequence[int]) -> None:
        session = door.desk.engine.session(f"s-{nanoid()}")
        until: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        live: dict[Format, Side] = {format_: SIDES[format_]() for format_ in SIDES}
        async with asyncio.timeout(SOON), asyncio.TaskGroup() as followers:
            for format_, side in live.items():
                followers.create_task(follow(door.desk, session, format_, side, cut_after=cut_after, until=until))
            await asyncio.sleep(0)
            author = Author(session)
            for step in plan:
                await author.do(step)
            # One event more, after which nothing is told any more of what was before it.
            until.set_result((await session.list(limit=1)).seq + 1)
            await author.do(("file", "the end"))
        there_is = await expected(session)
        for format_, side in live.items():
            late = SIDES[format_]()
            async with asyncio.timeout(SOON):
                await follow(door.desk, session, format_, late, cut_after=cut_after, until=until)
            assert side.artifacts() == there_is, f"{format_}, live"
            assert late.artifacts() == there_is, f"{format_}, late"
            for end in [late] if cut_after else [late, side]:
                if isinstance(end, AgUiSide):
                    assert not [each for each in end.contents.values() if each.get("pieces")], (
                        "it is not written any more"
                    )

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(plan=plans, cut_after=cuts)
    def each(plan: Sequence[Any], cut_after: Sequence[int]) -> None:
        runner.run(live_and_late(plan, cut_after))

    each()
