"""Content that is written piece by piece: seen meanwhile, stored when it is whole, not at all when it breaks off."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

import handiwork
from handiwork.errors import (
    ContentRefused,
    ContentTooLarge,
    InvalidContent,
    InvalidName,
    ProducingDisabled,
    ScopeErased,
)
from handiwork.events import Delta, Event, Told
from handiwork.model import Reach
from handiwork.session import Session
from handiwork.settings import Settings

PIECES = ("# Pl", "an\n\n", "Ship ", "it. é", "\n")
SOON = 5.0


@pytest.fixture
async def session(tmp_path: Path) -> AsyncGenerator[Session]:
    async with handiwork.open(tmp_path / "store", settings=Settings()) as engine:
        yield engine.session("s")


class Pen:
    """Writes its pieces, each when it may."""

    def __init__(self, *pieces: str, breaks: Exception | None = None) -> None:
        self._pieces, self._breaks = pieces, breaks
        self.written = 0
        self.may_write: asyncio.Queue[None] = asyncio.Queue()

    async def text(self) -> AsyncIterator[str]:
        for piece in self._pieces:
            await self.may_write.get()
            yield piece
            self.written += 1
        if self._breaks is not None:
            raise self._breaks

    def write(self, count: int) -> None:
        for _ in range(count):
            self.may_write.put_nowait(None)


async def at_once(*pieces: str) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece


async def seen(session: Session, *, until: str, after: int = 0) -> list[Told]:
    """What a follower sees until an event of this type, or a piece that ends with this text."""
    found: list[Told] = []
    async with aclosing(session.engine.feed.follow_live(session.scope, after=after)) as told:
        async for each in told:
            found.append(each)
            if until in (getattr(each, "type", ""), getattr(each, "text", "")[-len(until) :]):
                return found
    raise AssertionError("the feed ended")


async def test_what_is_written_is_seen_piece_by_piece_and_stored_as_a_whole(session: Session) -> None:
    pen = Pen(*PIECES)
    making = asyncio.ensure_future(session.create("markdown", title="Plan", content=pen.text()))
    following = asyncio.ensure_future(seen(session, until="artifact-created"))
    async with asyncio.timeout(SOON):
        pen.write(len(PIECES))
        made = await making
        told = await following
    assert (await session.read(made.id)).decode() == "".join(PIECES)
    pieces = [each for each in told if isinstance(each, Delta)]
    assert "".join(piece.text for piece in pieces) == "".join(PIECES)
    assert {piece.artifact_id for piece in pieces} == {made.id}
    assert [piece.offset for piece in pieces] == [sum(len(p.text) for p in pieces[:n]) for n in range(len(pieces))]


async def test_who_comes_later_gets_the_text_so_far_first(session: Session) -> None:
    pen = Pen(*PIECES)
    making = asyncio.ensure_future(session.create("markdown", title="Plan", content=pen.text()))
    async with asyncio.timeout(SOON):
        pen.write(3)
        early = await seen(session, until="Ship ")
        async with aclosing(session.engine.feed.follow_live(session.scope, after=0)) as late:
            pieces = [first] if isinstance(first := await anext(late), Delta) else []
            pen.write(2)
            await making
            async for each in late:
                if not isinstance(each, Delta):
                    break
                pieces.append(each)
    assert [each.text for each in early if isinstance(each, Delta)][-1].endswith("Ship ")
    assert pieces[0].offset == 0
    assert "".join(piece.text for piece in pieces) == "".join(PIECES)


async def test_one_that_breaks_off_stores_nothing_and_is_told(session: Session) -> None:
    pen = Pen(*PIECES, breaks=RuntimeError("the model went away"))
    pen.write(len(PIECES))
    with pytest.raises(RuntimeError, match="went away"):
        await session.create("markdown", title="Plan", content=pen.text())
    assert (await session.list()).items == ()
    (event,) = [each for each in await seen(session, until="artifact-failed") if isinstance(each, Event)]
    assert (event.type, event.facts) == ("artifact-failed", {"code": "broken_off"})
    assert session.engine.feed._written == {}


async def test_the_cap_is_checked_with_each_piece(session: Session) -> None:
    pen = Pen(*["x" * 100_000] * 50)
    pen.write(50)
    with pytest.raises(ContentTooLarge):
        await session.create("markdown", title="Plan", content=pen.text())
    assert pen.written < 4
    (event,) = [each for each in await seen(session, until="artifact-failed") if isinstance(each, Event)]
    assert event.facts == {"code": "content_too_large"}


async def test_what_is_whole_and_still_wrong_is_refused(session: Session) -> None:
    with pytest.raises(ContentRefused):
        await session.create("json", title="x", content=at_once('{"a": ', "NaN}"))
    assert (await session.list()).items == ()


async def test_one_that_is_cancelled_stores_nothing_and_is_told(session: Session) -> None:
    pen = Pen(*PIECES)
    making = asyncio.ensure_future(session.create("markdown", title="Plan", content=pen.text()))
    async with asyncio.timeout(SOON):
        pen.write(2)
        await seen(session, until="an\n\n")
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        told = await seen(session, until="artifact-failed")
    assert [each.type for each in told if isinstance(each, Event)] == ["artifact-failed"]
    assert (await session.list()).items == ()


async def test_pieces_that_are_no_text_are_refused(session: Session) -> None:
    async def bytes_() -> AsyncIterator[bytes]:
        yield b"x"

    with pytest.raises(InvalidContent):
        await session.create("markdown", title="x", content=bytes_())


async def test_a_revision_may_come_in_pieces(session: Session) -> None:
    made = await session.create("json", title="x", content={"a": 1})
    revised = await session.revise(made.id, content=at_once('{"a"', ": 2}"))
    assert (revised.id, revised.version.number) == (made.id, 2)
    assert json.loads(await session.read(made.id)) == {"a": 2}
    with pytest.raises(ContentRefused):
        await session.revise(made.id, content=at_once("{"))
    assert (await session.get(made.id)).version.number == 2


async def test_content_that_comes_while_its_user_is_erased_is_not_stored(session: Session) -> None:
    pen = Pen(*PIECES)
    making = asyncio.ensure_future(session.create("markdown", title="Plan", content=pen.text()))
    async with asyncio.timeout(SOON):
        pen.write(2)
        await seen(session, until="an\n\n")
        await session.engine.erase(Reach(tenant="default", user="local"))
        pen.write(len(PIECES) - 2)
        with pytest.raises(ScopeErased):
            await making
    assert (await session.list()).items == ()
    assert (await session.engine.sessions()).items == ()


async def test_one_that_breaks_off_after_an_erasure_brings_the_session_not_back(session: Session) -> None:
    pen = Pen(*PIECES)
    making = asyncio.ensure_future(session.create("markdown", title="Plan", content=pen.text()))
    async with asyncio.timeout(SOON):
        pen.write(2)
        await seen(session, until="an\n\n")
        await session.engine.erase(Reach(tenant="default", user="local"))
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
    assert (await session.engine.sessions()).items == ()


async def test_of_two_streams_into_one_artifact_the_first_is_told_and_both_are_stored(session: Session) -> None:
    made = await session.create("markdown", title="Plan", content="begin\n")
    pens = Pen("AAAA", "aaaa\n"), Pen("BBBB", "bbbb\n")
    first = asyncio.ensure_future(session.revise(made.id, content=pens[0].text()))
    async with asyncio.timeout(SOON):
        pens[0].write(1)
        await seen(session, until="AAAA")
        pens[1].write(2)
        await session.revise(made.id, content=pens[1].text())
        late = await seen(session, until="AAAA")
        pens[0].write(1)
        await first
    assert [each.text for each in late if isinstance(each, Delta)] == ["AAAA"]
    assert await session.read(made.id, version=2) == b"BBBBbbbb\n"
    assert await session.read(made.id, version=3) == b"AAAAaaaa\n"


@pytest.mark.parametrize("described", [{"title": "\ud800"}, {"name": "a/b"}])
async def test_what_cannot_be_is_refused_before_a_piece_is_taken(session: Session, described: dict[str, str]) -> None:
    pen = Pen(*PIECES)
    pen.write(len(PIECES))
    with pytest.raises(InvalidName):
        await session.create("markdown", content=pen.text(), **described)  # pyright: ignore[reportArgumentType]  # both are known
    assert pen.written == 0
    assert (await session.engine.sessions()).items == ()


async def test_where_nothing_may_be_made_no_piece_is_taken(tmp_path: Path) -> None:
    settings = Settings.model_validate({"artifacts": {"enabled": False}})
    pen = Pen(*PIECES)
    pen.write(len(PIECES))
    async with handiwork.open(tmp_path / "store", settings=settings) as engine:
        with pytest.raises(ProducingDisabled):
            await engine.session("s").create("markdown", title="x", content=pen.text())
        assert (await engine.sessions()).items == ()
    assert pen.written == 0


async def test_what_the_pieces_come_from_is_let_go_when_they_are_too_many(session: Session) -> None:
    is_let_go = False

    async def endless() -> AsyncIterator[str]:
        nonlocal is_let_go
        try:
            while True:
                yield "x" * 100_000
        finally:
            is_let_go = True

    with pytest.raises(ContentTooLarge):
        await session.create("markdown", title="x", content=endless())
    assert is_let_go
