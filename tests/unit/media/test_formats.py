"""What the table of formats promises to those who read it."""

from collections import Counter

import pytest

from handiwork.media.formats import BY_NAME, FORMATS, Format, format_named, format_of_media_type


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("jpg", "jpeg"),
        ("JPEG", "jpeg"),
        (".png", "png"),
        ("md", "markdown"),
        ("txt", "text"),
        ("py", "python"),
        ("ts", "typescript"),
        ("yml", "yaml"),
        ("tgz", "tar.gz"),
        ("tar.gz", "tar.gz"),
        (" pdf ", "pdf"),
        ("bin", "binary"),
    ],
)
def test_a_format_is_found_by_name_and_by_extension(word: str, name: str):
    assert format_named(word) == BY_NAME[name]


def test_a_word_that_names_nothing_finds_nothing():
    assert format_named("nothing") is None
    assert format_named("") is None


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("text/plain; charset=utf-8", "text"),
        ("IMAGE/PNG", "png"),
        ("application/gzip", "gz"),
        ("application/vnd.ms-excel.sheet.macroenabled.12", "xlsm"),
    ],
)
def test_a_format_is_found_by_media_type(media_type: str, name: str):
    assert format_of_media_type(media_type) == BY_NAME[name]


def test_an_unknown_media_type_finds_nothing():
    assert format_of_media_type("application/x-nothing") is None


def test_names_and_extensions_are_unambiguous():
    words = Counter(word for row in FORMATS for word in {row.name, *row.extensions})
    assert [word for word, count in words.items() if count > 1] == []


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
def test_formats_of_one_media_type_agree_on_how_they_are_handed_over(row: Format):
    found = format_of_media_type(row.media_type)
    assert found is not None
    assert (found.disposition, found.delivered, found.category) == (row.disposition, row.delivered, row.category)


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
def test_what_is_not_delivered_has_a_hint_and_what_is_delivered_has_none(row: Format):
    assert (row.hint is None) == row.delivered


@pytest.mark.parametrize("name", ["html", "svg", "xml", "javascript", "css", "binary", "zip", "docx", "mp4", "elf"])
def test_what_acts_in_a_page_or_opens_elsewhere_is_an_attachment(name: str):
    assert BY_NAME[name].disposition == "attachment"


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "webp", "pdf", "text", "markdown", "json", "python"])
def test_what_a_browser_shows_safely_is_inline(name: str):
    assert BY_NAME[name].disposition == "inline"


@pytest.mark.parametrize(
    ("category", "names"),
    [
        ("text", "text markdown log python css shell diff"),
        ("document", "pdf docx pptx doc html rtf odt epub eml"),
        ("spreadsheet", "csv tsv xlsx xls ods"),
        ("image", "png jpeg svg webp"),
        ("data", "json xml yaml sql sqlite parquet binary woff2"),
        ("archive", "zip tar tar.gz whl rar"),
    ],
)
def test_categories_are_those_of_the_seed(category: str, names: str):
    assert {BY_NAME[name].category for name in names.split()} == {category}


@pytest.mark.parametrize("name", ["mp4", "webm", "mp3", "wav", "elf", "exe", "macho", "class", "wasm", "pyc", "jar"])
def test_recordings_and_compiled_code_are_not_delivered(name: str):
    assert not BY_NAME[name].delivered
