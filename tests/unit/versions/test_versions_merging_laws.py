"""What holds of every merge: changes of different places all come through, and a conflict shows both sides as they are.

That nothing which one side touched alone is lost or comes back, of texts by line, values by path and tables by row.
"""

import copy
import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st

from handiwork.versions.differences import MISSING, Json, Tokens
from handiwork.versions.merging import merge_values
from handiwork.versions.merging_tables import merge_tables
from handiwork.versions.merging_text import Merged, merge_texts

Content = TypeVar("Content")

TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "a\r\n", "\n", "d"]), max_size=8).map("".join)
SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.text("ab", max_size=1)
KEYED = st.dictionaries(st.sampled_from("abcd"), SCALARS, max_size=4).map(
    lambda rows: [{"id": key, "n": n} for key, n in rows.items()]
)
VALUES = st.recursive(
    SCALARS | KEYED,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=10,
)
ROWS = st.dictionaries(st.sampled_from("pqrs"), st.tuples(st.sampled_from("01"), st.sampled_from("01")))

Touch = tuple[int, str]
"""Which side touches a place, 2 being neither, and how."""
TOUCHES = st.tuples(st.integers(0, 2), st.sampled_from(["change", "remove", "add"]))


def table(rows: Mapping[str, Sequence[str]]) -> str:
    return "id,a,b\n" + "".join(f"{key},{','.join(cells)}\n" for key, cells in rows.items())


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@settings(deadline=None)
@given(st.lists(TOUCHES, max_size=10))
def test_changes_of_different_lines_all_come_through(touches: list[Touch]) -> None:
    def lines(*sides: int) -> str:
        found: list[str] = []
        for number, (side, how) in enumerate(touches):
            line = f"line {number}"
            if side not in sides:
                found.append(line)
            elif how == "change":
                found.append(f"{line} of {side}")
            elif how == "add":
                found += [line, f"after {line} of {side}"]
        return "".join(f"{line}\n" for line in found)

    assert merge_texts(lines(), lines(0), lines(1)).content == lines(0, 1)
    assert merge_texts(lines(), lines(1), lines(0)).content == lines(0, 1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(st.sampled_from("xyz"), min_size=1, max_size=3), TOUCHES), max_size=8))
def test_changes_of_different_paths_all_come_through(touches: list[tuple[list[str], Touch]]) -> None:
    def value(*sides: int) -> Json:
        root: Any = {}
        for number, (path, (side, how)) in enumerate(touches):
            inner = root
            for name in path:
                inner = inner.setdefault(name, {})
            name = f"leaf {number}"
            if side not in sides:
                inner[name] = number
            elif how == "change":
                inner[name] = [side, number]
            elif how == "add":
                inner |= {name: number, f"new {number}": side}
        return root

    tokens = Tokens()
    assert tokens.of(merge_values(value(), value(0), value(1)).content) == tokens.of(value(0, 1))


@settings(deadline=None)
@given(st.lists(TOUCHES, min_size=1, max_size=8))
def test_changes_of_different_elements_by_key_all_come_through(touches: list[Touch]) -> None:
    def elements(*sides: int) -> list[Json]:
        found: list[Json] = []
        for number, (side, how) in enumerate(touches):
            if side not in sides:
                found.append({"id": number, "n": 0})
            elif how == "change":
                found.append({"id": number, "n": side + 1})
            elif how == "add":
                found.append({"id": number, "n": 0})
                found.append({"id": f"new {number}", "n": side})
        return found

    merged = merge_values(elements(), elements(0), elements(1))
    assert not merged.conflicts
    assert_same_elements(merged.content, elements(0, 1))


@settings(deadline=None)
@given(st.lists(TOUCHES, max_size=8))
def test_changes_of_different_rows_all_come_through(touches: list[Touch]) -> None:
    def rows(*sides: int) -> str:
        found: dict[str, tuple[str, str]] = {"first": ("0", "0")}
        for number, (side, how) in enumerate(touches):
            if side not in sides:
                found[f"row {number}"] = ("0", "0")
            elif how == "change":
                found[f"row {number}"] = (str(side + 1), "0")
            elif how == "add":
                found |= {f"row {number}": ("0", "0"), f"new {number}": ("0", str(side))}
        return table(found)

    merged = merge_tables(rows(), rows(0), rows(1))
    assert merged.content is not None
    assert Counter(map(tuple, rows_of(merged.content))) == Counter(map(tuple, rows_of(rows(0, 1))))


