import itertools
import json
import re
import time
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handiwork.ids import ArtifactId, Handle
from handiwork.media.formats import BY_NAME
from handiwork.model import KIB, Artifact, Scope, Version
from handiwork.server.coloured_code import (
    DEEPEST_INDENT,
    LONGEST_LINE,
    MOST_CHARACTERS,
    READERS,
    Patience,
    coloured,
    indented,
    reader_of,
)
from handiwork.server.csv_grid import LONGEST_CELL, MOST_COLUMNS, MOST_ROWS, grid
from handiwork.server.markdown_prose import TAGS, prose
from handiwork.server.rendering import (
    MOST_BYTES,
    READING_SECONDS,
    TOO_INTRICATE,
    Rendered,
    kind_of,
    rendered,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NEVER = Patience(clock=lambda: 0.0)
MARKUP = st.text(
    st.one_of(st.sampled_from("<>&\"'`/\\[]()!#*_-|=: \n\t\0abc{}"), st.characters(codec="utf-8")), max_size=200
)


def an_artifact(format_: str, data: bytes, *, type: str = "file", language: str | None = None, **more: Any) -> Artifact:
    """An artifact whose content has this format."""
    known = BY_NAME[format_]
    version = Version(
        artifact_id=ArtifactId("art_1"),
        number=1,
        name=f"a.{known.extensions[0]}",
        media_type=known.media_type,
        category=known.category,
        size=more.pop("size", len(data)),
        sha256="0" * 64,
        created_at=NOW,
        language=language,
    )
    return Artifact(
        id=version.artifact_id,
        handle=Handle("a_0000"),
        scope=Scope(session="s"),
        type=type,
        title=more.pop("title", "A title"),
        created_at=NOW,
        updated_at=NOW,
        expires_at=None,
        version=version,
    )


def shown(format_: str, content: str | bytes, **more: Any) -> Rendered:
    data = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    return rendered(an_artifact(format_, data, **more), data, style="")


def read(text: str) -> str:
    markup = prose(text, patience=NEVER, reading=NEVER)
    assert markup is not None
    return markup


class Tags(HTMLParser):
    """The elements of a document with their attributes, and its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.found}


# What is shown how


@pytest.mark.parametrize(
    ("format_", "kind"),
    [
        ("html", "page"),
        ("markdown", "prose"),
        ("csv", "table"),
        ("tsv", "table"),
        ("json", "data"),
        ("geojson", "data"),
        ("python", "code"),
        ("jsonl", "code"),
        ("yaml", "code"),
        ("text", "plain"),
        ("log", "plain"),
        ("ini", "plain"),
        ("png", "picture"),
        ("svg", "picture"),
        ("heic", "card"),
        ("pdf", "card"),
        ("zip", "card"),
    ],
)
def test_the_format_decides_how_content_is_shown(format_: str, kind: str) -> None:
    assert kind_of(an_artifact(format_, b"x")) == kind


@pytest.mark.parametrize("language", ["html", "markdown", "svg", "csv", "json", "ipynb", "xml", "python", "text"])
def test_code_is_shown_as_code_whatever_it_would_be_as_a_file(language: str) -> None:
    source = "<script>alert(1)</script>,[a](b)\n"
    found = shown(language, source, type="code", language=language)
    page = Tags(found.markup)
    assert not found.runs_script
    assert ("body", {"class": "code"}) in page.found
    assert page.names <= {"html", "head", "meta", "style", "body", "pre", "code", "span"}
    assert "<script>alert(1)</script>,[a](b)" in page.text


@pytest.mark.parametrize(("format_", "class_"), [("markdown", "prose"), ("csv", "grid"), ("json", "code")])
def test_the_same_as_a_file_is_shown_as_what_it_is(format_: str, class_: str) -> None:
    assert ("body", {"class": class_}) in Tags(shown(format_, "[1, 2]\n").markup).found


def test_code_in_a_language_that_nobody_reads_is_code_all_the_same() -> None:
    assert kind_of(an_artifact("text", b"x", type="code", language="cobol")) == "code"


@pytest.mark.parametrize("format_", ["html", "png", "svg"])
def test_what_must_be_whole_and_is_too_large_is_a_card(format_: str) -> None:
    artifact = an_artifact(format_, b"x", size=MOST_BYTES["picture"] + 1)
    assert kind_of(artifact) == "card"
    assert "too large to be shown" in rendered(artifact, b"", style="").markup


@pytest.mark.parametrize("format_", ["html", "markdown", "csv", "json", "png", "zip"])
def test_an_empty_file_says_so(format_: str) -> None:
    assert "This file is empty." in shown(format_, b"").markup


def test_only_pages_run_script() -> None:
    formats = [name for name, row in BY_NAME.items() if row.delivered]
    assert [name for name in formats if shown(name, "{}").runs_script] == ["html"]


def test_a_page_is_what_was_stored_and_its_own_links_stay_within_it() -> None:
    html = "<!doctype html><p>a & b</p><script>1 < 2</script>"
    assert shown("html", html).markup == f'<base href="about:srcdoc">{html}'


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        ("\ufeffé".encode(), "é"),
        ("é".encode("utf-16"), "é"),
        (b"\xfe\xff\x00\xe9", "é"),
        (b"\xff\xfe\xe9\x00\x00", "é�"),
        (b"a\xe9b", "a�b"),
        (b"a\0b", "a\0b"),
    ],
)
def test_text_is_read_in_the_encoding_that_it_names(encoded: bytes, text: str) -> None:
    assert f"<pre>{text}</pre>" in shown("text", encoded).markup


@given(MARKUP, st.sampled_from([name for name, row in BY_NAME.items() if row.is_text and name != "html"]))
def test_no_text_becomes_an_element_that_it_names(text: str, format_: str) -> None:
    page = Tags(shown(format_, text, title=text).markup)
    body = {"html", "head", "meta", "style", "body", "main", "code", "pre", "span", "p", "div", "img"}
    assert page.names <= body | TAGS
    for _, attributes in page.found:
        assert not any(name.startswith("on") or name in {"style", "id", "srcset"} for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:")


# Large content


@pytest.mark.parametrize(("format_", "kind"), [("text", "plain"), ("python", "code"), ("markdown", "prose")])
def test_large_text_is_cut_and_says_so(format_: str, kind: Any) -> None:
    most = MOST_BYTES[kind]
    found = rendered(an_artifact(format_, b"", size=3 * 1024 * KIB), b"x " * (most // 2), style="")
    assert found.note == f"Only the first {most // KIB}.0 KB of 3.0 MB are shown."


def test_a_character_that_was_cut_in_two_is_left_off() -> None:
    artifact = an_artifact("text", b"", size=9)
    assert "<pre>é</pre>" in rendered(artifact, "éé".encode()[:3], style="").markup


# Markdown


def test_markdown_is_read_with_tables_tasks_and_colours() -> None:
    text = "# A\n\n| a |\n|--:|\n| 1 |\n\n- [x] done\n- [ ] open\n\n~~no~~\n\n```python\ndef f(): pass\n```\n"
    page = Tags(read(text))
    assert {"h1", "table", "s", "pre", "code"} <= page.names
    assert ("td", {"align": "right"}) in page.found
    assert ("li", {"class": "task"}) in page.found
    assert ("span", {"class": "k"}) in page.found
    assert "☑ done" in page.text
    assert "☐ open" in page.text


def test_a_link_says_where_it_leads_and_leads_nowhere_by_itself() -> None:
    page = Tags(read("[the data](https://example.com/a?b=1&c=2) <https://example.org>"))
    links = [attributes for tag, attributes in page.found if tag == "a"]
    assert [link["rel"] for link in links] == ["noopener noreferrer nofollow"] * 2
    assert {link["target"] for link in links} == {"_blank"}
    assert page.text.count("https://example.com/a?b=1&c=2") == 1
    assert page.text.count("https://example.org") == 1


@pytest.mark.parametrize(
    "address",
    ["https://e.example/p.png", "//e.example/p.png", "p.png", "data:text/html,x", "data:image/svg+xml;base64,AA"],
)
def test_a_picture_from_elsewhere_is_told_and_not_loaded(address: str) -> None:
    page = Tags(read(f"![a chart]({address})"))
    assert "img" not in page.names
    assert address in page.text


def test_a_picture_in_the_text_itself_is_shown() -> None:
    page = Tags(read("![a dot](data:image/png;base64,iVBORw0KGgo=)"))
    assert ("img", {"src": "data:image/png;base64,iVBORw0KGgo=", "alt": "a dot"}) in page.found


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&colon;alert(1))",
        "[x](vbscript:x)",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[x](data:image/png;base64,AAAA)",
        "<a href='javascript:alert(1)'>x</a>",
        '[x](https://e.example "onmouseover=alert(1)")',
        '```"><script>alert(1)</script>\nx\n```',
        "<svg/onload=alert(1)>",
        "<iframe srcdoc='<script>alert(1)</script>'>",
    ],
)
def test_nothing_in_markdown_acts(text: str) -> None:
    page = Tags(read(text))
    assert page.names <= {"p", "a", "pre", "code", "span"}
    for _, attributes in page.found:
        assert set(attributes) <= {"href", "rel", "target", "class", "title"}
        assert (attributes.get("href") or "https:").startswith("https:")


def steps(most: int) -> Patience:
    """Patience that is over when it was asked so often."""
    asked = itertools.count()
    return Patience(clock=lambda: float(next(asked)), seconds=most)


INTRICATE = [
    "[",
    "![",
    "[a](",
    "*a",
    "**_* a",
    "<",
    "`a",
    "> ",
    "- ",
    "1. a\n",
    "#\n",
    "a\n-\n",
    "|a",
    "a|b\n-|-\n",
    "&",
]


@pytest.mark.parametrize("piece", INTRICATE)
def test_reading_markdown_ends_when_its_time_is_over(piece: str) -> None:
    text = f"a {piece * 3000}"
    assert prose(text, patience=NEVER, reading=steps(2)) is None
    assert prose(text, patience=NEVER, reading=NEVER) is not None


@pytest.mark.parametrize("text", ["[" * (128 * KIB), "#\n" * (64 * KIB)], ids=["slow", "many"])
def test_markdown_that_takes_too_long_is_shown_as_it_was_written(text: str) -> None:
    begun = time.thread_time()
    found = shown("markdown", text)
    assert time.thread_time() - begun < 2 * READING_SECONDS
    assert found.note == TOO_INTRICATE
    assert f"<pre>{text}</pre>" in found.markup


# Code


def test_every_language_that_is_read_is_one_that_pygments_has() -> None:
    for language in READERS:
        assert "".join(Tags(coloured("a = 1\n", language, patience=NEVER)).text.split()) == "a=1"


@pytest.mark.parametrize(("word", "reader"), [("py", "python"), ("TypeScript", "typescript"), ("sh", "bash")])
def test_a_language_is_known_by_its_usual_words(word: str, reader: str) -> None:
    assert reader_of(word) == reader


@pytest.mark.parametrize("word", [None, "", "cobol", "ini", "x" * 9999, "../python"])
def test_other_languages_are_not_coloured(word: str | None) -> None:
    assert reader_of(word) is None
    assert coloured("if <b>", word, patience=NEVER) == "if &lt;b&gt;"


@given(MARKUP, st.sampled_from(sorted(READERS)))
@settings(deadline=None)
def test_colour_changes_no_word(text: str, language: str) -> None:
    markup = coloured(text, language, patience=NEVER)
    page = Tags(markup.replace("\r", " "))
    assert page.text == text.replace("\r", " ")
    assert page.names <= {"span"}


def test_what_is_long_or_has_a_long_line_is_not_coloured() -> None:
    assert "<span" in coloured("x = 1\n" * 100, "python", patience=NEVER)
    assert "<span" not in coloured("x = 1\n" * (MOST_CHARACTERS // 6 + 1), "python", patience=NEVER)
    assert "<span" not in coloured("x = 1;" * (LONGEST_LINE // 6 + 1), "python", patience=NEVER)


def test_colour_ends_when_patience_does() -> None:
    seconds = iter(range(100))
    markup = coloured("x = 1\n" * 100, "python", patience=Patience(clock=lambda: float(next(seconds)), seconds=20))
    assert 0 < markup.count("<span") < 20
    assert Tags(markup).text == "x = 1\n" * 100


# JSON


def test_json_is_laid_out_with_every_word_as_it_was() -> None:
    assert indented('{"a":[1.50,1e400,{}],"b":[],"a":"x,[\\"]"}') == (
        '{\n  "a": [\n    1.50,\n    1e400,\n    {}\n  ],\n  "b": [],\n  "a": "x,[\\"]"\n}'
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_json_laid_out_says_the_same(value: Any) -> None:
    compact = json.dumps(value, separators=(",", ":"))
    assert json.loads(indented(compact)) == value
    assert indented(compact) == json.dumps(value, indent=2)


@given(MARKUP)
def test_what_is_no_json_loses_nothing(text: str) -> None:
    assert re.sub(r"\s", "", indented(text)) == re.sub(r"\s", "", text)


@pytest.mark.parametrize("text", ["[" * 100_000, "]" * 100_000, '{"a":' * 50_000, '"' * 100_000, '"\\' * 50_000])
def test_hostile_json_stays_small(text: str) -> None:
    found = shown("json", text)
    assert len(found.markup) < 200 * len(text)
    assert max(map(len, indented(text).splitlines())) <= max(len(text), 2 * DEEPEST_INDENT + 10)


# Tables


def test_a_table_has_headings_numbers_and_text() -> None:
    page = Tags(shown("csv", 'name,amount\n"<b>Bo</b>\nLee","1,200.50"\nAda,-3\n').markup)
    assert ("th", {"scope": "col", "class": "n"}) in page.found
    assert "<b>Bo</b>\nLee" in page.text
    assert "b" not in page.names


def test_a_long_table_is_cut_and_says_how_much_is_left() -> None:
    found = shown("csv", "a,b\n" + "1,2\n" * 12_345)
    assert found.note == f"The first {MOST_ROWS:,} of 12,345 rows are shown."
    assert found.markup.count("<tr>") == MOST_ROWS + 1


def test_a_wide_table_is_cut_and_says_so() -> None:
    found = shown("csv", ",".join("x" * 500) + "\n" + ",".join("1" * 500) + "\n")
    assert found.note == f"The first {MOST_COLUMNS} of 500 columns are shown."


def test_a_table_that_was_not_read_to_its_end_counts_no_more_than_it_knows() -> None:
    found = rendered(an_artifact("csv", b"", size=99), b"a,b\n1,2\n", style="")
    assert found.note == "The first 1 of 1 or more rows are shown."


def test_long_cells_are_cut_and_rows_may_differ() -> None:
    found = grid(f"a,b\n{'x' * 9999}\n1,2,3\n", delimiter=",")
    assert found is not None
    assert f"<td>{'x' * LONGEST_CELL}…</td>" in found.markup
    assert (found.rows, found.columns) == (2, 3)


@pytest.mark.parametrize("text", ['"' + "x" * 200_000, "\n\n"])
def test_what_is_no_table_is_shown_as_text(text: str) -> None:
    assert '<body class="plain">' in shown("csv", text).markup


def test_tabs_part_the_cells_of_a_tsv() -> None:
    assert "<td>a,b</td>" in shown("tsv", "x\ty\na,b\tc\n").markup


# Pictures and cards


def test_a_drawing_is_an_image_and_no_element() -> None:
    page = Tags(shown("svg", '<svg onload="alert(1)"><script>alert(1)</script></svg>', title='"><b>').markup)
    (image,) = [attributes for tag, attributes in page.found if tag == "img"]
    assert (image["src"] or "").startswith("data:image/svg+xml;base64,")
    assert image["alt"] == '"><b>'
    assert page.names.isdisjoint({"svg", "script", "b"})


def test_a_card_tells_name_kind_and_size() -> None:
    page = Tags(shown("zip", b"PK").markup)
    assert all(told in page.text for told in ("a.zip", "application/zip", "2 bytes", "Download it to open it."))
