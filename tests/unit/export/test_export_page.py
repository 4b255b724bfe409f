"""The page of an export: all that a model has written stays text, and nothing is asked from elsewhere."""

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shelves import Shelf, exported, ordinary, unpacked

from handiwork.export import bundle, page
from handiwork.export.manifest import path_of
from handiwork.export.views import SHOWN_BYTES, SHOWN_LINES, SHOWN_ROWS
from handiwork.model import Artifact

HARMLESS = {
    *("html", "head", "meta", "title", "style", "body", "header", "nav", "main", "article", "footer", "details"),
    *("summary", "h1", "h2", "p", "ol", "ul", "li", "a", "b", "bdi", "br", "div", "span", "pre", "time", "img"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "id", "href", "src", "alt", "loading", "tabindex"),
    *("dir", "datetime", "aria-label"),
}
VILE = [
    "</title><script>alert(1)</script>",
    '" onload="alert(1)',
    "' onerror='alert(1)",
    "</pre><iframe src=https://evil.example></iframe>",
    "<!--<img src=https://evil.example/x.png>",
    "javascript:alert(1)",
    "&lt;script&gt;",
    "\u202eevil\u2066",
    "]]><svg onload=alert(1)>",
    "</style><style>*{background:url(https://evil.example)}",
]


class Reader(HTMLParser):
    """What a browser would make of the page: its elements, their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def references(self) -> list[str]:
        return [value for name, value in self.attributes if name in {"href", "src"}]


def assert_harmless(html: str) -> Reader:
    read = Reader(html)
    assert read.tags <= HARMLESS
    assert {name for name, _ in read.attributes} <= ATTRIBUTES
    assert [ref for ref in read.references() if not ref.startswith(("#", "artifacts/"))] == []
    return read


async def page_of(shelf: Shelf) -> str:
    return unpacked((await exported(shelf))[0])["index.html"].decode()


@pytest.mark.parametrize("vile", VILE, ids=ascii)
async def test_whatever_a_model_writes_stays_text(vile: str) -> None:
    shelf = ordinary()
    shelf.scope = replace(shelf.scope, session=vile)
    for name in ("a.txt", "b.csv", "c.md", "d.html", "e.py", "f.json", "g.png"):
        shelf.put(name, vile.encode(), title=vile, reason=vile)
        shelf.put(name, f"{vile}\n{vile},{vile}\n".encode(), title=vile, reason=vile)
    shelf.put(vile, b"text", title=vile)
    for handle, artifact in shelf.artifacts.items():
        shelf.artifacts[handle] = replace(artifact, labels=(vile,), state=vile, type=vile)
    html = await page_of(shelf)
    read = assert_harmless(html)
    assert html.count("<style>") == html.count("</style>") == 1
    assert vile.splitlines()[0].strip("\u202e\u2066") in read.text


@given(
    title=st.text(),
    name=st.text(min_size=1),
    content=st.binary(max_size=300),
    media_type=st.sampled_from(
        ["text/plain", "text/csv", "text/html", "application/json", "image/svg+xml", "image/png", "application/pdf"]
    ),
)
def test_no_title_name_or_content_makes_an_element(title: str, name: str, content: bytes, media_type: str) -> None:
    artifact = Shelf().put(name, content, title=title, media_type=media_type, category="data")
    path = path_of(artifact.handle, 1, name)
    html = page.section(artifact, [(artifact.version, path)] * 2, content) + page.entry(artifact)
    read = assert_harmless(html)
    assert {unquote(ref) for ref in read.references()} <= {path, f"#{artifact.handle}"}
    html.encode("utf-8")


async def test_the_policy_lets_in_the_one_style_and_pictures_beside_the_page() -> None:
    html = await page_of(ordinary())
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy == (
        f"default-src 'none'; img-src 'self' file:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert html.index("Content-Security-Policy") < html.index("<style>")
    assert "url(" not in style
    assert "@import" not in style


async def test_everything_is_listed_and_shown() -> None:
    shelf = ordinary()
    read = assert_harmless(await page_of(shelf))
    files = {unquote(ref) for ref in read.references() if not ref.startswith("#")}
    assert {path.rpartition("/")[2] for path in files} == {"notes.md", "sales.csv", "dot.png", "empty.txt"}
    assert {ref for ref in read.references() if ref.startswith("#")} == {f"#{handle}" for handle in shelf.artifacts}
    for shown in ("second", "north", "It is empty.", "1 earlier version", "it was wrong", "alert(1)", "5 artifacts"):
        assert shown in read.text


async def test_what_could_run_when_it_is_opened_is_no_link() -> None:
    shelf = Shelf()
    for name in ("a.html", "b.svg", "c.xml", "d.xhtml"):
        shelf.put(name, b"<svg xmlns='http://www.w3.org/2000/svg'></svg>" if name == "b.svg" else b"<a/>")
    shelf.put("e.kml", b"<kml/>", media_type="text/plain")
    shelf.put("f.html", b"text", media_type="text/plain")
    shelf.put("g.txt", b"text")
    html = await page_of(shelf)
    assert re.findall(r'href="(artifacts/[^"]*)"', html) == [
        f"artifacts/{next(a.handle for a in shelf.artifacts.values() if a.title == 'g.txt')}/v1/g.txt"
    ]
    assert html.count("there is no link to it") >= 3
    assert 'b.svg" alt="b.svg"' in html


async def test_a_long_text_is_cut_and_says_so() -> None:
    shelf = Shelf()
    shelf.put("bytes.txt", b"x" * (SHOWN_BYTES + 1))
    shelf.put("lines.txt", b"line\n" * (SHOWN_LINES + 1))
    shelf.put("rows.csv", b"a,b\n" * (SHOWN_ROWS + 5))
    html = await page_of(shelf)
    assert html.count("This is the beginning") == 3
    assert len(html) < SHOWN_BYTES + 20_000


async def test_so_many_texts_that_a_browser_would_be_slow_are_left_to_their_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bundle, "MOST_SHOWN_BYTES", 20)
    shelf = Shelf()
    for name in ("a.txt", "b.txt", "c.txt", "d.txt"):
        shelf.put(name, b"some ten bytes of it")
    html = await page_of(shelf)
    assert (html.count("some ten"), html.count("Open the file")) == (1, 3)


async def test_what_fits_is_shown_whole() -> None:
    shelf = Shelf()
    shelf.put("bytes.txt", b"x" * SHOWN_BYTES)
    shelf.put("lines.txt", b"line\n" * SHOWN_LINES)
    shelf.put("rows.csv", b"a,b\n" * SHOWN_ROWS)
    assert "This is the beginning" not in await page_of(shelf)


def shown(name: str, content: bytes, media_type: str | None = None) -> str:
    artifact: Artifact = Shelf().put(name, content, media_type=media_type)
    return page.section(artifact, [(artifact.version, path_of(artifact.handle, 1, name))], content)


def test_a_table_has_its_cells() -> None:
    html = shown("a.csv", b'name;note\nada;"one\ntwo; ""three"""\n\nbo;\n')
    assert re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", html) == [
        "name",
        "note",
        "ada",
        "one\ntwo; &quot;three&quot;",
        "bo",
        "",
    ]
    assert "<td" in shown("a.tsv", b"a\tb\n1\t2\n", "text/tab-separated-values")


