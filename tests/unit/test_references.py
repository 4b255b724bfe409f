import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handiwork.references import (
    LONGEST_ID,
    LONGEST_SELECT,
    LONGEST_SUMMARY,
    MOST_HELD,
    Mention,
    Piece,
    Reference,
    Scanner,
    cleaned,
    escaped,
    legible,
    pieces_of,
)

LONG = (
    'One <artifact id="chart_k3x9"/>, <b>two</b> < 3 <artifact id=\'notes_ab12\' summary="a > b &amp; it\'s"  />\n'
    "<artifact id=bare_0001></artifact>! <ARTIFACT\n summary='q' id = \"sales_7777\" version=\"3\" select='rows=1:2'>"
    '<artifact id="open_0001"></arti <artifact id="never summary="closed, <artifact id="after_001"/> '
    '<artifacts id="x"/><artifact/><artifact id="a" id="b"/><artifact id="last_0001" summary="cut o'
)
XML = re.compile("[^\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]*")


def together(pieces: list[Piece]) -> list[Piece]:
    """Join texts that follow each other."""
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def read_in(chunks: list[str]) -> list[Piece]:
    scanner = Scanner()
    return together([piece for chunk in chunks for piece in scanner.feed(chunk)] + scanner.close())


def references_in(text: str) -> list[Reference]:
    return [piece.reference for piece in pieces_of(text) if isinstance(piece, Mention)]


def raw(pieces: list[Piece]) -> str:
    return "".join(piece if isinstance(piece, str) else piece.raw for piece in pieces)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ('<artifact id="a_1"/>', Reference("a_1")),
        ("<artifact id='a_1' />", Reference("a_1")),
        ("<artifact id=a_1/>", Reference("a_1")),
        ('<artifact id="a_1">', Reference("a_1")),
        ('<artifact id="a_1"></artifact>', Reference("a_1")),
        ('<Artifact ID="a_1"/>', Reference("a_1")),
        ('<artifact\n\tid = "a_1"\n/ >', Reference("a_1")),
        ('<artifact summary="s" id="a_1"/>', Reference("a_1", summary="s")),
        ('<artifact id="a_1" type="csv" data-x=""/>', Reference("a_1")),
        ("<artifact version='12' select=\"rows=1:2\" id='a_1'/>", Reference("a_1", 12, "rows=1:2")),
        (
            '<artifact id="a_1" summary="&lt;b&gt; &quot;&amp;&apos; &#65;&#x42;"/>',
            Reference("a_1", summary="<b> \"&' AB"),
        ),
        ('<artifact id="a_1" summary="a > b \'c\' /> d"/>', Reference("a_1", summary="a > b 'c' /> d")),
        ('<artifact id="a_1" summary="&#xD800; &#0; &copy; &"/>', Reference("a_1", summary="&#xD800; &#0; &copy; &")),
        ('<artifact id=" a_1 "/>', Reference("a_1")),
    ],
)
def test_a_reference_is_read_however_it_is_spelled(text: str, reference: Reference) -> None:
    assert pieces_of(f"see {text}.") == ["see ", Mention(text, reference), "."]


@pytest.mark.parametrize(
    "text",
    [
        "<artifact/>",
        "<artifact >",
        '<artifact id=""/>',
        '<artifact id="a b"/>',
        '<artifact id="a\nb"/>',
        '<artifactid="a_1"/>',
        '<artifacts id="a_1"/>',
        '< artifact id="a_1"/>',
        '<artifact id="a_1"summary="s"/>',
        '<artifact id="a_1" id="a_2"/>',
        '<artifact id="a_1" version="0"/>',
        '<artifact id="a_1" version="newest"/>',
        '<artifact id="a_1" version="²"/>',
        '<artifact id="a_1" held/>',
        '<artifact ="a_1"/>',
        "<artifact id=/>",
        '<artifact id="a_1" summary="a < b"/>',
        '<artifact id="a_1" /x>',
        '</artifact id="a_1">',
        '<artifact id="a_1',
        '<artifact id="a_1"',
        '<artifact id="a_1" /',
        f'<artifact id="{"a" * 201}"/>',
        f'<artifact id="a_1" summary="{"s" * MOST_HELD}"/>',
        '<artifact id="a\x00b"/>',
    ],
)
def test_what_is_no_reference_stays_as_it_is(text: str) -> None:
    assert "".join(piece for piece in pieces_of(text) if isinstance(piece, str)) == text


def test_a_reference_that_was_never_closed_does_not_swallow_the_next_one() -> None:
    assert references_in('<artifact id="a_1 summary="x <artifact id="a_2"/>') == [Reference("a_2")]
    assert references_in('<artifact id="a_1"><artifact id="a_2">') == [Reference("a_1"), Reference("a_2")]


@pytest.mark.parametrize("at", range(len(LONG) + 1))
def test_a_text_reads_the_same_wherever_it_is_cut(at: int) -> None:
    assert read_in([LONG[:at], LONG[at:]]) == together(pieces_of(LONG))


