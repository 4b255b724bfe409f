"""What is noted of a text while it passes: places where lines begin, in whatever chunks it comes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handiwork.media import places
from handiwork.media.places import LINES, Place, Places
from handiwork.versions import surveys
from handiwork.versions.surveys import Survey

law = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@dataclass(frozen=True)
class Crumbs:
    """Content that comes in chunks of these sizes, and the rest as one."""

    data: bytes
    sizes: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    async def chunks(self) -> AsyncIterator[bytes]:
        start = 0
        for size in self.sizes:
            yield self.data[start : start + size]
            start += size
        yield self.data[start:]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take short content for long."""
    monkeypatch.setattr(surveys, "OUTLINED_BYTES", 10)
    monkeypatch.setattr(surveys, "APART_BYTES", 4)
    monkeypatch.setattr(places, "APART_BYTES", 1)


async def found(content: Crumbs, media_type: str = "text/plain") -> list[Place]:
    known = Places()
    survey = Survey(content, media_type=media_type, places=known)
    assert b"".join([chunk async for chunk in survey.chunks()]) == content.data
    return [place for units, each in known.known() for place in each if units == LINES]


@law
@given(st.text("ab\n\r", min_size=11, max_size=60), st.lists(st.integers(0, 9), max_size=8).map(tuple))
async def test_at_each_place_a_line_begins_that_has_so_many_before_it(text: str, sizes: tuple[int, ...]) -> None:
    data = text.encode()
    all_ = await found(Crumbs(data, sizes))
    assert [place.count for place in all_] == [data.count(b"\n", 0, place.offset) for place in all_]
    assert all(data[place.offset - 1 : place.offset] == b"\n" for place in all_)
    assert all_ == await found(Crumbs(data))
    # No further apart than they have to be: from where one is due, the next line end is one.
    due = 4
    for place in all_:
        assert data.find(b"\n", due) + 1 == place.offset
        due = place.offset + 4
    assert b"\n" not in data[due:]


@pytest.mark.parametrize("sizes", [(), (1,), (0, 1, 1)])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
async def test_in_text_whose_bytes_are_not_read_as_they_are_there_is_no_place(
    encoding: str, sizes: tuple[int, ...]
) -> None:
    text = "\ufefflines\nof\ntext\n"
    assert await found(Crumbs(text.encode(), sizes)) != []
    assert await found(Crumbs(text.encode(encoding), sizes)) == []


async def test_what_is_no_text_or_short_is_let_through_as_it_is() -> None:
    data = b"one\ntwo\nthree\n"
    assert await found(Crumbs(data)) != []
    assert await found(Crumbs(data), "image/png") == []
    assert await found(Crumbs(data[:10])) == []
