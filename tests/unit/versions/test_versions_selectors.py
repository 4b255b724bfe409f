"""What selectors promise on real content, large content and hostile content."""

import contextlib
import csv
import io
import json
import time
from collections.abc import AsyncGenerator

import pytest

from handiwork.errors import SelectorMisfit, SelectorRefused
from handiwork.media.places import Places
from handiwork.model import KIB, MIB
from handiwork.types.csv_table import csv_type
from handiwork.versions import json_arrays
from handiwork.versions.excerpts import LARGEST_DOCUMENT_BYTES, select
from handiwork.versions.selection import Selection, estimate_tokens
from handiwork.versions.selectors import Selector

CSV = "text/csv"
JSON = "application/json"
TEXT = "text/plain"
PLENTY = 64 * KIB
SALES = "region,amount\nNorth,1\nSouth,2\nWest,3\nEast,4\n"
MENU = {"a": {"b c": [1, 2, {"d": "x"}]}, "items": [{"name": "tea", "tags": ["hot"]}, {"name": "cake"}, {"price": 3}]}


class Metered:
    """Content in memory that counts the bytes that were read of it."""

    def __init__(self, data: bytes, *, chunk_bytes: int = MIB) -> None:
        self.data, self.chunk_bytes = data, chunk_bytes
        self.given = 0
        self.open = 0

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        end = self.size if length is None else min(offset + length, self.size)
        self.open += 1
        try:
            for start in range(offset, end, self.chunk_bytes):
                chunk = self.data[start : min(start + self.chunk_bytes, end)]
                self.given += len(chunk)
                yield chunk
        finally:
            self.open -= 1


async def selected(
    content: str | bytes | Metered, selector: str | None, media_type: str = TEXT, budget_bytes: int = PLENTY
) -> Selection:
    if not isinstance(content, Metered):
        content = Metered(content.encode() if isinstance(content, str) else content)
    parsed = None if selector is None else Selector.parse(selector)
    selection = await select(content, parsed, media_type=media_type, budget_bytes=budget_bytes)
    assert content.open == 0, "a generator was left open"
    assert len(selection.text.encode()) <= max(budget_bytes, 0)
    return selection


def table(rows: int) -> bytes:
    return b"id,name,amount\n" + b"".join(b"%d,name %d,%d.50\n" % (n, n, n * 7) for n in range(rows))


# Asking


@pytest.mark.parametrize(
    "text",
    [
        "rows=10:20", "rows=10:", "lines=1:50", "lines=51:", "head=20", "tail=20", "tail=20:5", "path=$.a[3]",
        "path=$['a b'][-1][*][1:3][:2][1:]", "grep=a = b: c", "grep:120= x ", "search=two words",
    ],
)  # fmt: skip
def test_a_selector_reads_what_it_writes(text: str) -> None:
    assert str(Selector.parse(text)) == text
    assert Selector.parse(str(Selector.parse(text))) == Selector.parse(text)


def test_open_bounds_and_spaces_are_read() -> None:
    assert str(Selector.parse("rows=:20")) == "rows=0:20"
    assert str(Selector.parse("lines= 3 : 4 ")) == "lines=3:4"
    assert str(Selector.parse("path= $.a.* ")) == "path=$.a[*]"
    assert str(Selector.parse('path=$["it\'s"]')) == "path=$['it\\'s']"