@settings(deadline=None)
@given(ROWS, ROWS, ROWS)
def test_a_row_that_both_sides_leave_or_change_alike_is_as_they_have_it(
    base: dict[str, tuple[str, str]], ours: dict[str, tuple[str, str]], theirs: dict[str, tuple[str, str]]
) -> None:
    merged = merge_tables(table(base), table(ours), table(theirs))
    if merged.content is None:
        return
    found = {key: cells for key, *cells in rows_of(merged.content)}
    for key in {*base, *ours, *theirs}:
        if ours.get(key) == theirs.get(key):
            assert found.get(key) == (list(ours[key]) if key in ours else None)
        elif base.get(key) in (ours.get(key), theirs.get(key)):
            changed = theirs if base.get(key) == ours.get(key) else ours
            assert found.get(key) == (list(changed[key]) if key in changed else None)


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_a_clean_merge_of_texts_is_the_same_from_either_side(base: str, ours: str, theirs: str) -> None:
    assert merge_texts(base, ours, theirs).content == merge_texts(base, theirs, ours).content


@settings(deadline=None)
@given(VALUES, VALUES, VALUES)
def test_a_clean_merge_of_values_is_the_same_from_either_side_but_for_the_order_of_what_is_new(
    base: Json, ours: Json, theirs: Json
) -> None:
    assert_same_elements(merge_values(base, ours, theirs).content, merge_values(base, theirs, ours).content)


@settings(deadline=None)
@given(ROWS, ROWS, ROWS)
def test_a_clean_merge_of_tables_is_the_same_from_either_side_but_for_the_order_of_what_is_new(
    base: dict[str, tuple[str, str]], ours: dict[str, tuple[str, str]], theirs: dict[str, tuple[str, str]]
) -> None:
    merged, mirrored = (
        merge_tables(table(base), table(one), table(two)) for one, two in ((ours, theirs), (theirs, ours))
    )
    assert bool(merged.conflicts) == bool(mirrored.conflicts)
    assert Counter((merged.content or "").splitlines()) == Counter((mirrored.content or "").splitlines())


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_a_conflict_of_texts_shows_what_stands_on_each_side(base: str, ours: str, theirs: str) -> None:
    for conflict in merge_texts(base, ours, theirs).conflicts:
        for shown, side in ((conflict.base, base), (conflict.ours, ours), (conflict.theirs, theirs)):
            assert isinstance(shown, str)
            assert shown in side


@settings(deadline=None)
@example({}, {"c": [{"id": "a"}]}, {"c": [None]})
@given(VALUES, VALUES, VALUES)
def test_a_conflict_of_values_shows_what_stands_on_each_side(base: Json, ours: Json, theirs: Json) -> None:
    for conflict in merge_values(base, ours, theirs).conflicts:
        sides = ((conflict.base, base), (conflict.ours, ours), (conflict.theirs, theirs))
        for shown, side in sides:
            # A part of a list is shown as one; an order by the keys of its elements.
            assert shown is MISSING or spelled(shown) in parts_of(side)


@settings(deadline=None)
@given(VALUES, VALUES, VALUES)
def test_a_merge_leaves_what_it_is_given_as_it_was(base: Json, ours: Json, theirs: Json) -> None:
    three = copy.deepcopy((base, ours, theirs))
    merge_values(base, ours, theirs)
    assert spelled([*three]) == spelled([base, ours, theirs])


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_a_merge_of_texts_merged_once_more_changes_nothing(base: str, ours: str, theirs: str) -> None:
    check_settled(merge_texts, base, (ours, theirs))


@settings(deadline=None)
@given(VALUES, VALUES, VALUES)
def test_a_merge_of_values_merged_once_more_changes_nothing(base: Json, ours: Json, theirs: Json) -> None:
    check_settled(merge_values, base, (ours, theirs))


def check_settled(
    merge: Callable[[Content, Content, Content], Merged[Content]], base: Content, sides: tuple[Content, Content]
) -> None:
    """Whoever has seen a merge and changed nothing since gets the same again."""
    merged = merge(base, *sides)
    if merged.content is not None:
        for side in sides:
            again = merge(side, side, merged.content)
            assert not again.conflicts
            assert again.content == merged.content


def assert_same_elements(one: object, other: object) -> None:
    """The same values, whatever the order of lists."""
    assert sorted_within(one) == sorted_within(other)


def sorted_within(value: object) -> str:
    def unordered(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: unordered(each) for name, each in part.items()}
        return sorted((unordered(each) for each in part), key=spelled) if isinstance(part, list) else part

    return spelled(unordered(value))


def spelled(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def parts_of(value: Any) -> set[str]:
    """Every value within a value, each stretch of a list, and the keys by which elements go."""
    found = {spelled(value)}
    if isinstance(value, dict):
        return found.union(*map(parts_of, value.values()))
    if isinstance(value, list):
        found |= {spelled(value[i:j]) for i in range(len(value) + 1) for j in range(i, len(value) + 1)}
        if all(isinstance(each, dict) for each in value):
            found |= {spelled([each.get("id") for each in value])}
        return found.union(*map(parts_of, value))
    return found
