import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handiwork.errors import InvalidContent
from handiwork.versions.differences import MISSING, Json, Tokens
from handiwork.versions.merging import merge_values
from handiwork.versions.merging_tables import merge_tables
from handiwork.versions.merging_text import Conflict, Merged, merge_texts

Content = TypeVar("Content")

SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.just(1.0) | st.text("ab", max_size=1)
KEYED = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4).map(
    lambda rows: [{"id": key, "n": n} for key, n in rows.items()]
)
VALUES = st.recursive(
    SCALARS | KEYED,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.sampled_from("abc"), v),
    max_leaves=10,
)
TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "a\r\n", "\n", "d", ""]), max_size=8).map("".join)
CELLS = st.sampled_from(["", "0", "1", "x y", 'q"q', "n\nn", "a,b"])
HEADERS = st.lists(st.sampled_from(["id", "a", "b", "c d"]), min_size=1, max_size=4, unique=True)


def written(rows: Sequence[Sequence[str]], line_end: str = "\n") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end).writerows(rows)
    return text.getvalue()


@st.composite
def tables(draw: st.DrawFn, *, is_keyed: bool = False) -> str:
    header = draw(st.just(["id", "a", "b"]) | HEADERS)
    rows = draw(st.lists(st.tuples(st.sampled_from("pqrst"), *(CELLS for _ in header[1:])), max_size=5))
    if is_keyed or draw(st.booleans()):
        rows = list({row[0]: row for row in rows}.values())
    return written([header, *rows], draw(st.sampled_from(["\n", "\r\n"])))


def same(one: object, other: object) -> bool:
    tokens = Tokens()
    return tokens.of(cast("Json", one)) == tokens.of(cast("Json", other))


def check_laws(
    merge: Callable[[Content, Content, Content], Merged[Content]], three: tuple[Content, Content, Content]
) -> None:
    base, ours, theirs = three
    assert same(merge(base, base, theirs).content, theirs)
    assert same(merge(base, ours, base).content, ours)
    assert same(merge(base, ours, ours).content, ours)
    merged, mirrored = merge(base, ours, theirs), merge(base, theirs, ours)
    assert bool(merged.conflicts) == bool(mirrored.conflicts)
    assert Counter(shown(conflict) for conflict in merged.conflicts) == Counter(
        shown(Conflict(where=each.where, base=each.base, ours=each.theirs, theirs=each.ours))
        for each in mirrored.conflicts
    )
    if merged.conflicts:
        assert merged.content is None
    for conflict in merged.conflicts:
        assert not same(conflict.ours, conflict.theirs)


def shown(conflict: Conflict) -> str:
    return json.dumps(conflict.as_facts(), sort_keys=True)


@settings(deadline=None)
@given(VALUES, VALUES, VALUES)
def test_values_merge_by_the_laws(base: Json, ours: Json, theirs: Json) -> None:
    check_laws(merge_values, (base, ours, theirs))


@settings(deadline=None)
@given(KEYED, KEYED, KEYED)
def test_keyed_lists_merge_by_the_laws(base: list[Json], ours: list[Json], theirs: list[Json]) -> None:
    check_laws(merge_values, (base, ours, theirs))


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS)
@example("a\nb\n", "a\nc", "a\nb\nd\n")
def test_texts_merge_by_the_laws(base: str, ours: str, theirs: str) -> None:
    check_laws(merge_texts, (base, ours, theirs))


@settings(deadline=None)
@given(tables(), tables(), tables())
def test_tables_merge_by_the_laws(base: str, ours: str, theirs: str) -> None:
    check_laws(merge_tables, (base, ours, theirs))


def with_own_lines(base: list[str], own: list[tuple[int, int, str]], mark: str) -> list[str]:
    """Put lines in and take lines away, each that is new unlike all others."""
    lines = list(base)
    for number, (at, removed, _) in enumerate(own):
        at %= len(lines) + 1
        lines[at : at + removed] = [f"{mark}{number}"]
    return lines


