"""Values as notebooks show them: what is worth a look, in words that can do nothing."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter

from handiwork.collect import Artifact as Collected
from handiwork.model import Outcome, ProgramError, Refused
from handiwork.notebook import LONGEST_TEXT, MOST_ROWS, Card
from sample_records import execution, filed

HOSTILE = '<script src="https://evil.example/x.js">1</script><img src=x onerror=alert(1)>\x1b[2J\u202e'
CHART = filed().artifact


class Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    ALLOWED: ClassVar = {"div", "strong", "table", "tr", "th", "td", "pre"}

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[object] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def shown(value: object) -> dict[str, Any]:
    """What a notebook is given for the value of a cell."""
    data, metadata = DisplayFormatter().format(value)
    assert metadata == {}
    return data


def test_an_artifact_says_what_it_is_and_how_it_is_called() -> None:
    data = shown(CHART)
    assert sorted(data) == ["text/html", "text/plain"]
    for words in (CHART.title, CHART.handle, "image/png", "10 bytes", "q3, sales", "Größe 図"):
        assert all(words in each for each in data.values())


def test_a_run_shows_how_it_ended_what_it_made_and_what_it_printed() -> None:
    error = ProgramError(type="ZeroDivisionError", message="division by zero", traceback="line 3, in <module>")
    refused = Refused(name="evil", reason="symlink")
    outcome = Outcome(status="failed", stdout="first\nlast\n", error=error, refused=(refused,), duration_ms=1500)
    data = shown(replace(execution(), outcome=outcome, artifacts=(CHART,)))
    for words in ("failed", "1.50 s", "division by zero", CHART.handle, "not kept: symlink", "first\n", "last"):
        assert all(words in each for each in data.values())
    assert "line 3, in &lt;module&gt;" in data["text/html"]


def test_an_artifact_of_a_collector_shows_how_it_begins() -> None:
    made = Collected(kind="code", name="a.py", content="print(1)\n" * 1000, language="python", created_at=0.0)
    data = shown(made)
    assert "9,000 characters" in data["text/plain"]
    assert all("print(1)" in each and len(each) < 3_000 for each in data.values())


@pytest.mark.parametrize(("include", "exclude"), [({"text/plain"}, None), (None, {"text/html"})])
def test_only_the_formats_that_are_asked_for_are_given(include: Any, exclude: Any) -> None:
    assert list(Card(title="a").bundle(include, exclude)[0]) == ["text/plain"]


@given(st.text() | st.just(HOSTILE))
def test_no_words_become_markup_or_control_a_terminal(words: str) -> None:
    card = Card(title=words, facts=[("a", words)], rows=[(words, words)], texts=[("b", words)])
    data, _metadata = card.bundle(None, None)
    page = Tags(data["text/html"])
    assert page.tags <= Tags.ALLOWED
    assert page.attributes == []
    assert all(each.isprintable() or each in "\n\t" for each in data["text/plain"] + data["text/html"])


def test_a_card_is_short_whatever_is_in_it() -> None:
    card = Card(title="x" * 10**6, rows=[("y" * 10**6,)] * 1000, texts=[("z", "<" * 10**6 + "end")])
    data, _metadata = card.bundle(None, None)
    assert len(data["text/html"]) < 20_000
    assert len(re.findall("…y|yyy…", data["text/html"])) == MOST_ROWS
    assert "980 more" in data["text/plain"]
    assert data["text/plain"].endswith("<" * (LONGEST_TEXT - 3) + "end")