@pytest.mark.parametrize(
    "text",
    [
        "", "rows", "rows=", "rows=5", "rows=-5:", "rows=5:5", "rows=6:5", "rows=1:2:3", "rows=a:b",
        "rows=\u0661:\u0662",
        "rows=9999999999999999:", "ROWS=1:2", "rows=1:2&head=3", "lines=0:5", "lines=5:4", "head=0", "head=-1",
        "head=20:5", "tail=5:5", "tail=", "rows:3=1:2", "path=", "path=a.b", "path=$..a", "path=$.a[?(@.b)]",
        "path=$[1:2:3]", "path=$[", "path=$" + "[0]" * 1000, "path=$" + "[" * 100_000, "grep=", "grep=a\nb",
        "grep=\ud800", "grep:0=a", "grep=" + "a" * 501, "search=  ", "\ud800=1", "jq=.a", "rows=1:2\0",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_the_right_forms(text: str) -> None:
    with pytest.raises(SelectorRefused) as refused:
        Selector.parse(text)
    message = f"{refused.value} {refused.value.hint}"
    assert "expected" in message
    assert "`rows=10:20`" in message
    assert len(message.encode()) < 1000


# Tables


async def test_rows_come_with_the_header_and_say_what_follows() -> None:
    assert await selected(SALES, "rows=1:3", CSV) == Selection(
        text="region,amount\nSouth,2\nWest,3\n", media_type=CSV, continuation="rows=3:5"
    )
    assert await selected(SALES, "rows=3:5", CSV) == Selection(text="region,amount\nEast,4\n", media_type=CSV, total=4)


async def test_the_last_rows_of_a_range_are_followed_by_nothing() -> None:
    assert (await selected(SALES, "rows=0:4", CSV)).continuation is None
    assert (await selected(SALES, "rows=0:4", CSV)).total == 4
    assert (await selected(SALES + "\n\r\n", "rows=0:4", CSV)).continuation is None


async def test_a_budget_cuts_between_rows_and_the_rest_of_the_range_follows() -> None:
    first = await selected(SALES, "rows=0:4", CSV, budget_bytes=30)
    assert (first.text, first.continuation, first.is_cut) == ("region,amount\nNorth,1\nSouth,2\n", "rows=2:4", True)
    rest = await selected(SALES, "rows=2:4", CSV, budget_bytes=30)
    assert (rest.text, rest.continuation, rest.is_cut) == ("region,amount\nWest,3\nEast,4\n", None, False)


async def test_head_and_tail_of_a_table_are_rows() -> None:
    assert (await selected(SALES, "head=1", CSV)).text == "region,amount\nNorth,1\n"
    assert (await selected(SALES, "head=1", CSV)).continuation == "rows=1:2"
    last = await selected(SALES, "tail=2", CSV)
    assert (last.text, last.continuation, last.total) == ("region,amount\nWest,3\nEast,4\n", "tail=4:2", 4)
    assert (await selected(SALES, "tail=4:2", CSV)).text == "region,amount\nNorth,1\nSouth,2\n"
    assert (await selected(SALES, "tail=4:2", CSV)).continuation is None


async def test_a_position_past_the_end_is_empty_and_says_the_total() -> None:
    for selector, content, media_type, total, empty in (
        ("rows=9:", SALES, CSV, 4, ""),
        ("tail=9:8", SALES, CSV, 4, ""),
        ("lines=9:", SALES, CSV, 5, ""),
        ("tail=9:8", SALES, TEXT, 5, ""),
        ("rows=9:10", "[1, 2]", JSON, 2, "[]"),
        ("tail=9:8", "[1, 2]", JSON, 2, "[]"),
    ):
        found = await selected(content, selector, media_type)
        assert (found.text, found.total, found.continuation) == (empty, total, None), selector


async def test_quoted_line_ends_belong_to_a_row() -> None:
    text = 'a;b\r\n"1\r\nx";"say ""no""; or"\r\n2;y"z\r\n\r\n3;\n'
    assert (await selected(text, "rows=0:1", CSV)).text == 'a;b\r\n"1\r\nx";"say ""no""; or"\r\n'
    assert (await selected(text, "rows=1:2", CSV)).text == 'a;b\r\n2;y"z\r\n'
    assert (await selected(text, "rows=2:3", CSV)).text == "a;b\r\n3;\n"


async def test_rows_are_parted_as_the_type_parts_them() -> None:
    text = 'a,b;c;d\n1,"x\ny;z"\n2,w\n'
    assert csv_type().check(text)
    assert (await selected(text, "rows=0:1", CSV)).text == 'a,b;c;d\n1,"x\ny;z"\n'
    assert (await selected(text, "rows=1:2", CSV)).text == "a,b;c;d\n2,w\n"


async def test_the_delimiter_is_that_of_the_header() -> None:
    for delimiter in ",;\t":
        text = f'"a,;\t"{delimiter}b\n1{delimiter}"x\ny"\n2{delimiter}z\n'
        assert (await selected(text, "tail=1", CSV)).text == f'"a,;\t"{delimiter}b\n2{delimiter}z\n'
    assert (await selected('a,b\tc\n1\t"\n"\n2\n', "rows=1:", "text/tab-separated-values")).text == "a,b\tc\n2\n"


async def test_a_table_without_rows_is_its_header() -> None:
    assert (await selected("a,b\n", "head=3", CSV)).text == "a,b\n"
    assert (await selected("a,b", "rows=0:3", CSV)).text == "a,b"
    assert (await selected("", "rows=0:3", CSV)).text == ""
    assert (await selected("\n\n", "tail=3", CSV)) == Selection(text="", media_type=CSV, total=0)


async def test_a_row_over_the_budget_is_cut_with_a_mark_and_passed() -> None:
    text = "a\n1\n" + "x" * 500 + "\n3\n"
    cut = await selected(text, "rows=1:", CSV, budget_bytes=100)
    assert cut.text.startswith("a\nxxx")
    assert cut.text.endswith("x…[cut: 501 bytes in all]")
    assert (cut.media_type, cut.is_cut, cut.continuation) == (TEXT, True, "rows=2:")


async def test_a_header_over_half_of_the_budget_leaves_room_for_rows() -> None:
    found = await selected("h" * 500 + "\n1\n2\n", "rows=0:", CSV, budget_bytes=100)
    assert found.text.endswith("…[cut: 501 bytes in all]\n1\n2\n")
    assert (found.media_type, found.is_cut) == (TEXT, True)


async def test_utf_16_with_a_mark_is_read() -> None:
    data = "ä;b\r\n1;€\r\n2;😀\r\n".encode("utf-16")
    assert (await selected(Metered(data, chunk_bytes=3), "rows=1:2", CSV)).text == "ä;b\r\n2;😀\r\n"
    assert (await selected(Metered(data, chunk_bytes=3), "tail=1", TEXT)).text == "2;😀\r\n"
    assert (await selected(data, "grep=€", TEXT)).text == "2: 1;€\n"


async def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    data = b"\xef\xbb\xbfa,b\n1,2\n"
    for selector in (None, "head=1", "tail=2", "lines=1:2", "rows=0:"):
        assert (await selected(data, selector, CSV)).text == "a,b\n1,2\n"
    assert (await selected(data, "tail=2", TEXT)).text == "a,b\n1,2\n"
    assert (await selected(b"\xef\xbb\xbf[1]", "rows=0:1", JSON)).text == "[1]"
    assert (await selected(b"\xef\xbb\xbf[1]", "path=$[0]", JSON)).text == "1"


# Lines


async def test_lines_are_counted_from_one_and_come_as_they_are() -> None:
    found = await selected("a\r\nb\n\nd", "lines=2:3")
    assert (found.text, found.continuation, found.total) == ("b\n\n", "lines=4:5", None)
    assert (await selected("a\r\nb\n\nd", "lines=4:5")) == Selection(text="d", media_type=TEXT, total=4)


async def test_head_and_tail_of_a_text_are_lines() -> None:
    assert (await selected("a\nb\nc\n", "head=2")).continuation == "lines=3:4"
    assert (await selected("a\nb\nc\n", "tail=2")) == Selection(text="b\nc\n", media_type=TEXT, continuation="tail=4:2")
    assert (await selected("a\nb\nc\n", "tail=3")).continuation is None
    assert (await selected("a\nb\nc\n", "tail=9")).total == 3


async def test_of_a_tail_over_the_budget_the_last_lines_are_shown() -> None:
    found = await selected("aaaa\nbbbb\ncccc\n", "tail=3", budget_bytes=11)
    assert (found.text, found.continuation, found.is_cut) == ("bbbb\ncccc\n", "tail=3:2", True)


async def test_a_line_over_the_budget_is_cut_inside_no_character() -> None:
    for budget in range(60):
        found = await selected("€" * 100 + "\nend", "lines=1:", budget_bytes=budget)
        assert found.is_cut
        assert "\ufffd" not in found.text
        assert found.continuation == "lines=2:"


async def test_invalid_bytes_are_replaced() -> None:
    data = b"a\xff\nb\xe2\x82\nc\xed\xa0\x80\n"
    for selector in (None, "lines=1:", "head=9", "tail=9"):
        assert (await selected(data, selector)).text == data.decode("utf-8", "replace")
    assert (await selected(data, "grep=b")).text == "2: b\ufffd\n"
    assert "\ufffd" in (await selected(b'a,b\n1,\xff\n"\xfe', "tail=2", CSV)).text
    assert (await selected(b'["\xff"]', "rows=0:1", JSON)).text == '["\ufffd"]'


# JSON


async def test_rows_of_an_array_are_its_elements_as_written() -> None:
    text = ' [ 1.10 ,{"a": "],[\\""},\n [2,[]], "x" ] '
    assert (await selected(text, "rows=0:2", JSON)).text == '[1.10,\n{"a": "],[\\""}]'
    assert (await selected(text, "rows=2:", JSON)) == Selection(text='[[2,[]],\n"x"]', media_type=JSON, total=4)
    assert (await selected(text, "head=1", JSON)).continuation == "rows=1:2"
    last = await selected(text, "tail=1", JSON)
    assert (last.text, last.continuation, last.total) == ('["x"]', "tail=2:1", 4)
    assert (await selected("[ ]", "rows=0:", JSON)) == Selection(text="[]", media_type=JSON, total=0)


async def test_the_head_of_a_document_that_is_no_array_is_its_lines() -> None:
    text = json.dumps(MENU, indent=1)
    assert (await selected(text, "head=2", JSON)).text == '{\n "a": {\n'
    assert (await selected(text, "tail=1", JSON)).text == "}"


async def test_an_element_over_the_budget_is_cut_with_a_mark() -> None:
    text = json.dumps(["a", "b" * 500, "c"])
    first = await selected(text, "rows=0:", JSON, budget_bytes=60)
    assert (first.text, first.continuation, first.is_cut) == ('["a"]', "rows=1:", True)
    second = await selected(text, "rows=1:", JSON, budget_bytes=60)
    assert second.text.endswith("b…[cut: 502 bytes in all]")
    assert (second.media_type, second.continuation) == (TEXT, "rows=2:")
    assert (await selected(text, "rows=2:", JSON, budget_bytes=60)).text == '["c"]'


@pytest.mark.parametrize("text", ["[1, 2", "[1,,2]", "[,1]", "[1,]", "[1}", '["a', '["a\\', "[1, [2", "[" * 100_000])
async def test_an_array_that_is_broken_is_refused(text: str) -> None:
    for selector in ("rows=0:", "rows=5:", "tail=1"):
        with pytest.raises(SelectorMisfit, match=r"not closed|missing|closes nothing"):
            await selected(text, selector, JSON, budget_bytes=MIB)


async def test_json_lines_have_rows_too() -> None:
    found = await selected('{"a":1}\n{"a":2}\n{"a":3}\n', "rows=1:2", "application/x-ndjson")
    assert (found.text, found.continuation, found.media_type) == ('{"a":2}\n', "rows=2:3", "application/x-ndjson")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", MENU), ("$.a['b c'][1]", 2), ("$.a['b c'][-1].d", "x"), ('$["a"]["b c"][0:2]', [1, 2]),
        ("$.items[*].name", ["tea", "cake"]), ("$.items[1:].name", ["cake"]), ("$.items[0].tags", ["hot"]),
        ("$.items[5:]", []), ("$.items[0].*", ["tea", ["hot"]]), ("$.items[*].tags[*]", ["hot"]),
        ("$.items[-2:]", MENU["items"][-2:]),  # pyright: ignore[reportArgumentType]  # it is a list
    ],
)  # fmt: skip
async def test_a_path_leads_to_its_value(path: str, value: object) -> None:
    found = await selected(json.dumps(MENU), f"path={path}", JSON)
    assert json.loads(found.text) == value
    assert (found.media_type, found.is_cut, found.continuation) == (JSON, False, None)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("$.c", 'has the members "a", "items", and no "c"'),
        ("$.items[3]", "`$.items` has 3 elements, and none at [3]"),
        ("$.items.name", "`$.items` is an array of 3 elements, in which a name leads nowhere"),
        ("$.a[0]", '`$.a` is an object with the members "b c", in which an index leads nowhere'),
        ("$.items[0].name[*]", "`$.items[0].name` is a string, which has no elements"),
    ],
)
async def test_a_path_that_leads_nowhere_says_what_is_there(path: str, says: str) -> None:
    with pytest.raises(SelectorMisfit) as missed:
        await selected(json.dumps(MENU), f"path={path}", JSON)
    assert says in str(missed.value)