EDITS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2), st.just("")), max_size=4)


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=12), EDITS, EDITS)
def test_no_line_that_one_side_added_is_lost(
    base: list[str], our_edits: list[tuple[int, int, str]], their_edits: list[tuple[int, int, str]]
) -> None:
    ours, theirs = with_own_lines(base, our_edits, "our "), with_own_lines(base, their_edits, "their ")
    merged = merge_texts("\n".join(base), "\n".join(ours), "\n".join(theirs))
    if merged.content is None:
        assert all(each.base not in (each.ours, each.theirs) for each in merged.conflicts)
        return
    lines = merged.content.split("\n")
    assert [line for line in lines if line.startswith("our ")] == [line for line in ours if line.startswith("our ")]
    assert [line for line in lines if line.startswith("their ")] == [
        line for line in theirs if line.startswith("their ")
    ]


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), SCALARS), st.data())
def test_names_that_only_one_side_touches_are_as_that_side_has_them(base: dict[str, Json], data: st.DataObject) -> None:
    names = sorted(base)
    ours, theirs = dict(base), dict(base)
    for name in names:
        side = data.draw(st.sampled_from([ours, theirs, {}]))
        if data.draw(st.booleans()):
            side.pop(name, None)
        else:
            side[name] = "changed"
    ours["new of ours"], theirs["new of theirs"] = 1, 2
    merged = merge_values(cast("Json", base), cast("Json", ours), cast("Json", theirs))
    expected = {name: value for name, value in base.items() if name in ours and name in theirs}
    for side in (ours, theirs):
        expected |= {name: value for name, value in side.items() if name not in base or not same(value, base[name])}
    assert same(merged.content, expected)


@settings(deadline=None)
@given(tables(is_keyed=True), st.data())
def test_cells_that_only_one_side_touches_are_as_that_side_has_them(base: str, data: st.DataObject) -> None:
    rows = list(csv.reader(io.StringIO(base, newline="")))
    sides = [[list(row) for row in rows] for _ in range(2)]
    expected = [list(row) for row in rows]
    for row in range(1, len(rows)):
        for column in range(1, len(rows[0])):
            side = data.draw(st.integers(0, 2))
            if side < 2:
                sides[side][row][column] = expected[row][column] = data.draw(CELLS)
    merged = merge_tables(base, written(sides[0]), written(sides[1]))
    assert merged.content is not None
    assert list(csv.reader(io.StringIO(merged.content, newline=""))) == expected


PLACES = st.lists(st.integers(0, 6), max_size=3)


@settings(deadline=None)
@given(tables(), PLACES, PLACES, st.booleans())
def test_no_row_that_one_side_added_is_lost(
    base: str, ours: list[int], theirs: list[int], has_column_more: bool
) -> None:
    header, *rows = csv.reader(io.StringIO(base, newline=""))
    sides: list[str] = []
    for mark, places in (("our", ours), ("their", theirs)):
        side = list(rows)
        for number, place in enumerate(places):
            side.insert(place, [f"{mark} {number}"] * len(header))
        more = [f"{mark} column"] if has_column_more and mark == "our" else []
        sides.append(written([header + more, *(row + more for row in side)]))
    merged = merge_tables(base, *sides)
    if merged.content is not None:
        firsts = Counter(row[0] for row in csv.reader(io.StringIO(merged.content, newline="")))
        added = [f"our {n}" for n in range(len(ours))] + [f"their {n}" for n in range(len(theirs))]
        assert firsts == Counter([header[0], *(row[0] for row in rows), *added])


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ({"a": 1, "b": 2}, {"a": 9, "b": 2}, {"a": 1, "b": 8}, {"a": 9, "b": 8}),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 1}}, {"a": {"b": 1}}, {"a": {"b": 2}}),
        ({}, {"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        (None, 1, 1, 1),
        ({"a": 1}, {"a": None}, {"a": 1, "b": 0}, {"a": None, "b": 0}),
        ([1, 2, 3, 4], [0, 1, 2, 3, 4], [1, 2, 3], [0, 1, 2, 3]),
        ([1, 2], [9, 2], [1, 8], [9, 8]),
        ([[1, 2], [3, 4]], [[9, 2], [3, 4]], [[1, 8], [3, 4]], [[9, 8], [3, 4]]),
        ([1, 1.0, True], [1, 1.0, True, 1], [True, 1, 1.0], [True, 1, 1.0, 1]),
    ],
)
def test_values_merge_by_path(base: Json, ours: Json, theirs: Json, merged: Json) -> None:
    assert same(merge_values(base, ours, theirs).content, merged)


