import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.context.marker import HANDOFF_INSTRUCTIONS, Marked, marked, parts

HEAD = "ARTIFACT\nARTIFACT_SUMMARY: A draft\n\n"


@pytest.mark.parametrize(
    ("body", "content", "info"),
    [
        ("plain text\n", "plain text", ""),
        ("~~~markdown\n# a\n~~~", "# a", "markdown"),
        ("```python\nx = 1\n```\n\n", "x = 1", "python"),
        ("~~~markdown\n# a\n\n```py\nx\n```\nb\n~~~", "# a\n\n```py\nx\n```\nb", "markdown"),
        ("```markdown\n# a\n```py\nx\n```\nb\n```", "# a\n```py\nx\n```\nb", "markdown"),
        ("```markdown\na\n```\nx\n```\nb\n```", "a\n```\nx\n```\nb", "markdown"),
        ("````\n```\na\n```\n````", "```\na\n```", ""),
        ("~~~python\nprint(1)", "print(1)", "python"),
        ("~~~\nARTIFACT\nARTIFACT_SUMMARY: other\n~~~", "ARTIFACT\nARTIFACT_SUMMARY: other", ""),
        ("```py\nx = 1\n```\nThat is it.", "```py\nx = 1\n```\nThat is it.", ""),
        ("```py\nx\n```\nand\n```py\ny\n```", "```py\nx\n```\nand\n```py\ny\n```", ""),
        ("one ``` two", "one ``` two", ""),
    ],
)
def test_what_is_marked_is_kept_without_its_fence(body: str, content: str, info: str) -> None:
    assert marked(HEAD + body) == Marked(content=content, summary="A draft", info=info)
    assert marked((HEAD + body).replace("\n", "\r\n")) == Marked(content=content, summary="A draft", info=info)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ARTIFACT",
        HEAD,
        f"{HEAD}~~~\n\n~~~",
        "ARTIFACTS are useful.\nARTIFACT_SUMMARY: a\nb",
        "ARTIFACT: a\nARTIFACT_SUMMARY: a\nb",
        "ARTIFACT_SUMMARY: a\nb",
        "artifact\nartifact_summary: a\nb",
        f"Sure! Here it is.\n{HEAD}b",
        "ARTIFACT\nb",
        "ARTIFACT\n~~~\nARTIFACT_SUMMARY: a\n~~~\nb",
    ],
)
def test_a_text_that_does_not_keep_to_the_form_is_no_artifact(text: str) -> None:
    assert marked(text) is None


def test_blank_lines_and_an_empty_summary_are_tolerated() -> None:
    assert marked("\n  ARTIFACT  \n\n ARTIFACT_SUMMARY:\nb") == Marked(content="b", summary="")


def test_the_instructions_show_the_form_that_is_read() -> None:
    example = HANDOFF_INSTRUCTIONS.split("\n\n")[1:3]
    found = marked("\n\n".join(example))
    assert found == Marked(content="all of the content", summary="one line that says what it is", info="markdown")


@given(st.lists(st.sampled_from(["a", "```", "```py", "````", "~~~", "~~~md", "", "  ```  ", "ARTIFACT"]), max_size=8))
def test_nothing_that_is_no_fence_is_ever_dropped(lines: list[str]) -> None:
    found = marked(HEAD + "\n".join(lines))
    words = [line for line in lines if line in {"a", "ARTIFACT"}]
    if found is not None:
        assert [line for line in found.content.split("\n") if line in {"a", "ARTIFACT"}] == words
    else:
        assert not words


@pytest.mark.parametrize("others", [["~~~a"] * 100_000, ["~~~~a"] * 50_000 + ["~~~"] * 50_000])
def test_many_fences_in_each_other_take_no_long_time(others: list[str]) -> None:
    text = HEAD + "\n".join(others)
    assert parts(text) == [text]


@pytest.mark.parametrize(
    "line", ["```" + " " * 200_000 + "`", "`" * 300_000, " " * 300_000 + "x", "~~~" + "` " * 100_000]
)
def test_a_long_line_takes_no_long_time(line: str) -> None:
    assert marked(f"{HEAD}{line}\nb") is not None
