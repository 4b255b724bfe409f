import re
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handiwork.errors import InvalidContent
from handiwork.versions.differences import (
    MISSING,
    MOST_COMPARED,
    MOST_DIFFERENCES,
    MOST_SHOWN,
    Json,
    Tokens,
    ValueDifference,
    changes,
    demand_json,
    fault_of,
    text_difference,
    value_differences,
)

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n")
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5]) | st.text("ab", max_size=2)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text("ab ", max_size=1), v), max_leaves=12
)


def lines_of(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def patched(old: str, difference: str) -> str:
    """Apply a unified diff as other programs would, and check every line that it says it finds."""
    before, done, at = lines_of(old), list[str](), 0
    told = lines_of(difference)[2:]
    for number, line in enumerate(told):
        sign, content = line[0], line[1:]
        if number + 1 < len(told) and told[number + 1].startswith("\\"):
            content = content.removesuffix("\n")
        if hunk := HUNK.fullmatch(line):
            start = int(hunk[1]) - (hunk[2] != "0")
            done += before[at:start]
            at = start
            assert len(done) == int(hunk[3]) - (hunk[4] != "0")
        elif sign == "+":
            done.append(content)
        elif sign in " -":
            assert before[at] == content
            done += [content] if sign == " " else []
            at += 1
    return "".join([*done, *before[at:]])


def test_a_text_difference_has_three_lines_of_context() -> None:
    old = "".join(f"{n}\n" for n in range(1, 21))
    new = old.replace("5\n", "five\n", 1).replace("20\n", "20\n21")
    assert text_difference(old, new) == (
        "--- old\n+++ new\n"
        "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        "@@ -18,3 +18,4 @@\n 18\n 19\n 20\n+21\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize(
    ("old", "new"), [("", "a\n"), ("a\n", ""), ("a", "a\n"), ("a\r\n", "a\n"), ("a\n", "a\x0cb\n")]
)
def test_small_texts_differ_in_full(old: str, new: str) -> None:
    assert patched(old, text_difference(old, new)) == new


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc\n"), max_size=60), st.lists(st.sampled_from("abc\n"), max_size=60))
def test_a_text_difference_leads_from_the_old_text_to_the_new(old: Sequence[str], new: Sequence[str]) -> None:
    before, now = "".join(old), "".join(new)
    difference = text_difference(before, now)
    assert patched(before, difference) == now
    assert (difference == "") == (before == now)


def test_a_long_difference_says_what_is_left_out() -> None:
    difference = text_difference("", "a\n" * MOST_SHOWN)
    assert len(difference) < MOST_SHOWN + 100
    assert difference.endswith("more lines of this difference are left out\n")


def test_very_large_texts_are_summed_up() -> None:
    assert text_difference("a\n", "b" * MOST_COMPARED) == (
        "Too large to compare by line: 2 characters in 1 line before, 8,000,000 characters in 1 line now.\n"
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=40), st.lists(st.integers(0, 4), max_size=40))
def test_changes_lead_from_one_sequence_to_the_other_without_touching(old: list[int], new: list[int]) -> None:
    done: list[int] = []
    at = -1
    for change in changes(old, new):
        assert at < change.old_start or at == -1
        assert old[max(at, 0) : change.old_start] == new[len(done) : change.new_start]
        done += old[max(at, 0) : change.old_start] + new[change.new_start : change.new_end]
        assert change.old_end > change.old_start or change.new_end > change.new_start
        at = change.old_end
    assert done + old[max(at, 0) :] == new


def test_changes_are_few() -> None:
    assert [tuple(change) for change in changes("abcabba", "cbabac")] != [(0, 7, 0, 6)]
    assert [tuple(change) for change in changes("xaxbxc", "xaxxc")] == [(3, 4, 3, 3)]
    assert [tuple(change) for change in changes("1234", "12x34")] == [(2, 2, 2, 3)]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([0] * 10_000, [0, 1] * 5_000),
        ([n * n % 2 for n in range(10_000)], [n // 3 % 2 for n in range(10_000)]),
        ([n // 2 for n in range(10_000)], [n * 7919 % 10_007 // 2 for n in range(10_000)]),
        (list(range(10_000)), list(range(9_999, -1, -1))),
    ],
)
def test_hostile_sequences_take_bounded_time(old: list[int], new: list[int]) -> None:
    assert changes(old, new)


def test_values_differ_by_path() -> None:
    old: Json = {"a": [1, {"b": 2, "c d": 3}, 4], "gone": None, "same": {"x": [1]}}
    new: Json = {"same": {"x": [1]}, "a": [1, {"b": 20, "c d": 3}, 4, 5], "it's": True}
    assert value_differences(old, new).differences == (
        ValueDifference(path="$.a[1].b", was=2, now=20),
        ValueDifference(path="$.a[3]", was=MISSING, now=5),
        ValueDifference(path="$.gone", was=None, now=MISSING),
        ValueDifference(path="$['it\\'s']", was=MISSING, now=True),
    )


def test_what_is_missing_is_left_out_of_the_facts_and_null_is_not() -> None:
    added, removed = value_differences({"b": None}, {"a": None}).differences[::-1]
    assert added.as_facts() == {"path": "$.a", "now": None}
    assert removed.as_facts() == {"path": "$.b", "was": None}


@pytest.mark.parametrize(("old", "new"), [(1, 1.0), (1, True), (0, False), (0.0, -0.0), ("1", 1), ([], {}), (None, [])])
def test_values_of_different_kinds_differ(old: Json, new: Json) -> None:
    assert value_differences(old, new).differences == (ValueDifference(path="$", was=old, now=new),)
    tokens = Tokens()
    assert tokens.of([old]) != tokens.of([new])


def test_an_element_that_was_put_in_front_is_one_difference() -> None:
    assert value_differences([1, 2, 3], [0, 1, 2, 3]).differences == (ValueDifference(path="$[0]", was=MISSING, now=0),)


def test_many_differences_are_counted() -> None:
    found = value_differences({str(n): 0 for n in range(1000)}, {str(n): 1 for n in range(1000)})
    assert (len(found.differences), found.left_out) == (MOST_DIFFERENCES, 1000 - MOST_DIFFERENCES)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_equal_values_have_no_difference_and_others_have_one(old: Json, new: Json) -> None:
    assert value_differences(old, old).differences == ()
    tokens = Tokens()
    assert (tokens.of(old) == tokens.of(new)) == (value_differences(old, new).differences == ())


def test_the_order_of_names_is_no_difference() -> None:
    assert value_differences({"a": 1, "b": 2}, {"b": 2, "a": 1}).differences == ()


def nested(levels: int) -> object:
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_depth_is_bound() -> None:
    deepest = cast("Json", nested(200))
    assert fault_of(deepest) is None
    assert value_differences(deepest, [deepest]).differences
    assert "200 levels" in str(fault_of(nested(201)))
    endless: list[object] = []
    endless += [endless, endless]
    assert "200 levels" in str(fault_of(endless))
    with pytest.raises(InvalidContent, match=r"`it`.*200 levels"):
        demand_json(cast("Json", nested(100_000)), "it")


@pytest.mark.timeout(20)
def test_numbers_whose_hashes_collide_take_no_longer() -> None:
    numbers: list[Json] = [n * ((1 << 61) - 1) for n in range(20_000)]
    assert len(value_differences(numbers, numbers[1:]).differences) == 1