async def test_an_array_at_a_path_is_paged() -> None:
    text = json.dumps({"a": [{"n": n} for n in range(10)]})
    first = await selected(text, "path=$.a", JSON, budget_bytes=29)
    assert json.loads(first.text) == [{"n": 0}, {"n": 1}]
    assert (first.continuation, first.total, first.is_cut) == ("path=$.a[2:]", 10, True)
    assert (await selected(text, "path=$.a[-5:-2].n", JSON, budget_bytes=5)).continuation == "path=$.a[6:8].n"
    assert (await selected(text, "path=$.a[*].*", JSON, budget_bytes=6)).continuation is None


async def test_a_value_over_the_budget_is_cut_with_a_mark() -> None:
    found = await selected(json.dumps({"a": "x" * 500}), "path=$.a", JSON, budget_bytes=50)
    assert (found.text, found.is_cut) == ('"' + "x" * 23 + "…[cut: 502 bytes in all]", True)
    assert found.media_type == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[1e999]",
        "[NaN]",
        "[-Infinity]",
        "1" * 5000,
        "",
        "{",
        '"\x00"',
        "[1] 2",
        "\ufeff",
    ],
)
async def test_a_document_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SelectorMisfit, match=r"JSON|deep"):
        await selected(text, "path=$", JSON, budget_bytes=MIB)


