import copy
import json
from collections.abc import Mapping
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handiwork.errors import ContentTooLarge, EditMissed, InvalidContent, OperationFailed, PatchRefused
from handiwork.versions.differences import DEEPEST, Json
from handiwork.versions.nearest import MOST_SHOWN, nearest
from handiwork.versions.patches import (
    MOST_OPERATIONS,
    Edit,
    Edits,
    JsonPatch,
    MergePatch,
    apply_to_text,
    apply_to_value,
    parse_patch,
)

MOST_BYTES = 100_000
SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé/~")
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text("ab/~", max_size=2), v), max_leaves=12
)


def nested(levels: int) -> object:
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return value


def edited(text: str, *pairs: tuple[str, str]) -> str:
    return apply_to_text(text, parse_patch([{"find": find, "replace": replace} for find, replace in pairs]))


def operated(value: Json, *operations: Mapping[str, object], most_bytes: int = MOST_BYTES) -> Json:
    return apply_to_value(value, parse_patch(list(operations)), most_bytes=most_bytes)


def test_each_dialect_is_told_by_its_shape() -> None:
    assert parse_patch([{"find": "a", "replace": ""}]) == Edits((Edit(find="a", replace=""),))
    assert isinstance(parse_patch([{"op": "test", "path": "", "value": None}]), JsonPatch)
    assert parse_patch({"a": None}) == MergePatch({"a": None})
    assert parse_patch({}) == MergePatch({})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], ("1 to 1,000 elements", "got 0")),
        ([{"find": "a", "replace": "b"}] * (MOST_OPERATIONS + 1), ("1 to 1,000", "1,001")),
        (None, ("a list of edits", "null")),
        ('[{"find": "a"}]', ("send the list itself",)),
        (7, ("a list of edits", "got 7")),
        ([7], ("element 0", "`find`", "`op`")),
        ([{}], ("element 0", "an empty object")),
        ([{"find": "a"}], ("`replace` of element 0", "nothing")),
        ([{"find": 1, "replace": "b"}], ("`find` of element 0", "got 1")),
        ([{"find": "", "replace": "b"}], ("`find` of element 0", "beside the place")),
        ([{"find": "a", "replace": "b", "all": True}], ("element 0", "`all`")),
        ([{"find": "a", "replace": "b"}, {"op": "remove", "path": "/a"}], ("element 1", "another dialect")),
        ([{"op": "remove", "path": "/a"}, {"find": "a", "replace": "b"}], ("element 1", "another dialect")),
        ([{"op": "remove", "path": "/a"}, []], ("element 1", "a list of 0")),
        ([{"op": "increment", "path": "/a"}], ("`op` of element 0", "`replace`", '"increment"')),
        ([{"op": ["add"], "path": "/a"}], ("`op` of element 0",)),
        ([{"op": "add", "path": "a", "value": 1}], ("`path` of element 0", "JSON Pointer")),
        ([{"op": "add", "path": "/~2", "value": 1}], ("`path` of element 0", "`~0`")),
        ([{"op": "add", "path": "/a~", "value": 1}], ("`path` of element 0",)),
        ([{"op": "add", "path": "/a" * 201, "value": 1}], ("`path` of element 0", "200 levels")),
        ([{"op": "add", "path": "/a"}], ("`value` of element 0", "none")),
        ([{"op": "copy", "path": "/a"}], ("`from` of element 0",)),
        ([{"op": "move", "from": "/a", "path": "/a/b"}], ("`path` of element 0", "`/a` itself")),
        ([{"op": "remove", "path": "/a", "why": "x"}], ("element 0", "`why`")),
        ([{"op": "add", "path": "/a", "value": float("nan")}], ("element 0", "not finite")),
        ([{"find": "\ud800", "replace": "b"}], ("element 0", "surrogate")),
        ({"a": {1: 2}}, ("merge patch", "name")),
        ({"a": {1, 2}}, ("merge patch", "a set")),
        ({"a": 10**5000}, ("merge patch", "too many digits")),
        ({"a": nested(DEEPEST)}, ("merge patch", "200 levels")),
        ([nested(100_000)], ("element 0",)),
        ([{"find": nested(100_000), "replace": "b"}], ("element 0", "200 levels")),
    ],
)
def test_what_is_no_patch_is_refused_with_what_was_expected_and_an_example(
    value: object, words: tuple[str, ...]
) -> None:
    with pytest.raises(PatchRefused) as refused:
        parse_patch(value)
    assert [word for word in words if word not in str(refused.value)] == []
    assert refused.value.hint is not None
    assert '{"' in refused.value.hint
    if "element" in words[0] and words[0][-1].isdigit():
        assert refused.value.index == int(words[0][-1])


