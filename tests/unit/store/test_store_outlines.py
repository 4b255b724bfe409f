"""What is kept of long content is understood as it was told, of that content alone, and not when it was changed."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.media.places import APART_BYTES, Place, Places
from handiwork.model import Version
from handiwork.store.outlines import Outline, told, understood
from handiwork.store.pieces import OUTLINED_BYTES, PIECE_BYTES, Measure
from memory_store import measured
from sample_records import filed

SIZE = OUTLINED_BYTES + PIECE_BYTES + 5
DATA = bytes(SIZE - 4) + b"abcd"
VERSION = replace(filed(size=SIZE).artifact.version, sha256=hashlib.sha256(DATA).hexdigest())


def outline(*places: Place, units: str = "rows,") -> Outline:
    known = Places()
    known.learn(units, places)
    made = Outline.of(measured(DATA), known)
    assert made is not None
    return made


@given(st.lists(st.integers(1, 10**9), max_size=20), st.text(max_size=3))
def test_an_outline_is_understood_as_it_was_told(steps: list[int], units: str) -> None:
    places = [Place(APART_BYTES * number, sum(steps[:number])) for number in range(1, len(steps) + 1)]
    known = outline(*places, units=units)
    assert understood(told(known, VERSION), VERSION) == known


def test_of_short_content_there_is_none() -> None:
    assert Outline.of(measured(DATA[:OUTLINED_BYTES])) is None
    assert Outline.of(measured(DATA[: OUTLINED_BYTES + 1])) is not None


@pytest.mark.parametrize("other", [replace(VERSION, size=SIZE + 1), replace(VERSION, sha256="0" * 64)])
def test_what_was_told_of_other_content_is_not_understood(other: Version) -> None:
    kept = told(outline(Place(APART_BYTES, 9)), VERSION)
    assert understood(kept, VERSION) is not None
    assert understood(kept, other) is None


def test_no_change_of_a_character_and_no_cut_is_understood() -> None:
    kept = told(outline(Place(APART_BYTES, 9)), VERSION)
    for at in range(len(kept)):
        assert understood(kept[:at] + chr(ord(kept[at]) ^ 1) + kept[at + 1 :], VERSION) is None
        assert understood(kept[:at], VERSION) is None
        assert understood(kept[at + 1 :], VERSION) is None


def test_pieces_of_another_number_than_the_size_has_are_not_understood() -> None:
    known = outline()
    for pieces in (known.pieces[:-32], known.pieces + known.pieces[:32], b""):
        assert understood(told(Outline(pieces=pieces), VERSION), VERSION) is None


@given(st.lists(st.integers(0, 3 * PIECE_BYTES), max_size=12))
def test_content_is_measured_the_same_in_whatever_pieces_it_comes(sizes: list[int]) -> None:
    measure, position = Measure(), 0
    for size in sizes:
        measure.take(DATA[position : position + size])
        position = min(position + size, SIZE)
        assert measure.stored == measured(DATA[:position])