async def test_half_a_surrogate_pair_stays_an_escape() -> None:
    assert (await selected('{"a\\ud800": "\\udfff€"}', "path=$", JSON)).text == '{"a\\ud800": "\\udfff€"}'
    with pytest.raises(SelectorMisfit) as missed:
        await selected('{"a\\ud800": "\\udfff€"}', "path=$.b", JSON)
    str(missed.value).encode()


async def test_a_document_too_large_for_a_path_is_refused_unread() -> None:
    content = Metered(b"[" + b" " * LARGEST_DOCUMENT_BYTES + b"]")
    with pytest.raises(SelectorMisfit, match="at most 16,777,216"):
        await selected(content, "path=$[0]", JSON)
    assert content.given == 0


# Matches


async def test_grep_finds_exact_text_with_line_numbers() -> None:
    text = "Total: 1\ntotal: 2\r\nno\ntotal: 3"
    assert await selected(text, "grep=total:") == Selection(text="2: total: 2\n4: total: 3\n", media_type=TEXT, total=2)
    assert (await selected(text, "grep=nothing")) == Selection(text="", media_type=TEXT, total=0)
    assert (await selected(text, "grep:3=total")).text == "4: total: 3\n"


async def test_search_finds_all_words_in_any_order_and_case() -> None:
    text = "red Apple\napple pie\nGREEN apples, red ones\nSTRASSE red\n"
    assert (await selected(text, "search=APPLE  red")).text == "1: red Apple\n3: GREEN apples, red ones\n"
    assert (await selected(text, "search=straße")).text == "4: STRASSE red\n"