def test_elements_with_a_key_merge_wherever_they_stand() -> None:
    base: Json = [{"id": 1, "n": 1}, {"id": 2, "n": 1}, {"id": 3, "n": 1}]
    ours: Json = [{"id": 3, "n": 1}, {"id": 1, "n": 1}, {"id": 2, "n": 5}, {"id": "new", "n": 0}]
    theirs: Json = [{"id": 1, "n": 1}, {"id": 9, "n": 9}, {"id": 2, "n": 1, "m": 2}, {"id": 3, "n": 3}]
    assert merge_values(base, ours, theirs).content == [
        {"id": 3, "n": 3},
        {"id": 1, "n": 1},
        {"id": 9, "n": 9},
        {"id": 2, "n": 5, "m": 2},
        {"id": "new", "n": 0},
    ]


def test_conflicts_of_values_show_the_place_and_all_sides() -> None:
    base: Json = {"a": 1, "b c": 1, "list": [1, 2], "rows": [{"name": "it's", "n": 1}]}
    ours: Json = {"a": 2, "list": [1, 2, 3], "rows": [{"name": "it's", "n": 2}]}
    theirs: Json = {"a": 3, "b c": 2, "list": [1, 2, 4, 5], "rows": []}
    merged = merge_values(base, ours, theirs)
    assert merged.content is None
    assert merged.conflicts == (
        Conflict(where="$.a", base=1, ours=2, theirs=3),
        Conflict(where="$.list[2:2]", base=[], ours=[3], theirs=[4, 5]),
        Conflict(
            where="$.rows[?@.name=='it\\'s']",
            base={"name": "it's", "n": 1},
            ours={"name": "it's", "n": 2},
            theirs=MISSING,
        ),
        Conflict(where="$['b c']", base=1, ours=MISSING, theirs=2),
    )
    assert merged.conflicts[3].as_facts() == {"where": "$['b c']", "base": 1, "theirs": 2}


def test_two_other_orders_are_a_conflict() -> None:
    base: list[Json] = [{"id": n} for n in (1, 2, 3)]
    merged = merge_values(base, [base[1], base[0], base[2]], [base[0], base[2], base[1]])
    assert merged.conflicts == (Conflict(where="$[0:3]", base=[1, 2, 3], ours=[2, 1, 3], theirs=[1, 3, 2]),)


def test_a_clean_merge_may_be_null() -> None:
    merged = merge_values(1, 1, None)
    assert (merged.conflicts, merged.content) == ((), None)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n"),
        ("a\nb\n", "A\nb\n", "a\nB\n", "A\nB\n"),
        ("a\nb\n", "a\nx\nb\n", "a\nB\n", "a\nx\nB\n"),
        ("a\nb", "a\nb\nc", "A\nb", "A\nb\nc"),
        ("a\r\nb\r\n", "a\r\nb\r\nc\r\n", "A\r\nb\r\n", "A\r\nb\r\nc\r\n"),
        ("a\nb\n", "a\nb", "x\na\nb\n", "x\na\nb"),
        ("a\nb\nc\n", "a\nnew\nc\n", "a\nnew\nc\nd\n", "a\nnew\nc\nd\n"),
        ("", "a\n", "", "a\n"),
        ("a\n", "a", "a\nb", "a\nb"),
        ("\na\n", "", "\n", "\n"),
    ],
)
def test_texts_merge_by_line_and_keep_their_line_ends(base: str, ours: str, theirs: str, merged: str) -> None:
    assert merge_texts(base, ours, theirs).content == merged
    assert merge_texts(base, theirs, ours).content == merged


