"""JSON on a connection: what the standard library writes and reads, and long values not where the event loop runs."""

import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.client import json_bodies
from handiwork.client.json_bodies import READ_HERE_BYTES, WRITTEN_HERE_BYTES, halved_in, json_of, unhurried, value_of

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.text() | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=20)


class Watched(dict[str, Any]):
    """An object that notes which threads read it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.threads: set[int] = set()

    def items(self) -> Any:
        self.threads.add(threading.get_ident())
        return super().items()


@given(VALUES)
def test_a_value_is_written_in_parts_as_it_is_as_a_whole(value: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bodies, "WRITTEN_HERE_BYTES", 3)
        assert b"".join(json_bodies._parts(value)) == json.dumps(value, ensure_ascii=False).encode()  # pyright: ignore[reportPrivateUsage]  # without a thread for each


@pytest.mark.parametrize(
    ("length", "is_here"), [(100, True), (WRITTEN_HERE_BYTES, False), (20 * WRITTEN_HERE_BYTES, False)]
)
async def test_what_is_long_is_written_in_a_thread(length: int, is_here: bool) -> None:
    value = Watched({"text": "x" * length})
    assert json.loads(await json_of(value)) == value
    assert value.threads
    assert (value.threads == {threading.get_ident()}) is is_here


@pytest.mark.parametrize("wrong", [float("nan"), {1, 2}, {(1, 2): 3}])
@pytest.mark.parametrize("beside", ["", "x" * 2 * WRITTEN_HERE_BYTES])
async def test_what_is_no_json_is_refused_however_long_it_is(wrong: object, beside: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        await json_of([beside, wrong])


async def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises((ValueError, RecursionError)):
        await json_of(value)


@pytest.mark.parametrize("length", [100, 2 * READ_HERE_BYTES])
async def test_what_is_written_is_read(length: int) -> None:
    value = {"text": "x" * length, "list": [1, None, True]}
    assert await value_of(await json_of(value)) == value


@pytest.mark.parametrize(("length", "is_here"), [(100, True), (2 * WRITTEN_HERE_BYTES, False)])
async def test_work_on_what_is_long_is_done_in_a_thread(length: int, is_here: bool) -> None:
    done_in = await unhurried({"items": [0] * length}, threading.get_ident)
    assert (done_in == threading.get_ident()) is is_here


@pytest.mark.parametrize("beside", ["", "x" * 2 * WRITTEN_HERE_BYTES])
async def test_half_a_character_is_refused_and_told_by_the_name_that_it_is_under(beside: str) -> None:
    value = {"whole": "ü\U0001f600", "beside": beside, "halved": ["a\ud800"]}
    with pytest.raises(UnicodeEncodeError):
        await json_of(value)
    assert await halved_in(value) == "halved"
    assert await halved_in({"whole": "ü\U0001f600"}) is None


@given(st.lists(SCALARS, max_size=3))
def test_a_long_list_is_written_in_runs_as_it_is_as_a_whole(few: list[object]) -> None:
    value = [*few, *range(300), "x" * WRITTEN_HERE_BYTES, *few, [few] * 300]
    assert b"".join(json_bodies._parts(value)) == json.dumps(value, ensure_ascii=False).encode()  # pyright: ignore[reportPrivateUsage]  # without a thread


async def test_half_a_character_is_looked_for_beside_what_is_no_json() -> None:
    assert await halved_in({"what": object(), "title": "\ud800"}) == "title"
    assert await halved_in({"what": ["x" * WRITTEN_HERE_BYTES, object()], "title": "whole"}) is None