async def test_matches_over_the_budget_go_on_at_their_line() -> None:
    text = "".join(f"line {n}\n" for n in range(10))
    first = await selected(text, "grep=line", budget_bytes=25)
    assert (first.text, first.continuation, first.is_cut) == ("1: line 0\n2: line 1\n", "grep:3=line", True)
    assert (await selected(text, "search:9=LINE")) == Selection(text="9: line 8\n10: line 9\n", media_type=TEXT)


@pytest.mark.parametrize("selector", ["grep=needle", "search=NEEDLE hay"])
async def test_of_a_line_of_megabytes_what_surrounds_the_match_is_shown(selector: str) -> None:
    line = "hay€ " * 700_000 + "a needle here" + "€ hay" * 700_000
    for chunk_bytes in (MIB, 65_521):
        found = await selected(Metered(f"x\n{line}\nneedle hay\n".encode(), chunk_bytes=chunk_bytes), selector)
        long, short = found.text.splitlines()
        assert long.startswith("2: ")
        assert "needle" in long if selector.startswith("grep") else "hay" in long
        assert f"[line of {len(line.encode()) + 1:,} bytes]" in long
        assert len(long.encode()) < 2 * KIB
        assert short == "3: needle hay"


# What is read


@pytest.fixture(scope="module")
def ten_megabytes() -> bytes:
    rows = table(400_000)
    assert len(rows) > 10 * MIB
    return rows