def test_conflicts_of_texts_show_the_lines() -> None:
    merged = merge_texts("a\nb\nc\nd\ne\n", "a\nB\nc\nd\ne\n1\n", "a\nb2\nC\nd\ne\n2\n")
    assert merged.conflicts == (
        Conflict(where="lines 2-3", base="b\nc\n", ours="B\nc\n", theirs="b2\nC\n"),
        Conflict(where="after line 5", base="", ours="1\n", theirs="2\n"),
    )
    assert merge_texts("b", "x\nb", "y\nb").conflicts[0].where == "before line 1"
    assert merge_texts("b", "", "y").conflicts == (Conflict(where="line 1", base="b", ours="", theirs="y"),)


def test_long_texts_merge_quickly() -> None:
    base = [f"line {n % 3000}" for n in range(10_000)]
    ours, theirs = list(base), list(base)
    ours[100:100], theirs[9_000:9_010], theirs[50] = ["ours"], ["theirs"], "line 51"
    merged = merge_texts("\n".join(base), "\n".join(ours), "\n".join(theirs))
    expected = list(base)
    expected[9_000:9_010], expected[100:100], expected[50] = ["theirs"], ["ours"], "line 51"
    assert merged.content == "\n".join(expected)


BASE = 'id,name,price\n1,"Tea, green",5\n2,Rice,3\n3,Salt,1\n'


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        # Two cells of one row.
        (("2,Rice,3", "2,Rice,4"), ("2,Rice,3", "2,Basmati,3"), ("2,Rice,3", "2,Basmati,4")),
        # A row more at the same place on both sides, and one less.
        (("3,Salt,1\n", "3,Salt,1\n4,Oil,9\n"), ("3,Salt,1\n", "5,Jam,7\n"), ("3,Salt,1\n", "4,Oil,9\n5,Jam,7\n")),
        # A column that is called otherwise, and a cell in it.
        (("price", "cost"), ("2,Rice,3", "2,Rice,4"), ("price", "cost", "2,Rice,3", "2,Rice,4")),
        (("price", "cost"), ("name", "title"), ("name,price", "title,cost")),
    ],
)
def test_tables_merge_by_cell(ours: tuple[str, str], theirs: tuple[str, str], merged: tuple[str, ...]) -> None:
    expected = BASE
    for was, now in zip(merged[::2], merged[1::2], strict=True):
        expected = expected.replace(was, now)
    assert merge_tables(BASE, BASE.replace(*ours), BASE.replace(*theirs)).content == expected


def test_a_column_more_meets_a_row_more_and_a_changed_cell() -> None:
    ours = 'id,stock,name,price\n1,10,"Tea, green",5\n2,20,Rice,3\n3,30,Salt,1\n'
    theirs = 'id,name,price\n1,"Tea, green",6\n2,Rice,3\n3,Salt,1\n4,Oil,9\n'
    assert merge_tables(BASE, ours, theirs).content == (
        'id,stock,name,price\n1,10,"Tea, green",6\n2,20,Rice,3\n3,30,Salt,1\n4,,Oil,9\n'
    )


def test_what_was_put_into_a_column_that_is_gone_is_a_conflict() -> None:
    ours = BASE.replace("2,Rice,3", "2,Rice,4") + "4,Oil,9\n"
    theirs = 'id,name\n1,"Tea, green"\n2,Rice\n3,Salt\n'
    assert merge_tables(BASE, ours, theirs).conflicts == (
        Conflict(where='row "2", column "price"', base="3", ours="4", theirs=MISSING),
        Conflict(where='row "4", column "price"', base=MISSING, ours="9", theirs=MISSING),
    )