@pytest.mark.parametrize(
    "content",
    [b'a,b\n"', b"\0\0", b"a" * 200_000, b",\n" * 10, b"\n\n", b"\xff\xfe1\x002\x00", b'"' * 1001, b"a\r\rb"],
    ids=lambda content: repr(content[:10]),
)
def test_a_table_that_is_none_is_no_crash(content: bytes) -> None:
    assert_harmless(shown("a.csv", content, "text/csv"))


def test_text_in_utf_16_and_with_a_mark_is_read() -> None:
    assert ">Größe</pre>" in shown("a.txt", "Größe".encode("utf-16"), "text/plain")
    assert ">Größe</pre>" in shown("a.txt", "Größe".encode("utf-8-sig"), "text/plain")


def test_controls_do_not_reach_the_page() -> None:
    html = shown("a.txt", b"a\0b\x1bc\x7fd\te\n", "text/plain")
    assert "a\ufffdb\ufffdc\ufffdd\te\n" in html


def test_a_page_of_nothing_says_so() -> None:
    assert "Nothing is in it." in page.beginning("s", artifacts=0, as_of=None)
    told = page.beginning("s", artifacts=1, as_of=datetime(2026, 11, 21, 12, tzinfo=UTC))
    assert "1 artifact, as of" in told
    assert "2026-11-21 12:00 UTC" in told
