import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from handiwork.context import expander as expanding
from handiwork.context.expander import MOST_ADDED_BYTES, MOST_LOOKED_UP, Expander, Revealed, fenced
from handiwork.errors import ArtifactNotFound
from handiwork.references import MOST_HELD, Reference

CONTENTS = {
    "short_0001": Revealed(text="SHORT"),
    "nested_001": Revealed(text='<artifact id="short_0001"/>'),
    "code_00001": Revealed(text="print(1)", fence="python"),
    "ticks_0001": Revealed(text="````\nx\n````\n", fence="markdown", is_closed_in=True),
    "half_00001": Revealed(text="<artifact id="),
}
TEXT = (
    'Here: <artifact id="short_0001" summary="s"/>, then <artifact id="nope_0001"/>\n<artifact id=\'code_00001\'/>'
    'and\n```py\n<artifact id="code_00001"/>\n```\n<artifact id="nested_001"/> <artifact id="ticks_0001">'
    '<artifact id="half_00001"/>"short_0001"/> and <artifact id="short_0001'
)
EXPANDED = (
    'Here: SHORT, then <artifact id="nope_0001"/>\n```python\nprint(1)\n```\n'
    'and\n```py\nprint(1)\n```\n<artifact id="short_0001"/> \n`````markdown\n````\nx\n````\n`````\n'
    '<artifact id="short_0001"/> and <artifact id="short_0001'
)


async def resolve(reference: Reference, *, room: int) -> Revealed | None:
    assert room > 0
    if reference.id not in CONTENTS:
        raise ArtifactNotFound(reference.id)
    return CONTENTS[reference.id]


async def expanded(chunks: list[str]) -> str:
    expander = Expander(resolve)
    return "".join([await expander.take(chunk) for chunk in chunks]) + await expander.end()


@pytest.mark.parametrize("at", range(len(TEXT) + 1))
async def test_a_text_expands_the_same_wherever_it_is_cut(at: int) -> None:
    assert await expanded([TEXT[:at], TEXT[at:]]) == EXPANDED


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64])
async def test_a_text_expands_the_same_in_pieces_of_any_size(size: int) -> None:
    assert await expanded([TEXT[at : at + size] for at in range(0, len(TEXT), size)]) == EXPANDED


async def test_what_can_be_awaited_and_what_blocks_give_the_same() -> None:
    async def chunks() -> AsyncGenerator[str]:
        for character in TEXT:
            yield character

    def blocking() -> str:
        expander = Expander(resolve)
        return "".join(map(expander.feed, TEXT)) + expander.close()

    assert "".join([piece async for piece in Expander(resolve).over(chunks())]) == EXPANDED
    assert await asyncio.to_thread(blocking) == EXPANDED


async def test_text_is_given_back_at_once() -> None:
    expander = Expander(resolve)
    assert await expander.take("a < b and ") == "a < b and "
    assert (await expander.take("<arti"), expander.held) == ("", "<arti")
    assert await expander.take("cle> ") == "<article> "
    assert (await expander.take('<artifact id="short_0001"'), await expander.take("/>")) == ("", "SHORT")
    assert await expander.take("<artifact id='" + "x" * 2 * MOST_HELD) == "<artifact id='" + "x" * 2 * MOST_HELD