@pytest.mark.parametrize("selector", ["rows=100:110", "head=10", "lines=5:10", "grep=name 1", None])
async def test_what_is_near_the_beginning_takes_a_small_part_of_the_content(
    ten_megabytes: bytes, selector: str
) -> None:
    content = Metered(ten_megabytes)
    assert (await selected(content, selector, CSV, budget_bytes=1000)).text
    assert content.given <= 64 * KIB


async def test_elements_near_the_beginning_take_a_small_part_of_the_array() -> None:
    content = Metered(json.dumps([{"id": n, "name": "x" * 50} for n in range(130_000)]).encode())
    assert content.size > 10_000_000
    found = await selected(content, "rows=100:110", JSON)
    assert [each["id"] for each in json.loads(found.text)] == list(range(100, 110))
    assert content.given <= 64 * KIB


async def test_the_last_lines_are_read_from_the_end(ten_megabytes: bytes) -> None:
    content = Metered(ten_megabytes)
    assert (await selected(content, "tail=10")).text == "".join(ten_megabytes.decode().splitlines(keepends=True)[-10:])
    assert content.given <= 256 * KIB


async def test_rows_in_the_middle_are_those_of_the_csv_module(ten_megabytes: bytes) -> None:
    whole = list(csv.reader(io.StringIO(ten_megabytes.decode(), newline="")))
    found = await selected(ten_megabytes, "rows=200000:200010", CSV)
    assert list(csv.reader(io.StringIO(found.text, newline=""))) == [whole[0], *whole[200_001:200_011]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("row", ['%d,"x\ny","a ""b"""', "%d,plain", '%d,a "b", c"', '%d,"a"b,"c\n', '\n\n%d,""'])
async def test_rows_far_from_the_beginning_are_those_of_the_csv_module(row: str, end: str) -> None:
    rows = [row % n + ('"' if row.endswith("c\n") else "") for n in range(1000)]
    text = end.join(["a,b,c", *rows, ""])
    header, *whole = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    assert len(whole) == 1000
    for first in (63, 64, 65, 127, 128, 200, 511, 998):
        for selector in (f"rows={first}:{first + 2}", f"tail={1000 - first}:{1000 - first - 2}"):
            found = await selected(Metered(text.encode(), chunk_bytes=1009), selector, CSV)
            assert list(csv.reader(io.StringIO(found.text, newline=""))) == [header, *whole[first : first + 2]], (
                selector
            )


async def test_the_whole_comes_page_by_page_without_a_selector() -> None:
    assert await selected(SALES, None, CSV) == Selection(text=SALES, media_type=CSV)
    cut = await selected(SALES, None, CSV, budget_bytes=29)
    assert (cut.text, cut.continuation, cut.is_cut) == ("region,amount\nNorth,1\n", "rows=1:", True)
    assert (await selected("[1, 2, 3]", None, JSON, budget_bytes=8)).continuation == "rows=2:"
    assert (await selected("# a\n\nb\n", None, "text/markdown", budget_bytes=5)).continuation == "lines=3:"
    assert (await selected("# a\n", None, "text/markdown")).media_type == "text/markdown"


# What does not fit


@pytest.mark.parametrize(
    ("selector", "media_type", "hint"),
    [
        ("rows=1:2", "image/png", "download"), (None, "application/zip", "download"),
        ("grep=a", "font/ttf", "download"),
        ("rows=1:2", "text/markdown", "lines=1:50"), ("rows=1:2", JSON, "path="), ("path=$.a", CSV, "head=20"),
    ],
)  # fmt: skip
async def test_a_selector_that_does_not_fit_says_what_would(selector: str, media_type: str, hint: str) -> None:
    with pytest.raises(SelectorMisfit) as misfit:
        await selected("{}", selector, media_type)
    assert media_type in str(misfit.value)
    assert hint in str(misfit.value.hint)


async def test_parameters_of_a_media_type_do_not_matter() -> None:
    assert (await selected(SALES, "head=1", "Text/CSV; charset=utf-8")).text == "region,amount\nNorth,1\n"


def test_tokens_are_a_quarter_of_the_bytes_rounded_up() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abcd", "abcde", "€€")] == [0, 1, 1, 2, 2]
    assert Selection(text="abcde", media_type=TEXT).tokens == 2


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b'a,b\n"' + b"x" * (4 * MIB), CSV), (b"a,b\n" + b'""' * MIB, CSV), (b'"' * (4 * MIB), CSV),
        (b"\r" * (2 * MIB), CSV), (b"," * (4 * MIB), CSV), (b"\n" * (2 * MIB), TEXT), (b"\0" * (4 * MIB), TEXT),
        (b"[" * MIB, JSON), (b"[" + b'"\\' * MIB, JSON), (b"[" + b" " * (4 * MIB) + b"]", JSON),
        (b"[" + b"{}," * (MIB // 2) + b"1]", JSON), (b"x" * (8 * MIB), TEXT),
        (b"\xff" * (2 * MIB), TEXT), (b"\xff\xfe" + b"\x00\xd8" * MIB, TEXT),
    ],
)  # fmt: skip
@pytest.mark.parametrize("selector", ["head=3", "tail=3", "lines=2:", "grep=y", "search=y z", "path=$"])
async def test_hostile_content_is_gone_through_in_bounded_time(content: bytes, media_type: str, selector: str) -> None:
    began = time.perf_counter()
    with contextlib.suppress(SelectorMisfit):
        await selected(content, selector, media_type, budget_bytes=1000)
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("selector", ["rows=0:1", "rows=1:2", "tail=1"])
async def test_brackets_without_end_are_refused_before_they_take_long(
    selector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_arrays, "MOST_MARKS", 1_000)
    for inside in (b"[" * 2_000 + b"]" * 2_000, b"[[[[[]]]]]," * 2_000 + b"1", b'{"a":' * 2_000 + b"1" + b"}" * 2_000):
        with pytest.raises(SelectorMisfit, match="more than 1,000 brackets") as refused:
            await selected(Metered(b"[[" + inside + b"],2]", chunk_bytes=700), selector, "application/json")
        assert "lines=1:50" in str(refused.value.hint)


