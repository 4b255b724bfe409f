"""What the types of plain text take, and what is the same for every type: caps in bytes, encodings, checking twice."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import ContentRefused, ContentTooLarge
from handiwork.types.artifact_type import ArtifactType
from handiwork.types.code import code_type
from handiwork.types.file import file_type
from handiwork.types.html_sandboxed import html_sandboxed_type
from handiwork.types.markdown import markdown_type

TEXTS = [markdown_type(), code_type(), html_sandboxed_type()]
PLAIN = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


def named(type_: ArtifactType) -> str:
    return type_.name


def refusal(type_: ArtifactType, content: object, *, language: str | None = None) -> ContentRefused:
    with pytest.raises(ContentRefused) as refused:
        type_.check(content, language=language)
    return refused.value


@pytest.mark.parametrize("type_", TEXTS, ids=named)
@given(text=PLAIN)
def test_any_text_is_taken_and_kept_as_it_is(type_: ArtifactType, text: str):
    checked = type_.check(text)
    assert checked.data == text.encode()
    assert type_.check(checked.data) == checked
    assert checked.format == type_.format


@pytest.mark.parametrize("type_", TEXTS, ids=named)
@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("a\n\0", "line 2, column 1"),
        ("a\ud800", "line 1, column 2"),
        (b"ab\xff", "byte 3"),
        (b"\xed\xa0\x80", "byte 1"),
        (b"\x89PNG\r\n\x1a\n", "byte 1"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(type_: ArtifactType, content: object, where: str):
    refused = refusal(type_, content)
    assert (refused.where, refused.artifact_type) == (where, type_.name)
    str(refused).encode()


@pytest.mark.parametrize("type_", [*TEXTS, file_type()], ids=named)
@pytest.mark.parametrize("content", [None, 5, {"a": 1}, ["x"], object()])
def test_a_value_is_no_text(type_: ArtifactType, content: object):
    assert "Python type" in refusal(type_, content).got


def test_a_page_may_hold_script():
    page = '<!doctype html><button onclick="go()">x</button><script>fetch("https://example.com")</script>'
    assert html_sandboxed_type().check(page).data == page.encode()


@pytest.mark.parametrize("type_", [*TEXTS, file_type()], ids=named)
def test_the_cap_counts_bytes_and_the_error_names_it(type_: ArtifactType):
    small = replace(type_, cap_bytes=4)
    assert small.check("éé").data == "éé".encode()
    for content in ("ééé", "xxxxx", b"xxxxx", "x" * 1_000_000):
        with pytest.raises(ContentTooLarge, match="4 bytes") as refused:
            small.check(content)
        assert refused.value.limit == 4


@pytest.mark.parametrize(
    ("language", "format_name"),
    [
        ("python", "python"),
        ("TS", "typescript"),
        (None, "text"),
        ("brainfuck", "text"),
        ("png", "text"),
        ("json", "json"),
    ],
)
def test_the_language_of_code_tells_its_format(language: str | None, format_name: str):
    found = code_type().check("x = 1", language=language).format
    assert found is not None
    assert found.name == format_name


@pytest.mark.parametrize("language", ["", "a\nb", "x" * 65, "\ud800", "\0"])
def test_a_language_that_is_no_word_is_refused(language: str):
    refused = refusal(code_type(), "x = 1", language=language)
    assert refused.where == "language"
    str(refused).encode()


def test_a_language_says_nothing_of_the_format_of_other_types():
    found = markdown_type().check("# x", language="python").format
    assert found is not None
    assert found.name == "markdown"


def test_a_file_takes_any_bytes_and_leaves_its_format_to_its_name():
    checked = file_type().check(b"\x00\xff")
    assert (checked.data, checked.format) == (b"\x00\xff", None)
    assert file_type().examine is None