@settings(deadline=None)
@given(st.recursive(SCALARS, lambda v: st.lists(v) | st.dictionaries(st.sampled_from(["op", "path", "find", "a"]), v)))
def test_any_json_is_a_patch_or_refused(value: object) -> None:
    try:
        parse_patch(value)
    except PatchRefused as refused:
        _ = str(refused).encode()


def test_edits_see_what_those_before_them_left() -> None:
    assert edited("one two", ("one", "two three"), ("three two", "four")) == "two four"


def test_an_edit_that_misses_leaves_nothing_changed_and_shows_the_nearest_text() -> None:
    text = "def area(r):\n    return 3.14 * r\n\ndef edge(r):\n    return 2 * 3.14 * r\n"
    with pytest.raises(EditMissed) as missed:
        edited(text, ("area", "surface"), ("def edge(r) :\n  return 2*3.14 * r", "x"))
    assert (missed.value.edit, missed.value.found) == (1, 0)
    assert missed.value.nearest == {"line": 4, "lines": ["def edge(r):", "    return 2 * 3.14 * r"]}
    assert "line 4" in str(missed.value.hint)


def test_an_edit_that_is_there_more_than_once_is_told_where() -> None:
    with pytest.raises(EditMissed, match="3 times") as missed:
        edited("a b\nb\n\nb", ("b", "c"))
    assert (missed.value.found, missed.value.lines, missed.value.nearest) == (3, (1, 2, 4), None)


def test_places_that_overlap_are_two() -> None:
    with pytest.raises(EditMissed) as missed:
        edited("aaa", ("aa", "b"))
    assert missed.value.found == 2


def test_many_places_are_counted_and_the_first_are_named() -> None:
    with pytest.raises(EditMissed, match="50,000 times") as missed:
        edited("b\n" * 50_000, ("b", "c"))
    assert missed.value.lines == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("patch", [[{"op": "remove", "path": "/a"}], {"a": 1}])
def test_plain_text_takes_edits_only(patch: object) -> None:
    with pytest.raises(PatchRefused, match="`find` and `replace` edits, since the content is plain text"):
        apply_to_text("a", parse_patch(patch))


@settings(deadline=None)
@given(
    st.text("ab\n", max_size=30), st.integers(0, 30), st.text("ab\n", min_size=1, max_size=5), st.text("xy", max_size=5)
)
def test_an_edit_replaces_the_one_place_or_nothing(text: str, at: int, find: str, replace: str) -> None:
    text = text[:at] + find + text[at:]
    places = [i for i in range(len(text)) if text.startswith(find, i)]
    try:
        done = edited(text, (find, replace))
    except EditMissed:
        assert len(places) > 1
    else:
        assert [done] == [text[:i] + replace + text[i + len(find) :] for i in places]


@pytest.mark.parametrize("wanted", ["Total:  12 EUR", "total: 12 eur", "Total: 13 EUR", "Total:\t12 EUR (net)"])
def test_blanks_case_and_small_differences_do_not_hide_the_nearest(wanted: str) -> None:
    found = nearest("Items: 3\nTotal: 12 EUR\nThanks\n", wanted)
    assert found is not None
    assert (found.line, found.lines) == (2, ("Total: 12 EUR",))


def test_nothing_is_near_what_has_nothing_in_common() -> None:
    assert nearest("Items: 3\nTotal: 12 EUR\n", "zebra crossing") is None
    assert nearest("", "a") is None
    assert nearest("some text", "") is None


def test_the_nearest_is_found_in_long_texts_and_cut_in_long_lines() -> None:
    rows = ",".join(f'{{"id": {n}, "name": "row {n}"}}' for n in range(50_000))
    found = nearest(rows, '{"id": 43210, "name": "row  43210"}')
    assert found is not None
    assert '{"id": 43210, "name": "row 43210"}' in found.lines[0]
    assert sum(map(len, found.lines)) <= MOST_SHOWN


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ab" * 100_000, "ba" * 50_000 + "c"),
        (" " * 200_000, " x" * 50_000),
        ("\n" * 200_000, "\n\n\nx"),
        ("İ" * 200_000, "i" * 1000),
        ("\x00" * 200_000, "\x00\x00\x00\x01"),
    ],
)
@pytest.mark.timeout(5)
def test_hostile_texts_are_searched_in_little_time(text: str, wanted: str) -> None:
    found = nearest(text, wanted)
    assert found is None or sum(map(len, found.lines)) <= MOST_SHOWN


