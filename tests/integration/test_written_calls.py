"""Artifacts that a model writes in a tool call: seen while its arguments arrive, stored when they are whole."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import handiwork
from handiwork.errors import (
    ArtifactNotFound,
    ContentRefused,
    ContentTooLarge,
    HandiworkError,
    InvalidContent,
    InvalidName,
)
from handiwork.events import Delta, Event
from handiwork.session import Session
from handiwork.settings import Settings
from handiwork.versions.arguments import Arguments

TEXT = '# Plan "A"\n\nÜber \U0001f600 \\ und weiter\n' * 40
SOON = 5.0


@pytest.fixture
async def session(tmp_path: Path) -> AsyncGenerator[Session]:
    async with handiwork.open(tmp_path / "store", settings=Settings()) as engine:
        yield engine.session("s")


async def in_pieces(text: str, size: int = 7) -> AsyncIterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]
        await asyncio.sleep(0)


def call(**arguments: object) -> AsyncIterator[str]:
    return in_pieces(json.dumps(arguments))


class Onlooker:
    """Follows a session that has something in it, and lets nobody write before it does."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._is_there = asyncio.Event()

    async def told(self, *, until: str) -> list[Delta]:
        found: list[Delta] = []
        live = self._session.engine.feed.follow_live(self._session.scope, after=0)
        async with asyncio.timeout(SOON), aclosing(live) as coming:
            async for each in coming:
                if isinstance(each, Delta):
                    found.append(each)
                elif isinstance(each, Event) and each.type == until and found:
                    break
                self._is_there.set()
        return found

    async def waited_for(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        await self._is_there.wait()
        async for piece in pieces:
            yield piece


async def test_a_text_is_seen_while_the_call_is_written(session: Session) -> None:
    await session.create("markdown", title="Before", content="x")
    onlooker = Onlooker(session)
    following = asyncio.ensure_future(onlooker.told(until="artifact-created"))
    arguments = onlooker.waited_for(call(type="markdown", title="Plan", content=TEXT))
    made = await session.write(arguments, tool_call_id="call_1")
    pieces = await following
    assert len(pieces) > 10
    assert "".join(piece.text for piece in pieces) == TEXT
    assert {piece.artifact_id for piece in pieces} == {made.id}
    assert (made.type, made.title, made.version.provenance.tool_call_id) == ("markdown", "Plan", "call_1")
    assert (await session.read(made.id)).decode() == TEXT


@pytest.mark.parametrize("order", [("content", "title", "language", "type"), ("type", "content", "language", "title")])
async def test_in_whichever_order_the_arguments_come(session: Session, order: tuple[str, ...]) -> None:
    wanted = {"type": "code", "title": "Tool", "language": "python", "content": "print(1)\n"}
    made = await session.write(call(**{name: wanted[name] for name in order}))
    assert (made.type, made.title, made.version.language, made.name) == ("code", "Tool", "python", "Tool.py")
    assert await session.read(made.id) == b"print(1)\n"


async def test_structured_content_and_a_patch_come_as_they_are(session: Session) -> None:
    made = await session.write(call(type="json", title="Facts", content={"a": [1, None]}))
    revised = await session.write(call(artifactId=made.handle, patch={"a": 2}, baseVersion=1, reason="simpler"))
    assert (revised.id, revised.version.number, revised.version.provenance.reason) == (made.id, 2, "simpler")
    assert json.loads(await session.read(made.id)) == {"a": 2}


async def test_a_revision_is_seen_while_it_is_written(session: Session) -> None:
    made = await session.create("markdown", title="Plan", content="short\n")
    onlooker = Onlooker(session)
    following = asyncio.ensure_future(onlooker.told(until="artifact-revised"))
    await session.write(onlooker.waited_for(call(artifact_id=made.id, content=TEXT)))
    assert "".join(piece.text for piece in await following) == TEXT
    assert (await session.read(made.id, version=2)).decode() == TEXT


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"type": "markdown", "content": "abc', "closing double quote"),
        ('{"type": "markdown", "content": "abc"', "a comma or a closing bracket"),
        ('{"type": "markdown", "content": "abc"} and more', "the end"),
        ('{"type": "markdown", "content": "abc", "content": "abcd"}', "twice"),
        ('{"type": "markdown", "content": "abc", "content": 5}', "twice"),
        ('{"type": "markdown", "content": "abc", "colour": "red"}', "`mediaType`"),
        ('{"type": "markdown"}', "expected a value, got nothing"),
        ('{"type": "markdown", "content": "a", "title": 5}', "string"),
        ('{"title": "x", "content": "abc"}', "`artifactId`"),
        ('{"type": "markdown", "content": "a", ' + ", ".join(f'"n{n}": 1' for n in range(100)) + "}", "at most 64"),
        ('["markdown"]', "one JSON object"),
        ("markdown", "JSON"),
        ("", "`type`"),
        ("{" * 100_000, "JSON"),
        ('{"content":' + "[" * 100_000, "JSON"),
        ('{"type": "markdown", "content": "\\ud800"}', "hex escape"),
    ],
)
async def test_arguments_that_are_wrong_store_nothing_and_say_why(session: Session, text: str, word: str) -> None:
    with pytest.raises((InvalidContent, ContentRefused)) as refused:
        await session.write(in_pieces(text, size=max(7, len(text) // 50)))
    assert word in str(refused.value)
    assert (await session.list()).items == ()


async def test_what_is_not_there_and_what_is_too_large_is_told_at_once(session: Session) -> None:
    with pytest.raises(ArtifactNotFound):
        await session.write(call(artifactId="plan_0000", content="x"))

    with pytest.raises(InvalidName):
        await session.write(call(type="markdown", content="x"), tool_call_id="call\n1")
    written = 0

    async def endless() -> AsyncIterator[str]:
        nonlocal written
        yield '{"type": "markdown", "content": "'
        while True:
            written += 1
            yield "x" * 10_000

    with pytest.raises(ContentTooLarge):
        await session.write(endless())
    assert written < 60
    assert (await session.list()).items == ()


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
    cuts=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    is_ascii=st.booleans(),
    before=st.dictionaries(st.sampled_from(["type", "title", "a"]), st.text(max_size=5), max_size=3),
)
async def test_a_text_that_grows_ends_as_what_was_written(
    content: str, cuts: list[int], is_ascii: bool, before: Mapping[str, str]
) -> None:
    written = json.dumps({**before, "content": content, "z": [1]}, ensure_ascii=is_ascii)

    async def fragments() -> AsyncIterator[str]:
        start, turn = 0, 0
        while start < len(written):
            yield written[start : start + cuts[turn % len(cuts)]]
            start, turn = start + cuts[turn % len(cuts)], turn + 1

    arguments = Arguments(fragments())
    try:
        await arguments.begin(*before)
        pieces = [piece async for piece in arguments.text()] if arguments.is_growing else None
        whole = await arguments.whole()
    except HandiworkError:
        # Half a surrogate pair in one of the others.
        assert any("\ud800" <= c <= "\udfff" for text in before.values() for c in text)
        return
    assert whole == {**before, "content": content, "z": [1]}
    assert pieces is None or "".join(pieces) == content


def test_arguments_may_come_from_an_ordinary_iterator(tmp_path: Path) -> None:
    text = json.dumps({"type": "markdown", "title": "Plan", "content": TEXT})
    with handiwork.open_sync(tmp_path / "store", settings=Settings()) as engine:
        session = engine.session("s")
        made = session.write(text[start : start + 9] for start in range(0, len(text), 9))
        assert session.read(made.id).decode() == TEXT