async def test_brackets_that_are_not_nested_deeply_are_none_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_arrays, "MOST_MARKS", 1_000)
    record = b'{"a":[{"b":"[[[["},[]],"c":[[1],[2]]},'
    for inside in (b"[]," * 20_000 + b"1", record * 20_000 + b"1"):
        content = Metered(b"[[" + inside + b"],2]", chunk_bytes=64 * KIB)
        assert (await selected(content, "rows=1:2", "application/json")).text == "[2]"


# Places that are remembered


@pytest.mark.parametrize("row", ["%d,name\n", '%d,"said ""%d""\n\r"\r\n'])
async def test_what_was_walked_over_once_is_passed_over_the_next_time(row: str) -> None:
    rows = [row.replace("%d", str(n)) for n in range(40_000)]
    content, places = Metered(("id,name\n" + "".join(rows)).encode()), Places()
    selector = Selector.parse("rows=39000:39002")
    given: list[int] = []
    for _turn in range(2):
        content.given = 0
        found = await select(content, selector, media_type=CSV, budget_bytes=PLENTY, places=places)
        assert found.text == "id,name\n" + "".join(rows[39_000:39_002])
        given.append(content.given)
    assert given[1] < given[0] // 2


async def test_an_array_that_is_malformed_behind_a_remembered_place_is_refused_as_before() -> None:
    content, places = Metered(b"[" + b'{"n": 1}, ' * 40_000 + b"]"), Places()
    for _turn in range(2):
        await select(content, Selector.parse("rows=39000:39001"), media_type=JSON, budget_bytes=PLENTY, places=places)
        with pytest.raises(SelectorMisfit, match="beside a comma"):
            await select(content, Selector.parse("rows=39999:"), media_type=JSON, budget_bytes=PLENTY, places=places)


async def test_text_in_another_encoding_is_walked_from_its_start() -> None:
    rows = "".join(f"{n},naïve\n" for n in range(40_000))
    places = Places()
    for data in (rows.encode("utf-16"), rows.encode("utf-8-sig")):
        for _turn in range(2):
            found = await select(
                Metered(data), Selector.parse("lines=39001:39002"), media_type=TEXT, budget_bytes=PLENTY, places=places
            )
            assert found.text == "39000,naïve\n39001,naïve\n"
