"""What the type `json` takes, what it refuses, and that the refusal says where."""

import copy
import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handiwork.errors import ContentRefused, ContentTooLarge
from handiwork.model import KIB, MIB
from handiwork.types.artifact_type import Checked
from handiwork.types.json_document import json_type
from handiwork.types.strict_json import DEEPEST, LONGEST_NUMBER, json_path

JSON = json_type()

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def refusal(content: object) -> ContentRefused:
    with pytest.raises(ContentRefused) as refused:
        JSON.check(content)
    return refused.value


def taken(content: object) -> Checked | ContentRefused:
    try:
        return JSON.check(content)
    except ContentRefused as refused:
        return refused


@given(VALUES, st.sampled_from([None, 1, 4]), st.booleans())
def test_all_that_json_dumps_makes_is_taken_and_says_the_same(value: object, indent: int | None, ascii_only: bool):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    checked = JSON.check(text)
    assert checked.value == value
    assert checked.data == text.encode()


@given(VALUES)
def test_a_value_is_written_so_that_it_is_read_again(value: object):
    # A string is taken as JSON text, so that the value is put where it can only be a value.
    checked = JSON.check({"it": value})
    assert checked.value == {"it": value}
    assert json.loads(checked.data) == {"it": value}
    assert JSON.check(checked.data) == checked


@pytest.mark.parametrize(
    "text", ["null", "true", "0", "-0.5e-3", '"text"', "[]", "{}", ' \t\r\n[1, "é", {"a": null}] ']
)
def test_any_value_may_stand_at_the_top_and_is_kept_as_it_was_written(text: str):
    assert JSON.check(text).data == text.encode()
    assert JSON.check(text.encode()).format == JSON.format


def test_a_value_is_written_with_two_blanks_in_its_order_and_without_escapes():
    assert JSON.check({"b": [1, "é"], "a": ()}).data.decode() == '{\n  "b": [\n    1,\n    "é"\n  ],\n  "a": []\n}'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1, column 1"),
        ("[1,]", "line 1, column 4"),
        ('{"a": 1,}', "line 1, column 9"),
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3"),
        ("{'a': 1}", "line 1, column 2"),
        ("{a: 1}", "line 1, column 2"),
        ('{"a" 1}', "line 1, column 6"),
        ("True", "line 1, column 1"),
        ("01", "line 1, column 2"),
        ("1.", "line 1, column 2"),
        ("1 2", "line 1, column 3"),
        ("[1] // done", "line 1, column 5"),
        ('"open', "line 1, column 1"),
        ('"\\x"', "line 1, column 2"),
        ('"a\nb"', "line 1, column 3"),
        ("\ufeff1", "line 1, column 1"),
        ("[1\0]", "line 1, column 3"),
        ("```json\n{}\n```", "line 1, column 1"),
        ("\u0661", "line 1, column 1"),
        ("\u00a01", "line 1, column 1"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line_and_column(text: str, where: str):
    refused = refusal(text)
    # A release of Python may point at the comma before the bracket that it makes wrong.
    assert refused.where == where or (",]" in text or ",}" in text)
    assert (refused.artifact_type, refused.code) == ("json", "content_refused")
    assert refused.hint


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        ("NaN", "$", "NaN"),
        ('{"a": [0, -Infinity]}', "$.a[1]", "-Infinity"),
        ('{"a": 1, "a": 1}', "$.a", "'a' twice"),
        ('{"rows": [{}, {"unit price": 1, "b": 2, "unit price": 1}]}', "$.rows[1]['unit price']", "twice"),
        ('{"a": NaN, "a": 1}', "$.a", "'a' twice"),
        ('["\\ud800"]', "$[0]", "surrogate"),
        ('[{"\\udc00": 1}]', "$[0]", "surrogate"),
        ("[1e400]", "$[0]", "1e400"),
    ],
)
def test_what_only_looks_like_json_is_refused_with_its_path(text: str, where: str, told: str):
    refused = refusal(text)
    assert refused.where == where
    assert told in str(refused)


def test_a_whole_surrogate_pair_is_taken():
    assert JSON.check('"\\ud83d\\ude00"').value == "😀"


def test_brackets_may_be_as_deep_as_the_limit_and_no_deeper():
    assert JSON.check("[" * DEEPEST + "]" * DEEPEST)
    refused = refusal("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
    assert refused.limit == DEEPEST
    assert f"{DEEPEST}" in str(refused)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000, '[{"a":' * 30_000 + "1" + "}]" * 30_000],
)
def test_hostile_depth_is_refused_and_no_crash(text: str):
    assert len(str(refusal(text))) < 1000


