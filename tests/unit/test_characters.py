"""Halves of characters: found, joined or replaced, and everything else left as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.characters import HALF, whole_characters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("whole é \U0001f600", "whole é \U0001f600"),
        ("\ud83d\ude00", "\U0001f600"),
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
    ],
)
def test_halves_are_joined_or_replaced(text: str, expected: str) -> None:
    assert whole_characters(text) == expected


@given(st.text(st.characters(exclude_categories=())))
def test_utf_8_holds_what_comes_of_any_text_and_what_it_could_hold_stays(text: str) -> None:
    whole = whole_characters(text)
    assert whole.encode().decode() == whole
    assert HALF.search(whole) is None
    assert HALF.search(text) is not None or whole == text
