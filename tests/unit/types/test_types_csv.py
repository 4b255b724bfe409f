"""What the type `csv` takes: tables of one width, whatever their cells hold."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import ContentRefused, ContentTooLarge
from handiwork.types.artifact_type import Checked
from handiwork.types.csv_table import JUDGED_BYTES, csv_type, delimiter_of

CSV = csv_type()

CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(2, 5))
    return draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=8))


def written(rows: list[list[str]], delimiter: str = ",", *, quoting: int = csv.QUOTE_MINIMAL) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=quoting).writerows(rows)  # pyright: ignore[reportArgumentType]  # an int is what it takes
    return out.getvalue()


def refusal(content: object) -> ContentRefused:
    with pytest.raises(ContentRefused) as refused:
        CSV.check(content)
    return refused.value


def taken(content: str) -> Checked | ContentRefused:
    try:
        return CSV.check(content)
    except ContentRefused as refused:
        return refused


@given(tables(), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_every_table_that_the_csv_writer_makes_is_taken_and_kept_as_it_is(rows: list[list[str]], quoting: int):
    text = written(rows, quoting=quoting)
    assert CSV.check(text).data == text.encode()


@given(st.lists(CELLS, min_size=1, max_size=8))
def test_a_table_of_one_column_is_taken(cells: list[str]):
    # Quoted, since what is in such a cell may read as a delimiter, and an empty one as a blank line.
    assert CSV.check(written([["name"], *([cell] for cell in cells)], quoting=csv.QUOTE_ALL))


@given(tables(), st.data())
def test_a_row_of_another_width_is_found_at_its_line(rows: list[list[str]], data: st.DataObject):
    place = data.draw(st.integers(1, len(rows)))
    before = written(rows[:place], quoting=csv.QUOTE_ALL)
    broken = before + written([[*rows[0], "more"], *rows[place:]], quoting=csv.QUOTE_ALL)
    line = len(list(io.StringIO(before, newline=""))) + 1
    refused = refusal(broken)
    assert refused.where == f"line {line:,}"
    assert f"{len(rows[0])} cells" in refused.expected
    assert f"{len(rows[0]) + 1} cells" in refused.got


def test_line_breaks_in_quotes_are_part_of_a_cell_and_lines_are_counted():
    assert CSV.check('name,note\r\nAda,"two\r\nlines"\r\n')
    refused = refusal('name,note\nAda,"two\nlines"\nBo\n')
    assert refused.where == "line 4"
    assert (refused.expected, refused.got) == ("2 cells as in line 1", "1 cell, 'Bo'")


def test_blank_lines_and_a_byte_order_mark_are_no_cells():
    assert CSV.check("\n\na,b\n\n1,2\n\n")
    assert CSV.check('\ufeff"a,b",c\n1,2\n').data.startswith(b"\xef\xbb\xbf")
    assert refusal("\n\na,b\n\n1\n").where == "line 5"


@pytest.mark.parametrize("content", ["", "\n", "\r\n\r\n", b""])
def test_a_table_without_a_row_is_refused(content: object):
    assert refusal(content).expected == "at least one row"


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n", ","),
        ("a;b\n1,5;2\n", ";"),
        ("a\tb\n", "\t"),
        ("a\n1;2\n", ","),
        ("a,b;c\n", ","),
        ('"a,b";"c"\n', ";"),
        ('"a;b","c"\n', ","),
        ('\n"a;\nb"\tc\n', "\t"),
        ("", ","),
    ],
)
def test_the_delimiter_is_told_by_the_first_row(text: str, delimiter: str):
    assert delimiter_of(text.encode()) == delimiter


@pytest.mark.parametrize("media_type", ["text/tab-separated-values", "text/tab-separated-values; charset=utf-8"])
def test_a_media_type_that_names_the_tab_has_its_way(media_type: str):
    assert delimiter_of(b"a,b\n", media_type) == "\t"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("filling", ["x", "\N{GRINNING FACE}", '"x', '"'])
def test_whoever_has_only_the_first_bytes_is_told_the_same(filling: str, encoding: str):
    for text in (f"a;{filling * 9000}\n", f"{filling * 9000};b\n", f'"{filling * 20_000}";b\n'):
        data = text.encode(encoding)
        assert delimiter_of(data) == delimiter_of(data[:JUDGED_BYTES]) == delimiter_of(data[: 2 * JUDGED_BYTES])


@given(tables(), st.sampled_from([";", "\t"]))
def test_tables_with_other_delimiters_are_taken(rows: list[list[str]], delimiter: str):
    header = [f"column {n}" for n in range(len(rows[0]))]
    assert CSV.check(written([header, *rows], delimiter))


def test_a_quote_that_does_not_end_is_refused_at_the_line_of_its_row():
    refused = refusal('a,b\n1,2\n3,"4\n5,6\n')
    assert refused.where == "line 3"
    assert "closing double quote" in refused.expected


def test_text_after_a_closing_quote_is_refused():
    assert refusal('a,b\n"1"x,2\n').where == "line 2"


def test_a_cell_over_the_limit_is_refused_with_the_limit():
    refused = refusal("a,b\n1," + "x" * 200_000)
    assert (refused.where, refused.limit) == ("line 2", csv.field_size_limit())


@pytest.mark.parametrize(("content", "where"), [("a,b\n1,\0\n", "line 2, column 3"), (b"a,b\n\xff,1\n", "byte 5")])
def test_what_is_no_text_is_refused(content: object, where: str):
    assert refusal(content).where == where


def test_a_cell_that_looks_like_a_formula_is_data():
    assert CSV.check("a,b\n=1+1,@x\n")


def test_the_cap_counts_bytes():
    kind = csv_type(cap_bytes=8)
    assert kind.check("é,b\n1,2")
    with pytest.raises(ContentTooLarge, match="8 bytes"):
        kind.check("é,é\n1,2")


@pytest.mark.parametrize("content", ['"' * 100_000, '"\n' * 50_000, "," * 100_000, "\r" * 100_000, 'a"' * 50_000])
def test_hostile_tables_are_taken_or_refused(content: str):
    match taken(content):
        case Checked(data=data):
            assert data == content.encode()
        case refused:
            assert len(str(refused)) < 1000