@settings(deadline=None)
@given(st.text("ab\n ", max_size=200), st.text("ab\n ", max_size=50))
def test_the_nearest_is_in_the_text_at_its_line(text: str, wanted: str) -> None:
    found = nearest(text, wanted)
    if found is not None:
        assert text.split("\n")[found.line - 1 : found.line - 1 + len(found.lines)] == list(found.lines)


def test_operations_are_applied_in_order() -> None:
    value: Json = {"rows": [{"n": 1}, {"n": 2}], "a/b": 0, "m~n": 0, "": 0}
    done = operated(
        value,
        {"op": "test", "path": "/rows/0/n", "value": 1.0},
        {"op": "add", "path": "/rows/1", "value": {"n": 9}},
        {"op": "add", "path": "/rows/-", "value": {"n": 3}},
        {"op": "remove", "path": "/rows/0"},
        {"op": "replace", "path": "/a~1b", "value": 1},
        {"op": "replace", "path": "/m~0n", "value": 2},
        {"op": "replace", "path": "/", "value": 3},
        {"op": "copy", "from": "/rows/0", "path": "/first"},
        {"op": "replace", "path": "/first/n", "value": 10},
        {"op": "move", "from": "/rows/2", "path": "/rows/0"},
        {"op": "move", "from": "/first", "path": "/first"},
    )
    assert done == {"rows": [{"n": 3}, {"n": 9}, {"n": 2}], "a/b": 1, "m~n": 2, "": 3, "first": {"n": 10}}


def test_the_whole_document_can_be_replaced_and_taken_from_within() -> None:
    assert operated({"a": 1}, {"op": "replace", "path": "", "value": [1]}, {"op": "add", "path": "/-", "value": 2}) == [
        1,
        2,
    ]
    assert operated({"a": [1]}, {"op": "move", "from": "/a", "path": ""}) == [1]


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"op": "replace", "path": "/rows/3", "value": 1}, ("`/rows` is a list of 3 elements", "0 to 2", "`3`")),
        ({"op": "add", "path": "/rows/4", "value": 1}, ("0 to 3", "`4`")),
        ({"op": "add", "path": "/rows/01", "value": 1}, ("`01`",)),
        ({"op": "add", "path": "/rows/-1", "value": 1}, ("`-1`",)),
        ({"op": "add", "path": "/rows/1e0", "value": 1}, ("`1e0`",)),
        ({"op": "add", "path": "/rows/\u0661", "value": 1}, ("`\u0661`",)),
        ({"op": "add", "path": "/rows/" + "9" * 10_000, "value": 1}, ("0 to 3",)),
        ({"op": "remove", "path": "/rows/-"}, ("`-`",)),
        ({"op": "replace", "path": "/new", "value": 1}, ("an object with `name`, `rows`", "`new`")),
        ({"op": "add", "path": "/new/deep", "value": 1}, ("without `new`",)),
        ({"op": "add", "path": "/name/x", "value": 1}, ('`/name` is the text "Q3"',)),
        ({"op": "remove", "path": ""}, ("only replaced",)),
        ({"op": "test", "path": "/name", "value": "Q4"}, ('"Q3"', '"Q4"')),
        ({"op": "test", "path": "/rows/0", "value": True}, ("there is 1, not true",)),
        ({"op": "copy", "from": "/gone", "path": "/x"}, ("without `gone`",)),
    ],
)
def test_an_operation_that_does_not_fit_names_itself_its_path_and_what_is_there(
    operation: dict[str, object], words: tuple[str, ...]
) -> None:
    value: Json = {"rows": [1, 2, 3], "name": "Q3"}
    with pytest.raises(OperationFailed) as failed:
        operated(value, {"op": "add", "path": "/rows/0", "value": 1}, {"op": "remove", "path": "/rows/0"}, operation)
    assert (failed.value.operation, failed.value.op) == (2, operation["op"])
    assert [word for word in words if word not in str(failed.value)] == []
    assert len(str(failed.value)) < 1000
    assert value == {"rows": [1, 2, 3], "name": "Q3"}


