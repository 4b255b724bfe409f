import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import ContentRefused, ContentTooLarge
from handiwork.types.csv_table import csv_type, delimiter_of
from handiwork.versions.json_tables import table_of

CAP = 100_000


def table(value: Any, *, most_bytes: int = CAP) -> str:
    return table_of(json.dumps(value), type_name="csv", most_bytes=most_bytes)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text.encode()), strict=True))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([{"a": 1, "b": "x"}, {"b": None, "c": True}], "a,b,c\n1,x,\n,,true\n"),
        ([{"a": 'say "hi", twice', "b": "1\n2"}], 'a,b\n"say ""hi"", twice","1\n2"\n'),
        ([{"a": "x;y"}, {}], '"a"\n"x;y"\n""\n'),
        ([["month", "sales"], ["January", 7.5]], "month,sales\nJanuary,7.5\n"),
    ],
)
def test_a_list_of_objects_or_of_rows_is_a_table(value: Any, text: str) -> None:
    assert table(value) == text


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"items": []}, "$"),
        ("text", "$"),
        ([{"a": 1}, 2], "$[1]"),
        ([{"a": 1}, [2]], "$[1]"),
        ([[1], {"a": 2}], "$[0]"),
        ([{"a": {"b": 1}}], "$[0].a"),
        ([[1, [2]]], "$[0][1]"),
        ([None], "$[0]"),
    ],
)
def test_another_value_is_refused_with_its_place_and_what_to_do(value: Any, where: str) -> None:
    with pytest.raises(ContentRefused, match="list of objects, or of rows") as caught:
        table(value)
    assert caught.value.where == where
    assert "`json`" in str(caught.value.hint)


def test_a_list_of_nothing_is_no_table_to_the_type() -> None:
    for value in ([], [{}], [[]]):
        with pytest.raises(ContentRefused, match="at least one row"):
            csv_type().check(table(value))


def test_few_objects_with_many_names_do_not_become_an_endless_table() -> None:
    with pytest.raises(ContentTooLarge) as caught:
        table([{f"n{n}": 1} for n in range(5_000)])
    assert caught.value.limit == CAP
    assert caught.value.size < CAP + 10_000


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6),
)
NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=4)


def spelled(cell: object) -> str:
    return "" if cell is None else cell if isinstance(cell, str) else json.dumps(cell)


@given(st.lists(st.dictionaries(NAMES, CELLS, max_size=4), min_size=1, max_size=5).filter(any))
def test_every_cell_is_read_back_as_it_was(items: list[dict[str, Any]]) -> None:
    text = table(items)
    csv_type().check(text)
    header, *rows = rows_of(text)
    assert header == list(dict.fromkeys(name for item in items for name in item))
    assert rows == [[spelled(item.get(name)) for name in header] for item in items]
