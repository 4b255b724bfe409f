"""Laws of selectors: what the whole would give, at any chunking; and pages that hold everything exactly once."""

import contextlib
import csv
import io
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handiwork.errors import SelectorMisfit
from handiwork.media import places
from handiwork.media.places import LINES, Places
from handiwork.types import csv_table
from handiwork.versions import blocks, lines, units
from handiwork.versions.excerpts import select
from handiwork.versions.selection import Selection
from handiwork.versions.selectors import Selector

CSV = "text/csv"
JSON = "application/json"
TEXT = "text/plain"
PLENTY = 10**6


@dataclass(frozen=True)
class Chunked:
    """Content that comes in chunks of the given sizes, over and over."""

    data: bytes
    sizes: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        end = self.size if length is None else min(offset + length, self.size)
        turn = 0
        while offset < end:
            size = self.sizes[turn % len(self.sizes)]
            yield self.data[offset : min(offset + size, end)]
            offset, turn = offset + size, turn + 1


@pytest.fixture(autouse=True)
def small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every border between reads, and every place that is remembered, fall into small content, too."""
    monkeypatch.setattr(blocks, "FIRST_BYTES", 40)
    monkeypatch.setattr(lines, "_FIRST_STEP_BYTES", 5)
    monkeypatch.setattr(lines, "_LARGEST_STEP_BYTES", 9)
    monkeypatch.setattr(places, "APART_BYTES", 7)
    monkeypatch.setattr(units, "APART_BYTES", 7)


law = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
chunkings = st.lists(st.integers(1, 9) | st.integers(900, 9000), min_size=1, max_size=4).map(tuple)
bounds = st.integers(0, 12) | st.integers(60, 400)
repeats = st.sampled_from([1, 1, 40])
cells = st.text(st.sampled_from('ab1 ,;"\n\r\t€😀\x00\x85\u2028'), max_size=6)
texts = st.text(st.sampled_from('ab \n\r"€😀\x00\x85\u2028'), max_size=60)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('ab"\\[]{},\n€😀'), max_size=6),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text('a["\\,', max_size=3), below, max_size=3),
    max_leaves=6,
)


@st.composite
def arrays(draw: st.DrawFn) -> list[object]:
    some: list[object] = [*draw(st.lists(values, max_size=8))]
    return some * draw(repeats)


@st.composite
def tables(draw: st.DrawFn, *, most_repeats: int = 40) -> str:
    """A table as written by some program, or bytes that merely look like one."""
    rows = draw(st.lists(st.lists(cells, min_size=1, max_size=3), max_size=10)) * min(draw(repeats), most_repeats)
    delimiter = draw(st.sampled_from(",;\t"))
    if draw(st.booleans()):
        return f"a{delimiter}b\n" + "".join(draw(st.sampled_from(["\n", "\r\n"])).join(map(delimiter.join, rows)))
    file = io.StringIO(newline="")
    writer = csv.writer(
        file,
        delimiter=delimiter,
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerows([["a", "b"], *rows])
    return file.getvalue()


def rows_of(text: str) -> list[list[str]]:
    """The rows as the csv module finds them, but for blank lines."""
    delimiter = max(",;\t", key=text.split("\n", 1)[0].split("\r", 1)[0].count)
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]


def written(array: list[object], indent: int | None) -> str:
    return json.dumps(array, indent=indent, ensure_ascii=False)


async def chosen(content: Chunked, selector: str, media_type: str, budget_bytes: int = PLENTY) -> Selection:
    selection = await select(content, Selector.parse(selector), media_type=media_type, budget_bytes=budget_bytes)
    assert len(selection.text.encode()) <= budget_bytes
    return selection


async def paged(content: Chunked, selector: str, media_type: str, budget_bytes: int) -> list[Selection]:
    pages = [await chosen(content, selector, media_type, budget_bytes)]
    while pages[-1].continuation:
        pages.append(await chosen(content, pages[-1].continuation, media_type, budget_bytes))
        assert len(pages) < 1000, "paging makes no progress"
    return pages


# A selection is a slice of the whole


@law
@given(tables(), chunkings, bounds, st.integers(1, 12))
async def test_rows_are_those_that_the_csv_module_finds(
    table: str, sizes: tuple[int, ...], first: int, count: int
) -> None:
    header, *rows = rows_of(table)
    content = Chunked(table.encode(), sizes)
    for selector, expected in (
        (f"rows={first}:{first + count}", rows[first : first + count]),
        (f"rows={first}:", rows[first:]),
        (f"head={count}", rows[:count]),
        (f"tail={first + count}:{first}", rows[max(len(rows) - first - count, 0) : max(len(rows) - first, 0)]),
    ):
        found = await chosen(content, selector, CSV)
        assert rows_of_part(found.text, table) == ([header, *expected] if expected or not rows else []), selector
        assert found.total in (None, len(rows))
        assert not found.is_cut


@pytest.mark.parametrize("size", range(1, 10))
async def test_rows_come_as_they_are_written_wherever_a_chunk_ends(size: int) -> None:
    table = "a,b\r\n" + '1,"x\r\ny€"\r\n2,\r\n' * 20
    assert (await chosen(Chunked(table.encode(), (size,)), "rows=0:", CSV)).text == table


def rows_of_part(text: str, table: str) -> list[list[str]]:
    delimiter = max(",;\t", key=table.split("\n", 1)[0].split("\r", 1)[0].count)
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]


@law
@given(texts, chunkings, bounds, st.integers(1, 12))
async def test_lines_are_those_of_the_whole(text: str, sizes: tuple[int, ...], first: int, count: int) -> None:
    whole = text.encode().split(b"\n")
    expected = [line.decode() + "\n" for line in whole[:-1]] + [whole[-1].decode()] * bool(whole[-1])
    content = Chunked(text.encode(), sizes)
    assert (await chosen(content, f"lines={first + 1}:{first + count}", TEXT)).text == "".join(
        expected[first : first + count]
    )
    assert (await chosen(content, f"head={count}", TEXT)).text == "".join(expected[:count])
    before = max(len(expected) - first, 0)
    found = await chosen(content, f"tail={first + count}:{first}", TEXT)
    assert found.text == "".join(expected[max(len(expected) - first - count, 0) : before])
    assert found.total in (None, len(expected))
    found = await chosen(content, "lines=1:", TEXT)
    assert (found.text, found.total, found.continuation) == (text, len(expected), None)


@law
@given(arrays(), st.sampled_from([None, 1]), chunkings, bounds, st.integers(1, 12))
async def test_elements_are_those_of_the_whole(
    array: list[object], indent: int | None, sizes: tuple[int, ...], first: int, count: int
) -> None:
    content = Chunked(written(array, indent).encode(), sizes)
    stop = max(len(array) - first, 0)
    for selector, expected in (
        (f"rows={first}:{first + count}", array[first : first + count]),
        (f"tail={first + count}:{first}", array[max(len(array) - first - count, 0) : stop]),
        (f"path=$[{first}:{first + count}]", array[first : first + count]),
    ):
        found = await chosen(content, selector, JSON)
        assert json.loads(found.text) == expected
        assert found.total in (None, len(array), len(expected))


@law
@given(texts, chunkings, st.sampled_from(["a", "b", "ab", "€", '"', "😀", "a "]), bounds)
async def test_matches_are_the_lines_that_hold_the_text(
    text: str, sizes: tuple[int, ...], needle: str, start: int
) -> None:
    every = text.split("\n")
    expected = [(n, line) for n, line in enumerate(every, 1) if needle in line and n > start]
    found = await chosen(Chunked(text.encode(), sizes), f"grep:{start + 1}={needle}", TEXT)
    assert found.text == "".join(f"{n}: {line.rstrip(chr(13))}\n" for n, line in expected)
    words = needle.casefold().split()
    expected = [(n, line) for n, line in enumerate(every, 1) if all(w in line.casefold() for w in words) and n > start]
    found = await chosen(Chunked(text.encode(), sizes), f"search:{start + 1}={needle}", TEXT)
    assert found.text == "".join(f"{n}: {line.rstrip(chr(13))}\n" for n, line in expected)


@law
@given(
    tables() | texts | arrays().map(lambda array: written(array, None)),
    chunkings,
    st.sampled_from([CSV, JSON, TEXT]),
    bounds,
    st.sampled_from(["rows={}:{}", "lines={}:{}", "tail={1}:{0}"]),
)
async def test_remembered_places_make_no_difference(
    text: str, sizes: tuple[int, ...], media_type: str, first: int, form: str
) -> None:
    content, places = Chunked(text.encode(), sizes), Places()
    asked = Selector.parse(form.format(first + 1, first + 3))
    with contextlib.suppress(SelectorMisfit):
        expected = await select(content, asked, media_type=media_type, budget_bytes=PLENTY)
        for remembered in (asked, replace(asked, start=3), asked):
            found = await select(content, remembered, media_type=media_type, budget_bytes=PLENTY, places=places)
            assert found == expected or remembered != asked


@st.composite
def even_tables(draw: st.DrawFn) -> str:
    """A table that the type takes, with blank lines and a mark in front that are no part of it."""
    quotes_all = draw(st.booleans())
    # Line ends in a cell are not always quoted by the writer where that is left to it.
    without = "\0" if quotes_all else "\0\r\n"
    each = cells.map(lambda cell: "".join(character for character in cell if character not in without))
    rows = draw(st.lists(st.lists(each, min_size=2, max_size=2), min_size=1, max_size=10)) * draw(repeats)
    delimiter, end = draw(st.sampled_from(",;\t")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    file = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    for row in [["a", "b"], *rows]:
        writer.writerow(row)
        file.write(end * draw(st.integers(0, 1)) if len(rows) < 20 else "")
    return draw(st.sampled_from(["", "\ufeff"])) + file.getvalue()


@law
@given(even_tables(), bounds, st.sampled_from(["rows={}:{}", "lines={}:{}", "tail={1}:{0}"]))
async def test_places_that_were_found_when_a_table_was_examined_make_no_difference(
    monkeypatch: pytest.MonkeyPatch, text: str, first: int, form: str
) -> None:
    monkeypatch.setattr(csv_table, "APART_BYTES", 7)
    monkeypatch.setattr(csv_table, "_LOOKED_AT_EACH", 1)
    data, asked = text.encode(), Selector.parse(form.format(first + 1, first + 3))
    known = csv_table.csv_type().check(data).places
    expected = await select(Chunked(data, (9000,)), asked, media_type=CSV, budget_bytes=PLENTY)
    assert await select(Chunked(data, (9000,)), asked, media_type=CSV, budget_bytes=PLENTY, places=known) == expected
    found = dict(known.known())
    lines = found.pop(LINES, ())
    assert all(place.count == data.count(b"\n", 0, place.offset) for place in lines)
    assert all(place.count < len(rows_of(text)) for each in found.values() for place in each)
    assert len(found) == 1


# Pages hold everything exactly once


@law
@given(tables(most_repeats=1), chunkings, st.sampled_from(["rows=0:", "rows=0:2", "head=3"]), st.integers(60, 120))
async def test_pages_of_a_table_hold_each_row_once(
    table: str, sizes: tuple[int, ...], selector: str, budget_bytes: int
) -> None:
    header, *rows = rows_of(table)
    pages = await paged(Chunked(table.encode(), sizes), selector, CSV, budget_bytes)
    if any(page.media_type == TEXT for page in pages):
        return  # A row was over the budget, which is promised elsewhere.
    found = [rows_of_part(page.text, table) for page in pages]
    assert all(page[0] == header for page in found)
    assert [row for page in found for row in page[1:]] == rows
    assert pages[-1].total == len(rows)


@law
@given(texts, chunkings, st.sampled_from(["lines=1:", "lines=1:2", "head=3", "tail=2", "tail=100"]), st.integers(1, 80))
async def test_pages_of_a_text_hold_each_line_once(
    text: str, sizes: tuple[int, ...], selector: str, budget_bytes: int
) -> None:
    longest = max(len((line + "\n").encode()) for line in text.split("\n"))
    pages = await paged(Chunked(text.encode(), sizes), selector, TEXT, max(budget_bytes, longest))
    if selector.startswith("tail"):
        pages.reverse()
    assert "".join(page.text for page in pages) == text


@law
@given(st.lists(values, max_size=8), st.sampled_from([None, 1]), chunkings, st.integers(1, 120), st.data())
async def test_pages_of_an_array_hold_each_element_once(
    array: list[object], indent: int | None, sizes: tuple[int, ...], budget_bytes: int, data: st.DataObject
) -> None:
    text = written(array, indent)
    longest = max((len(written([each], indent).encode()) for each in array), default=2)
    selector = data.draw(
        st.sampled_from(["rows=0:", "rows=0:2", "head=3", "tail=2", "tail=100", "path=$", "path=$[*]"])
    )
    pages = await paged(Chunked(text.encode(), sizes), selector, JSON, max(budget_bytes, longest + 10))
    if selector.startswith("tail"):
        pages.reverse()
    assert [each for page in pages for each in json.loads(page.text)] == array


@law
@given(texts, chunkings, st.integers(8, 60))
async def test_pages_of_matches_hold_each_match_once(text: str, sizes: tuple[int, ...], budget_bytes: int) -> None:
    content = Chunked(text.encode(), sizes)
    whole = await chosen(content, "grep=a", TEXT)
    longest = max((len(line.encode()) + 1 for line in whole.text.split("\n")), default=0)
    pages = await paged(content, "grep=a", TEXT, max(budget_bytes, longest))
    assert "".join(page.text for page in pages) == whole.text


@law
@given(
    st.binary(max_size=80) | texts.map(str.encode),
    chunkings,
    st.sampled_from([CSV, JSON, TEXT, "application/x-ndjson"]),
    st.sampled_from(["rows=0:", "rows=1:3", "lines=1:", "head=2", "tail=2", "path=$", "grep=a", "search=b a"]),
    st.integers(0, 60),
)
async def test_any_bytes_end_in_pages_within_the_budget_or_in_a_refusal(
    data: bytes, sizes: tuple[int, ...], media_type: str, selector: str, budget_bytes: int
) -> None:
    try:
        await paged(Chunked(data, sizes), selector, media_type, budget_bytes)
    except SelectorMisfit as misfit:
        str(misfit).encode()