def test_columns_that_were_moved_keep_their_cells() -> None:
    ours = BASE.replace("2,Rice,3", "2,Rice,4")
    theirs = 'price,id,name\n5,1,"Tea, green"\n3,2,Rice\n1,3,Salt\n'
    assert merge_tables(BASE, ours, theirs).content == 'price,id,name\n5,1,"Tea, green"\n4,2,Rice\n1,3,Salt\n'


def test_conflicts_of_tables_show_row_and_column() -> None:
    ours = 'id,name,cost\n1,"Tea, green",6\n2,Rice,3\n'
    theirs = 'id,name,rate\n1,"Tea, green",7\n2,Rice,3\n3,Salt,2\n'
    assert merge_tables(BASE, ours, theirs).conflicts == (
        Conflict(where="header, column 2", base="price", ours="cost", theirs="rate"),
        Conflict(where='row "1", column "cost"', base="5", ours="6", theirs="7"),
        Conflict(where='row "3"', base="3,Salt,1", ours=MISSING, theirs="3,Salt,2"),
    )


def test_headers_that_no_order_fits_are_a_conflict() -> None:
    merged = merge_tables("a,b,c\n1,2,3\n", "b,a,c\n2,1,3\n", "a,c,b\n1,3,2\n")
    assert merged.conflicts == (Conflict(where="header", base="a,b,c", ours="b,a,c", theirs="a,c,b"),)


def test_rows_without_a_key_merge_by_their_place() -> None:
    base = "day,n\nmon,1\nmon,2\ntue,3\n"
    ours, theirs = base.replace("mon,1", "mon,9"), base + "tue,4\n"
    assert merge_tables(base, ours, theirs).content == "day,n\nmon,9\nmon,2\ntue,3\ntue,4\n"
    clash = merge_tables(base, ours, base.replace("mon,1", "mon,8"))
    assert clash.conflicts == (Conflict(where='row 0, column "n"', base="1", ours="9", theirs="8"),)
    clash = merge_tables(base, base + "wed,5\n", base + "wed,6\nwed,7\n")
    assert clash.conflicts == (Conflict(where="rows 3:3", base=MISSING, ours="wed,5", theirs="wed,6\nwed,7"),)


def test_line_ends_delimiters_and_quotes_of_a_table_are_kept() -> None:
    base = 'id;a\r\n"1";"x"\r\n"2";"y;z"\r\n'
    merged = merge_tables(base, base.replace('"x"', '"w"'), base + '3;"n\r\nn"')
    assert merged.content == 'id;a\r\n"1";"w"\r\n"2";"y;z"\r\n3;"n\r\nn"'


@pytest.mark.parametrize("odd", ["", "\n\n", 'id,a\n1,"', "id,a\n1\n", "id;a\n1;2\n", 'id,a\n1,"b"c\n', "x" * 200_000])
def test_what_is_no_table_merges_by_line(odd: str) -> None:
    check_laws(merge_tables, (odd, odd + "3,4\n", "id,a\n"))
    check_laws(merge_tables, ("id,a\n", odd, "id,b\n"))


def test_depth_is_bound() -> None:
    def nested(levels: int, leaf: Json) -> Json:
        for _ in range(levels):
            leaf = [leaf]
        return leaf

    merged = merge_values(nested(199, {"a": 1, "b": 1}), nested(199, {"a": 2, "b": 1}), nested(199, {"a": 1, "b": 2}))
    assert same(merged.content, nested(199, {"a": 2, "b": 2}))
    for place in range(3):
        three: list[Json] = [1, 2, 3]
        three[place] = nested(100_000, 0)
        with pytest.raises(InvalidContent, match="200 levels"):
            merge_values(*three)
