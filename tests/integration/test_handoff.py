"""What agents hand to each other through a session, from both sides."""

from pathlib import Path
from typing import Any

import pytest
from sides import Side

import handiwork
from handiwork.context.artifact_store import ArtifactStore, Record
from handiwork.context.revealing import Audience, Reveal
from handiwork.errors import HandleTaken, InvalidContent, InvalidName
from handiwork.references import Mention, pieces_of

CASES = [
    ("markdown", "# Dark mode", "markdown", "text/markdown"),
    ("", "plain", "markdown", "text/markdown"),
    ("python", "print(1)", "code", "text/x-python"),
    ("json", '{"a": 1}', "json", "application/json"),
    ("json", "{oops", "code", "application/json"),
    ("csv", "a,b\n1,2", "csv", "text/csv"),
    ("html", "<p>x</p>", "html-sandboxed", "text/html"),
    ("nonsense", "+++", "code", "text/plain"),
]

READERS: list[tuple[Audience, Reveal]] = [
    ("user", "summary"), ("model", "summary"), ("agent", "none"), ("agent", "summary"), ("agent", "full"),
]  # fmt: skip
PARTS = ["", " version='1'", " version='7'", " select='lines=1:2'", " select='rows=0:1'", " select='path=$.a'"]


def written(content: str, *, info: str = "markdown", summary: str = "Dark mode") -> str:
    return f"ARTIFACT\nARTIFACT_SUMMARY: {summary}\n\n~~~{info}\n{content}\n~~~"


@pytest.mark.parametrize(("info", "content", "type_", "media_type"), CASES)
async def test_what_is_marked_is_stored_as_what_its_fence_says(
    info: str, content: str, type_: str, media_type: str, side: Side
) -> None:
    session = side.session()
    told = await session.handoff(written(content, info=info))
    (piece,) = pieces_of(told)
    assert isinstance(piece, Mention)
    made = await session.get(piece.reference.id)
    assert (made.type, made.media_type, made.title, made.version.summary) == (
        type_,
        media_type,
        "Dark mode",
        "Dark mode",
    )
    assert (await session.read(made.id)).decode() == content
    assert made.handle.startswith("draft_")


@pytest.mark.parametrize("info", ["x" * 300, "py\tx", "\u202ex", "\x07", "{.python .x}", "日本"])
async def test_what_a_fence_says_never_makes_the_content_go_lost(info: str, side: Side) -> None:
    session = side.session()
    (piece,) = pieces_of(await session.handoff(written("print(1)", info=info)))
    assert isinstance(piece, Mention)
    assert await session.read(piece.reference.id) == b"print(1)"


async def test_others_see_as_much_as_is_revealed(side: Side) -> None:
    session = side.session()
    assert await session.handoff("Just words.") == "Just words."
    assert await session.handoff(written("a\n```\nb\n```"), reveal="full") == "````markdown\na\n```\nb\n```\n````"
    hidden = await session.handoff(written("secret"), reveal="none")
    assert "Dark" not in hidden
    assert await session.expand(hidden) == "secret"


async def test_records_keep_content_summary_and_who_made_them(side: Side) -> None:
    session = side.session()
    store = handiwork.ArtifactStore.over(session)
    await store.set("draft_k3x9", {"content": "one", "summary": "s", "created_by": "writer"})
    assert await store.get("draft_k3x9") == Record(content="one", summary="s", created_by="writer")
    assert (await store.has("draft_k3x9"), await store.has("draft_0000"), await store.get("draft_0000")) == (
        True, False, None,
    )  # fmt: skip
    assert (await session.get("draft_k3x9")).type == "markdown"


async def test_what_has_been_set_stays(side: Side) -> None:
    session = side.session()
    store = handiwork.ArtifactStore.over(session)
    await store.set("draft_k3x9", "one")
    await store.set("draft_k3x9", "one")
    with pytest.raises(HandleTaken):
        await store.set("draft_k3x9", "two")
    with pytest.raises(InvalidName, match="draft_k3x9"):
        await store.set("no handle", "two")
    assert await session.read("draft_k3x9") == b"one"
    await side.session("other").create("markdown", content="two", handle="draft_k3x9")


@pytest.mark.parametrize("more", PARTS)
async def test_memory_and_a_session_show_the_same_of_a_reference(more: str, side: Side) -> None:
    stores = (ArtifactStore(), ArtifactStore.over(side.session()))
    texts = {"markdown": "# T\n\nb\n", "json": '{"a": [1]}', "csv": "a,b\n1,2\n3,4\n", "python": "x = 1\ny = 2\n"}
    for number, (info, content) in enumerate(texts.items()):
        id, record = f"draft_000{number}", Record(content=content, summary="It is.", info=info)
        for store in stores:
            await store.add(record, id=id)
        for audience, reveal in READERS:
            text = f"Here: <artifact id='{id}'{more}/>"
            shown = [store.expander(audience, reveal=reveal) for store in stores]
            first, second = [await each.take(text) + await each.end() for each in shown]
            assert first == second


async def test_clearing_takes_what_came_through_the_store_and_nothing_else(side: Side) -> None:
    session = side.session()
    await session.create("markdown", content="mine", handle="mine_0001", summary="Mine")
    store = handiwork.ArtifactStore.over(session)
    id = await store.add(Record(content="one"))
    await store.clear()
    assert (await store.has(id), await store.has("mine_0001")) == (False, True)
    assert (await session.get("mine_0001")).version.summary == "Mine"


def test_a_program_without_a_loop_hands_over_too(tmp_path: Path) -> None:
    with handiwork.open_sync(tmp_path) as engine:
        session = engine.session("s", principal="agent")
        assert session.expand(session.handoff(written("# Dark"))) == "# Dark"


def test_a_store_over_a_session_that_cannot_be_awaited_is_refused(tmp_path: Path) -> None:
    with handiwork.open_sync(tmp_path / "sync") as engine:
        session: Any = engine.session("s")
        with pytest.raises(InvalidContent, match=r"`session` is not valid: expected one of `handiwork\.open`"):
            handiwork.ArtifactStore.over(session)