@given(
    st.lists(st.sampled_from([*"<artifc id=\">/ '&#;x", "<artifact", ' id="a"', "/>", ">", "</artifact>"])), st.data()
)
def test_any_text_reads_the_same_in_pieces_of_any_size(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read_in(chunks) == together(pieces_of(text)) == read_in(list(text))
    assert raw(read_in(chunks)) == text


@given(st.text(alphabet="<artifact id=\"a'/> xyz", max_size=60))
def test_nothing_is_held_back_but_what_may_become_a_reference(text: str) -> None:
    scanner, given_back = Scanner(), ""
    for character in text:
        given_back += raw(scanner.feed(character))
        assert given_back + scanner.held == text[: len(given_back) + len(scanner.held)]
        assert scanner.held == "" or (scanner.held[0] == "<" and "<" not in scanner.held[1:].removesuffix("<"))
        assert len(scanner.held) < 2 or scanner.held[:9].lower() == "<artifact"[: len(scanner.held)]
    assert given_back + raw(scanner.close()) == text


def test_what_is_held_back_is_bounded() -> None:
    scanner, given_back, most = Scanner(), 0, 0
    for _ in range(3 * MOST_HELD):
        given_back += len(raw(scanner.feed("x" if scanner.held else '<artifact id="')))
        most = max(most, len(scanner.held))
    assert most == MOST_HELD
    assert given_back > MOST_HELD


@pytest.mark.parametrize("text", ["<a" * 4_000_000, "<artifac" * 2_000_000, "<artifacts" * 2_000_000])
def test_what_only_begins_like_a_reference_is_passed_over(text: str) -> None:
    # Looked at letter by letter it takes longer than a test may.
    assert raw(pieces_of(text)) == text


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text", ["<" * 300_000, "<artifact " * 30_000, "<artifact a='" * 20_000, "&#" * 100_000, "<artifact id=a>" * 20_000]
)
def test_a_hostile_text_is_read_once(text: str) -> None:
    assert raw(pieces_of(text)) == text


ODD = st.text(st.sampled_from("ab \"'&<>;#\t\n\u3164\u202e\u00a0ü") | st.characters(codec=None), max_size=60)
LONGER = ODD | st.tuples(ODD, st.integers(1, 60)).map(lambda drawn: drawn[0] * drawn[1])


@given(
    st.text(alphabet="abc123_.-\"'&<>", min_size=1, max_size=LONGEST_ID),
    st.none() | st.integers(1, 999_999_999),
    st.none() | LONGER,
    st.none() | LONGER,
)
@example("a", None, "rows=1:2", '"' * LONGEST_SUMMARY)
@example("a", None, "x" * LONGEST_SELECT, '"' * LONGEST_SUMMARY)
@example("a", None, '"' * LONGEST_SELECT, None)
@example("&" * LONGEST_ID, 999_999_999, "x" * LONGEST_SELECT, '"' * LONGEST_SUMMARY)
@example("a", 1, "grep=a  b", " ")
@example("a", 1, " grep=\ta\r\n\ud800", None)
def test_what_is_written_reads_as_what_was_meant(
    id: str, version: int | None, select: str | None, summary: str | None
) -> None:
    written = str(Reference(id, version, select, summary))
    assert len(written) <= MOST_HELD
    (piece,) = pieces_of(written)
    assert isinstance(piece, Mention)
    read = piece.reference
    assert (read.id, read.version) == (id, version)
    # A part that cannot be said is left out, and never another one.
    assert read.select in (select, None)
    assert read.select == select or len(select or "") > LONGEST_SELECT // 8 or not XML.fullmatch(select or "")
    meant = cleaned(summary or "", longest=LONGEST_SUMMARY) or None
    assert read.summary == meant or (read.summary is None and len(meant or "") > 20)
    said = {"id": id, "version": version and str(version), "select": read.select, "summary": read.summary}
    # Our own text, in a test.
    assert ET.fromstring(written).attrib == {name: each for name, each in said.items() if each is not None}


@pytest.mark.parametrize("select", ["grep=a  b", "grep= a", "search=é  <b>", "path=$['a\tb']", "grep=" + "x" * 600])
def test_a_selector_is_written_exactly(select: str) -> None:
    assert references_in(str(Reference("a_1", None, select, "s"))) == [Reference("a_1", None, select, "s")]


def test_what_is_too_long_is_left_out_the_summary_first() -> None:
    quotes = '"' * LONGEST_SUMMARY
    long = str(Reference("a_1", 2, "x" * LONGEST_SELECT, quotes))
    assert references_in(long) == [Reference("a_1", 2, "x" * LONGEST_SELECT)]
    longer = str(Reference("a_1", 2, "x" * (LONGEST_SELECT + 1), quotes))
    assert references_in(longer) == [Reference("a_1", 2, None, quotes)]


def test_a_legible_text_keeps_its_lines_and_blanks_and_nothing_that_is_not_seen() -> None:
    written = "a\t b\r\n\x1b[1;31mred\x1b[0m \u202eb\u200b\x00\ufeff\r10 %\r20 %\né \u0905\u0928\u094d\u200d"
    assert legible(written) == "a\t b\nred b\n10 %\n20 %\né \u0905\u0928\u094d\u200d"


@given(st.text())
def test_what_is_legible_is_left_as_it_is(text: str) -> None:
    assert legible(legible(text)) == legible(text)


def test_a_cleaned_value_is_one_line_of_what_can_be_seen() -> None:
    assert (
        cleaned("a\x00b\n\tc\u2028d \u202ee\u200b\u00ad\ud800\ufeff\U000e0041\U000e0100\ufe00\uffffz", longest=99)
        == "ab c d ez"
    )
    assert cleaned("नक्\u200dष 👩\u200d💻", longest=99) == "नक्\u200dष 👩\u200d💻"
    assert cleaned("x" * 100, longest=10) == "x" * 9 + "…"
    assert escaped('"><artifact id="x"/>&', longest=99) == "&quot;&gt;&lt;artifact id=&quot;x&quot;/&gt;&amp;"
