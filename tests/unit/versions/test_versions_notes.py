from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import InvalidContent
from handiwork.versions.notes import LARGEST_BYTES, LONGEST_TEXT, demand_object, demand_texts


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["a"] = value
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": float("nan")}, "not finite"),
        ({"a": [float("-inf")]}, "not finite"),
        ({"a": "\ud800"}, "surrogate"),
        ({"\udfff": 1}, "whole characters"),
        ({"a": "b\0c"}, "NUL"),
        ({"a": [{"b\0": 1}]}, "NUL"),
        ({"a": {1, 2}}, "a set"),
        ({"a": b"bytes"}, "a bytes"),
        ({1: "a"}, "a name"),
        ({"a": 10**5000}, "too many digits"),
        ({"a": "x" * LARGEST_BYTES}, "more bytes"),
        ({"a": ["x" * 1000] * 10**6}, "more bytes"),
        (nested(300), "levels"),
        (nested(100_000), "levels"),
        (endless(), "levels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_not_every_store_takes_is_refused_with_the_reason(value: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidContent, match=why) as refused:
        demand_object("facts", value)
    assert refused.value.subject == "facts"
    assert len(str(refused.value)) < 300


@given(
    st.dictionaries(st.text("a\u2028é𝄞\x01"), st.none() | st.booleans() | st.integers() | st.text("ab\x7f"), max_size=9)
)
def test_plain_json_is_taken(value: dict[str, Any]) -> None:
    demand_object("metadata", {"one": value, "many": [value, 1.5, None]})


@pytest.mark.parametrize(
    ("text", "why"), [("a\0b", "NUL"), ("\ud800", "surrogate"), ("x" * (LONGEST_TEXT + 1), "1,001")]
)
def test_a_text_that_not_every_store_takes_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidContent, match=why) as refused:
        demand_texts(language="python", reason=text)
    assert refused.value.subject == "reason"


def test_other_texts_are_taken() -> None:
    demand_texts(language=None, reason="x" * LONGEST_TEXT)
    demand_texts(reason="tab\tand line\n, é, 𝄞")