async def test_references_add_so_much_and_no_more() -> None:
    rooms: list[int] = []

    async def large(_reference: Reference, *, room: int) -> Revealed:
        rooms.append(room)
        return Revealed(text="é" * (room // 2))

    expander = Expander(large)
    text = "<artifact id='a'/>" * 1000
    found = await expander.take(text) + await expander.end()
    assert len(found.encode()) <= MOST_ADDED_BYTES + len(text)
    assert found.endswith("<artifact id='a'/>")
    assert sum(rooms) == MOST_ADDED_BYTES


async def test_only_so_many_references_are_looked_up() -> None:
    asked: list[str] = []

    async def unknown(reference: Reference, *, room: int) -> None:
        asked.append(f"{reference.id} {room}")

    text = "<artifact id='a'/>" * (2 * MOST_LOOKED_UP)
    expander = Expander(unknown)
    assert await expander.take(text) + await expander.end() == text
    assert len(asked) == MOST_LOOKED_UP


def test_blocking_ends_when_the_store_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_reference: Reference, *, room: int) -> Revealed:
        await asyncio.Event().wait()
        return Revealed(text=str(room))

    monkeypatch.setattr(expanding, "WAIT_SECONDS", 0.05)
    begin = time.monotonic()
    assert Expander(never).feed("<artifact id='a'/>.") == "<artifact id='a'/>."
    # So it does where the loop of an engine without `await` is waited for.
    with start_blocking_portal() as portal:
        assert Expander(never).waiting(portal.call).feed("<artifact id='a'/>.") == "<artifact id='a'/>."
    assert time.monotonic() - begin < 4


async def shown(text: str, content: str, **revealed: Any) -> str:
    async def found(_reference: Reference, *, room: int) -> Revealed:
        return Revealed(text=content[:room], **revealed)

    expander = Expander(found)
    told = "".join([await expander.take(character) for character in text]) + await expander.end()
    whole = Expander(found)
    assert await whole.take(text) + await whole.end() == told
    return told


@pytest.mark.parametrize(
    "content", ["a\n```\nb", "```", "a\n  ```  ", "a\r```\rb", "a\r\n```\r\n", "```\n<b>", "```\n```py\n"]
)
async def test_a_text_that_would_close_the_fence_around_it_stays_a_reference(content: str) -> None:
    text = "```\n<artifact id='a'/>\n```\nafter"
    assert await shown(text, content) == text
    assert await shown(text, content, fence="md", is_closed_in=True) == text
    # It closes no fence of another kind, and none of more characters.
    for fence in ("~~~", "`````"):
        other = text.replace("```", fence)
        assert await shown(other, content) == other.replace("<artifact id='a'/>", content)


@pytest.mark.parametrize("content", ["a\n```py\nb", "~~~\n", "    ```", "a ``` b", "x\n"])
async def test_a_text_that_leaves_the_fence_around_it_open_is_shown(content: str) -> None:
    assert await shown("```\n<artifact id='a'/>\n```\nafter", content) == f"```\n{content}\n```\nafter"


async def test_what_is_always_in_a_fence_does_not_end_the_one_around_it() -> None:
    for outer, inner in (("```", "~~~"), ("~~~", "```")):
        told = await shown(f"{outer}\n<artifact id='a'/>\n{outer}\n", "text", fence="md", is_closed_in=True)
        assert told == f"{outer}\n{inner}md\ntext\n{inner}\n\n{outer}\n"


@pytest.mark.parametrize(
    ("content", "ended"),
    [
        ("a\n```py\nb", "a\n```py\nb\n```\n"),
        ("a\n~~~~\nb\n```\n", "a\n~~~~\nb\n```\n~~~~\n"),
        ("a\n```py\nb\n```", "a\n```py\nb\n```\n"),
        ("a\n```py", "a\n```py\n```\n"),
        ("a\r```py\rb", "a\r```py\rb\n```\n"),
        ("```a``` b", "```a``` b"),
        ("a\n```py\nb\n```\nc", "a\n```py\nb\n```\nc"),
    ],
)
async def test_prose_leaves_no_fence_open_for_what_follows(content: str, ended: str) -> None:
    assert await shown("<artifact id='a'/>after", content) == f"{ended}after"
    noted = await shown("<artifact id='a'/>", content, note="[cut]")
    assert noted == (f"{ended}[cut]" if ended != content else f"{content}\n[cut]")


async def test_code_in_a_line_opens_no_fence() -> None:
    told = await shown("```a```\n<artifact id='a'/>", "x", fence="py")
    assert told == "```a```\n```py\nx\n```\n"


def test_a_fence_is_longer_than_any_in_it() -> None:
    assert fenced("x") == "```\nx\n```"
    assert fenced("a ```` b\n", info="md") == "`````md\na ```` b\n`````"
    assert fenced("") == "```\n```"
