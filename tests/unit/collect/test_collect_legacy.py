"""The old rule of fences, with all its gaps, as the collectors before had it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.collect.legacy import LegacyFences

RULE = re.compile(r"```([A-Za-z0-9_+.-]*)\n(.*?)\n```", re.DOTALL)
TEXT = st.lists(st.sampled_from(["```", "`", "\n", "\r\n", "py", "x", " ", "~~~", "c#", "````"]), max_size=30).map(
    "".join
)


def found(*pieces: str) -> tuple[list[tuple[str, str]], str]:
    fences = LegacyFences()
    blocks = [block for piece in pieces for block in fences.feed(piece)] + fences.close()
    return [(block.info, block.body) for block in blocks], fences.outside()


@given(TEXT)
def test_the_blocks_are_those_of_the_rule(text: str) -> None:
    assert found(text) == (RULE.findall(text), RULE.sub("", text))


@given(TEXT, st.data())
def test_a_text_in_pieces_gives_what_the_whole_gives(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert found(*pieces) == found(text) == found(*text)


@pytest.mark.parametrize(
    "text",
    [
        "```py\nx",
        "~~~py\nx\n~~~",
        "```py\r\nx\r\n```",
        "```python title=x\nx\n```",
        "```py \nx\n```",
        "```c#\nx\n```",
        "  ```py\n  x\n  ```",
    ],
)
def test_what_the_rule_does_not_know_is_no_block(text: str) -> None:
    assert found(text) == ([], text)


def test_a_block_of_four_backticks_ends_at_the_first_three() -> None:
    assert found("````md\n```py\nx\n```\n````\n")[0] == [("md", "```py\nx")]


def test_a_block_that_closes_at_once_goes_on_to_the_next_fence() -> None:
    assert found("```py\n```\nx\n```")[0] == [("py", "```\nx")]


def test_a_fence_opens_within_a_line_and_closes_before_text() -> None:
    assert found("see ```py\nx\n```and so on")[0] == [("py", "x")]
