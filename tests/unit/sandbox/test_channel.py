"""The output of a job as it comes: kept up to a limit, and told in pieces to whoever listens."""

import asyncio
import os
from collections.abc import AsyncGenerator

import pytest

from handiwork.sandbox.channel import TOLD_BYTES, TOLD_SECONDS, Tail


class Spoken:
    """The writing end of a job's output, what was told of it, and the tail in between."""

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        self.pieces: list[tuple[int, str]] = []
        self.tail = Tail(reading, limit=64 * 1024)
        self.tail.listen(lambda offset, text: self.pieces.append((offset, text)))

    def say(self, text: str) -> None:
        os.write(self.writing, text.encode())

    async def end(self) -> str:
        os.close(self.writing)
        self.writing = -1
        return await self.tail.text(within=5)

    async def told(self, count: int) -> list[tuple[int, str]]:
        async with asyncio.timeout(5):
            while len(self.pieces) < count:  # noqa: ASYNC110  # it is told by time
                await asyncio.sleep(TOLD_SECONDS / 4)
        return self.pieces


@pytest.fixture
async def spoken() -> AsyncGenerator[Spoken]:
    spoken = Spoken()
    yield spoken
    spoken.tail.close()
    if spoken.writing >= 0:
        os.close(spoken.writing)


async def test_what_came_together_is_told_together_and_no_character_is_cut(spoken: Spoken) -> None:
    whole = "one\ntwo €"
    os.write(spoken.writing, whole.encode()[:-1])
    assert await spoken.told(1) == [(0, "one\ntwo ")]
    os.write(spoken.writing, whole.encode()[-1:])
    assert await spoken.told(2) == [(0, "one\ntwo "), (8, "€")]
    assert await spoken.end() == whole


@pytest.mark.parametrize("sign", ["a", "é", "€", "😀"])
async def test_wherever_a_flood_is_cut_its_characters_are_whole(spoken: Spoken, sign: str) -> None:
    flood = "x" + sign * TOLD_BYTES
    spoken.say(flood)
    await spoken.end()
    assert spoken.pieces
    for offset, text in spoken.pieces:
        assert flood.encode()[offset:].decode().startswith(text)


async def test_the_end_is_told_with_what_has_no_end_of_line(spoken: Spoken) -> None:
    spoken.say("one\ntwo")
    assert await spoken.end() == "one\ntwo"
    assert "".join(text for _offset, text in spoken.pieces) == "one\ntwo"


async def test_of_a_flood_the_newest_is_told_and_all_is_kept(spoken: Spoken) -> None:
    flood = "".join(f"{number:07}\n" for number in range(4000))
    for begin in range(0, len(flood), 8000):
        spoken.say(flood[begin : begin + 8000])
        await asyncio.sleep(0)
    assert await spoken.end() == flood
    assert all(len(text) <= TOLD_BYTES for _offset, text in spoken.pieces)
    assert all(flood[offset : offset + len(text)] == text for offset, text in spoken.pieces)
    assert sum(len(text) for _offset, text in spoken.pieces) < len(flood), "control: it was too much to tell"


async def test_a_line_without_end_is_told_all_the_same(spoken: Spoken) -> None:
    spoken.say("x" * (TOLD_BYTES + 10))
    assert await spoken.told(1) == [(10, "x" * TOLD_BYTES)]