def test_brackets_in_texts_are_not_depth():
    assert JSON.check(json.dumps("[" * 100_000)).value == "[" * 100_000


@pytest.mark.parametrize("number", ["1" * (LONGEST_NUMBER + 1), "0." + "1" * LONGEST_NUMBER, "1" * 200_000])
def test_a_number_of_absurd_length_is_refused_with_the_limit(number: str):
    refused = refusal(f'{{"a": {number}}}')
    assert (refused.where, refused.limit) == ("$.a", LONGEST_NUMBER)


def test_a_number_as_long_as_the_limit_is_taken():
    assert JSON.check("1" * LONGEST_NUMBER).value == int("1" * LONGEST_NUMBER)


def test_many_faults_are_refused_like_one():
    assert refusal("[" + "NaN," * 50_000 + "1]").where == "$[0]"
    assert refusal('{"a": [' + "NaN," * 200 + '1], "a": {"b": 1, "b": 2}}').where is None


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": math.nan}, "$.a"),
        ([math.inf], "$[0]"),
        ({"a": [object()]}, "$.a[0]"),
        ({"a": b"bytes"}, "$.a"),
        ({"a": {1: 2}}, "$.a"),
        (["\ud800"], "$[0]"),
        ({"\udfff": 1}, "$"),
        ([10**LONGEST_NUMBER * 10], "$[0]"),
        ({"a": {1, 2}}, "$.a"),
    ],
)
def test_a_value_that_json_cannot_hold_is_refused_with_its_path(value: object, where: str):
    assert refusal(value).where == where


def test_a_value_that_holds_itself_is_refused():
    endless: list[object] = []
    endless.extend([endless] * 10)
    assert refusal(endless).limit == DEEPEST


def test_a_value_that_is_small_in_memory_and_huge_on_paper_is_refused_early():
    wide: list[object] = [0]
    for _ in range(50):
        wide = [wide] * 10
    for value in (wide, ["x" * 1000] * 1_000_000, [[[[[[[[0] * 50_000]]]]]]]):
        with pytest.raises(ContentTooLarge):
            json_type(cap_bytes=64 * KIB).check(value)


def test_text_over_the_cap_is_refused_with_the_limit_in_bytes():
    kind = json_type(cap_bytes=10)
    assert kind.check('"12345678"')
    for content in ('"123456789"', '"éééééé"', b'"123456789"', {"a": "1234567"}):
        with pytest.raises(ContentTooLarge, match="10 bytes") as refused:
            kind.check(content)
        assert refused.value.limit == 10


def test_bytes_that_are_not_utf8_are_refused_with_the_byte():
    assert refusal(b'{"a": "\xff"}').where == "byte 8"
    assert refusal('"a"'.encode("utf-16")).where == "byte 1"
    assert refusal('["\ud800"]').where == "line 1, column 3"


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_comes_is_taken_or_refused(content: bytes | str):
    match taken(content):
        case Checked(data=data, value=value):
            assert json.loads(data) == value
        case refused:
            assert len(str(refused).encode()) < 1000


def test_a_path_spells_names_that_are_words_after_a_dot():
    assert json_path(["a", 3, "unit price", "b_2", "it's"]) == "$.a[3]['unit price'].b_2[\"it's\"]"
    assert len(json_path(["x" * 10_000] * 300)) < 3000


def test_a_large_document_is_read():
    text = json.dumps([{"id": n, "name": "abc"} for n in range(20_000)])
    assert len(text) < MIB
    assert json_type(cap_bytes=MIB).check(text).value == json.loads(text)


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


@given(st.lists(NUMBERS, min_size=1))
@example(["-0", "0", "-0.0", "-0e5"])
def test_numbers_are_written_again_with_the_digits_that_they_had(numbers: list[str]):
    content = "[\n  " + ",\n  ".join(numbers) + "\n]"
    value = JSON.check(content).value
    assert JSON.spelled(value).decode() == content
    assert value == json.loads(content), "and are the numbers that they are for everybody"
    assert JSON.spelled(copy.deepcopy(value)).decode() == content


@given(VALUES)
def test_a_value_is_written_as_the_standard_library_does(value: object):
    assert JSON.spelled(value).decode() == json.dumps(value, indent=2, ensure_ascii=False)