def test_a_merge_patch_sets_replaces_and_takes_away_names() -> None:
    value: Json = {"a": 1, "b": {"c": [1], "d": 2}, "e": 0}
    done = apply_to_value(
        value, parse_patch({"b": {"c": [], "d": None, "x": {"y": None}}, "e": {"f": 1}}), most_bytes=MOST_BYTES
    )
    assert done == {"a": 1, "b": {"c": [], "x": {}}, "e": {"f": 1}}
    assert apply_to_value([1], parse_patch({"a": 1}), most_bytes=MOST_BYTES) == {"a": 1}


@pytest.mark.parametrize("patch", [{"find": "a", "replace": "b"}, {"op": "remove", "path": "/a"}])
def test_one_edit_without_its_list_is_not_taken_for_a_merge_patch(patch: dict[str, Json]) -> None:
    with pytest.raises(PatchRefused, match="without its list"):
        apply_to_value({"a": 1}, parse_patch(patch), most_bytes=MOST_BYTES)
    fields: Json = dict.fromkeys(patch, "")
    assert apply_to_value(fields, parse_patch(patch), most_bytes=MOST_BYTES) == patch


def test_structured_content_is_edited_as_its_text_only() -> None:
    with pytest.raises(PatchRefused, match="since the content is structured"):
        apply_to_value({"a": 1}, parse_patch([{"find": "a", "replace": "b"}]), most_bytes=MOST_BYTES)


def test_copies_that_double_end_at_the_limit() -> None:
    doubling = [{"op": "copy", "from": "/0", "path": "/-"}, {"op": "move", "from": "/1", "path": "/0/-"}] * 500
    with pytest.raises(ContentTooLarge, match="copies"):
        operated([["x" * 100]], *doubling)
    wide = [{"op": "copy", "from": "/0", "path": "/-"}] * 1000
    with pytest.raises(ContentTooLarge):
        operated(["x" * 101], *wide)
    assert len(cast("list[Json]", operated(["x" * 90], *wide))) == 1001


def test_the_result_is_bound_in_bytes() -> None:
    grown = {"op": "add", "path": "/-", "value": "é" * 4}
    assert operated([], grown, most_bytes=12) == ["éééé"]
    with pytest.raises(ContentTooLarge, match="12"):
        operated([], grown, most_bytes=11)


def test_the_result_is_bound_in_depth() -> None:
    deepest = {"op": "add", "path": "/0", "value": nested(DEEPEST - 1)}
    assert operated([], deepest)
    with pytest.raises(InvalidContent, match=r"`the patched content`.*200 levels"):
        operated([[]], deepest | {"path": "/0/0"})
    with pytest.raises(InvalidContent, match=r"`the content`.*200 levels"):
        operated(cast("Json", nested(100_000)), deepest)
    with pytest.raises(OperationFailed, match="200 levels"):
        operated({}, *[{"op": "copy", "from": "", "path": "/a"}] * 1000, most_bytes=1_000_000)


@settings(deadline=None)
@given(VALUES, st.data())
def test_neither_content_nor_patch_is_changed(value: Json, data: st.DataObject) -> None:
    pointers = st.lists(st.sampled_from(["0", "1", "-", "a", "b", "~0", "~1"]), max_size=3).map(
        lambda s: "".join(f"/{p}" for p in s)
    )
    operations = st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy"]),
            "path": pointers,
            "from": pointers,
            "value": VALUES,
        }
    )
    patch = data.draw(st.lists(operations, min_size=1, max_size=6))
    before = copy.deepcopy((value, patch))
    try:
        done = apply_to_value(value, parse_patch(patch), most_bytes=MOST_BYTES)
    except (PatchRefused, OperationFailed):
        pass
    else:
        assert len(json.dumps(done, ensure_ascii=False, separators=(",", ":")).encode()) <= MOST_BYTES
    assert json.dumps((value, patch)) == json.dumps(before)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_what_is_added_is_there_and_taking_it_away_undoes_it(value: Json, new: Json) -> None:
    added = operated([value], {"op": "add", "path": "/0", "value": new}, {"op": "test", "path": "/0", "value": new})
    assert added == [new, value]
    assert operated(added, {"op": "remove", "path": "/0"}) == [value]
