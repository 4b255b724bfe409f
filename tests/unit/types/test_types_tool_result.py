from datetime import timedelta

import pytest

from handiwork.errors import ContentRefused, ContentTooLarge
from handiwork.types.tool_result import answer_of, tool_result_type

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def format_of(result: object, media_type: str | None = None) -> str:
    return answer_of(result, media_type=media_type).format.name


def test_an_answer_is_kept_for_half_an_hour_and_as_large_as_a_file() -> None:
    type_ = tool_result_type(cap_bytes=5)
    assert (type_.name, type_.retention, type_.cap_bytes, type_.display) == (
        "tool_result",
        timedelta(minutes=30),
        5,
        "panel",
    )


@pytest.mark.parametrize("value", [None, True, 7, 1.5, [], {}, [1, {"a": "ü"}]])
def test_a_value_is_json_two_blanks_to_a_level(value: object) -> None:
    answer = answer_of(value)
    assert answer.format.name == "json"
    assert answer == answer_of(value, media_type="text/csv")


def test_a_value_is_spelled_for_people() -> None:
    assert answer_of({"b": [1], "a": "ü"}).data.decode() == '{\n  "b": [\n    1\n  ],\n  "a": "ü"\n}'


@pytest.mark.parametrize("text", ["", "hello", '{"a":1}', "[1,2]", "a,b\n1,2\n", "# Title\n", "<p>x</p>", "null"])
def test_text_and_bytes_stay_as_they_are(text: str) -> None:
    assert answer_of(text).data == answer_of(text.encode()).data == text.encode()


@pytest.mark.parametrize(
    ("result", "media_type", "name"),
    [
        ("hello", None, "text"),
        ('{"a": 1}', None, "json"),
        ("<!doctype html><html></html>", None, "html"),
        ("a,b\n1,2\n", None, "text"),
        ("a,b\n1,2\n", "text/csv; charset=utf-8", "csv"),
        ("# Title\n", "text/markdown", "markdown"),
        ("hello", "image/png", "text"),
        ("hello", "no/such", "text"),
        (PDF, None, "pdf"),
        (PNG, "text/plain", "png"),
        (b"\0\1\2", "application/json", "binary"),
        (bytearray(PDF), None, "pdf"),
    ],
)
def test_the_content_tells_its_format_and_the_media_type_where_that_does_not(
    result: object, media_type: str | None, name: str
) -> None:
    assert format_of(result, media_type) == name


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {1: 2}, {"a": object()}, "\ud800", ["\udfff"]])
def test_what_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises(ContentRefused, match="`tool_result`"):
        answer_of(value)


def test_a_value_without_end_is_refused_with_its_limit() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    endless: list[object] = []
    endless.append(endless)
    for value in (deep, endless):
        with pytest.raises(ContentRefused) as caught:
            answer_of(value)
        assert caught.value.limit == 200
    with pytest.raises(ContentTooLarge) as large:
        answer_of(["x" * 60], cap_bytes=50)
    assert large.value.limit == 50
