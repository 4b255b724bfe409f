"""How several artifacts in one text are told apart; how one is read is tested beside `marked`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.context.marker import marked, parts

LINES = st.sampled_from(
    [
        "ARTIFACT",
        "ARTIFACT_SUMMARY: A",
        "",
        "text",
        "```",
        "~~~",
        "~~~~",
        "~~~markdown",
        "```python",
        " ARTIFACT ",
        "\r",
    ]
)


def one(summary: str, *lines: str) -> str:
    return "\n".join(["ARTIFACT", f"ARTIFACT_SUMMARY: {summary}", "", *lines])


def test_each_artifact_is_a_part() -> None:
    texts = [one("A", "~~~markdown", "a", "~~~", ""), one("B", "b", ""), one("C", "```csv", "c", "```")]
    assert parts("\n".join(texts)) == texts
    found = [marked(part) for part in parts("\n".join(texts))]
    assert [(each.summary, each.content) for each in found if each] == [("A", "a"), ("B", "b"), ("C", "c")]


@pytest.mark.parametrize(
    "text",
    [
        "No artifact.",
        f"Before it\n{one('A', 'a')}\n{one('B', 'b')}",
        one("A", "~~~markdown", "Write this:", *one("B", "b").split("\n"), "~~~"),
        one("A", "~~~markdown", "~~~text", "x", "~~~", *one("B", "b").split("\n"), "~~~"),
        one("A", "~~~python", *one("B", "b").split("\n")),
        one("A", "ARTIFACT", "and no summary"),
        one("A", "ARTIFACTS are", "ARTIFACT_SUMMARY: no mark"),
        "ARTIFACT",
        "",
    ],
)
def test_what_is_in_a_fence_or_no_mark_is_no_part(text: str) -> None:
    assert parts(text) == [text]


def test_an_opening_in_a_fence_of_the_other_kind_does_not_hide_what_follows() -> None:
    first = one("A", "~~~python", "text = '''", "```json", "'''", "~~~")
    assert parts(f"{first}\n{one('B', 'b')}") == [first, one("B", "b")]


@given(st.lists(LINES, max_size=30).map("\n".join))
def test_nothing_is_lost_between_the_parts(text: str) -> None:
    assert "\n".join(parts(text)) in (text, text.replace("\r\n", "\n"))
