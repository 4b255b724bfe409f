"""What the verbs of a session say once its engine is closed: one error that tells so, and a text that stays a text."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sides import HASTE, SIDES, Verbs, Where, open_side, serving

import handiwork
from handiwork.errors import EngineClosed
from handiwork.settings import Settings

SETTINGS = Settings.model_validate({"artifacts": {"ready_children": 0}})
VERBS: dict[str, Callable[[Verbs, str], Awaitable[Any]]] = {
    "create": lambda session, _id: session.create("markdown", content="b"),
    "create much": lambda session, _id: session.create("file", content=b"b" * 2**20, name="b.bin"),
    "get": lambda session, id: session.get(id),
    "read": lambda session, id: session.read(id),
    "list": lambda session, _id: session.list(),
    "run": lambda session, _id: session.run("print(1)"),
    "start": lambda session, _id: session.start("print(1)"),
    "revise": lambda session, id: session.revise(id, content="b"),
    "record": lambda session, _id: session.record("call_1", tool="t", result="b"),
    "collect": lambda session, _id: session.collect("```python\nprint(1)\n```"),
    "select": lambda session, id: session.select(id),
    "context": lambda session, _id: session.context(),
    "label": lambda session, id: session.label(id, "a"),
    "remove": lambda session, id: session.remove(id),
    "watch": lambda session, _id: anext(session.watch()),
}


async def demand_closed(session: Verbs, id: str) -> None:
    # Twice, since nothing that is left of the first may hold up the second.
    for name, verb in [*VERBS.items(), *VERBS.items()]:
        with pytest.raises(EngineClosed, match="closed") as closed:
            await asyncio.wait_for(verb(session, id), 5)
        assert "`with`" in (closed.value.hint or ""), name


async def test_every_verb_of_a_closed_engine_says_so_at_once(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path, settings=SETTINGS) as engine:
        session = engine.session("s")
        made = await session.create("markdown", content="a")
    await demand_closed(session, made.id)


async def test_what_was_asked_for_before_the_engine_is_closed_is_stored_and_leaves_nothing_open(tmp_path: Path) -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with handiwork.open(tmp_path, settings=SETTINGS) as engine:
        made = await engine.session("s").create("markdown", content="a")
    before = opened()
    for _ in range(3):
        async with handiwork.open(tmp_path, settings=SETTINGS) as engine:
            calls = [asyncio.ensure_future(engine.session("s").create("markdown", content=f"{n}")) for n in range(20)]
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert len({made.id, *(each.id for each in await asyncio.gather(*calls))}) == 21
    assert opened() == before
    async with handiwork.open(tmp_path, settings=SETTINGS) as engine:
        assert len((await engine.session("s").list(limit=100)).items) == 61


async def test_every_verb_of_a_closed_connection_says_so_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, SETTINGS) as (url, _desk):
        async with handiwork.connect(url, patience=HASTE) as engine:
            session = engine.session("s")
            made = await session.create("markdown", content="a")
        await demand_closed(session, made.id)


@pytest.mark.parametrize("where", SIDES)
async def test_a_text_passes_an_expander_as_it_is_when_nothing_can_be_looked_up_any_more(
    where: Where, tmp_path: Path
) -> None:
    async with open_side(where, tmp_path / "data") as side:
        session = side.session()
        made = await session.create("markdown", content="content")
        text = f'a <artifact id="{made.handle}"/> b'
        awaiting, blocking, open_one = session.expander(), session.expander(), session.expander()
        assert "content" in await open_one.take(text)
    assert await awaiting.take(text) + await awaiting.end() == text
    assert await asyncio.to_thread(lambda: blocking.feed(text) + blocking.close()) == text


async def test_a_tool_of_a_closed_engine_tells_the_model(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path, settings=SETTINGS) as engine:
        tools = engine.session("s").tools()
    answer = await tools.call("list_artifacts", {})
    assert answer.is_error
    assert "closed" in answer.text


def test_without_await_a_closed_engine_says_the_same(tmp_path: Path) -> None:
    with handiwork.open_sync(tmp_path, settings=SETTINGS) as engine:
        session = engine.session("s")
        made = session.create("markdown", content="content")
        text = f'a <artifact id="{made.handle}"/> b'
        expander, tools, pieces = session.expander(), session.tools(), session.stream(made.id)
        assert b"".join(session.stream(made.id)) == b"content"
    for verb in (
        lambda: session.create("markdown", content="b"),
        lambda: session.read(made.id),
        lambda: session.run("print(1)"),
        lambda: next(pieces),
        lambda: next(session.watch()),
        lambda: tools.call("list_artifacts", {}),
        lambda: engine.session("t").list(),
        engine.clean,
    ):
        with pytest.raises(EngineClosed):
            verb()
    assert expander.feed(text) + expander.close() == text
