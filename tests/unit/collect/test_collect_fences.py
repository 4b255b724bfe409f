"""Fences of CommonMark, against another reader of it, in any pieces, and in time that grows with the text only."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from handiwork.collect.block import Block
from handiwork.collect.fences import CommonMarkFences

OTHER = MarkdownIt("commonmark")
STARTS = st.sampled_from(["", "", "", " ", "   ", "    ", "- ", "* ", "1. ", "2) ", "> ", ">", "  ", "- > ", "\t", "-"])
FENCES = st.sampled_from(["```", "````", "~~~", "~~~~", "```py", "~~~ JS `x`", "``` a`b", "``` py x", "x ```", "``"])
OTHERS = st.sampled_from(["text", "# h", "---", "===", "***", "+", "1.", "[a]", "<div>", "</div>", "<!--", "-->"])
ENDS = st.one_of(FENCES, OTHERS, st.sampled_from(["", "<pre>", "</pre>", "<b>", "<b", "\ttabbed"]))
LINES = st.lists(st.builds(str.__add__, STARTS, ENDS), max_size=12)
PIECES = st.lists(
    st.sampled_from(["`", "```", "~~~", "\n", "\r", "\r\n", " ", "> ", "- ", "py", "x", "<", "é"]), max_size=40
)


def found(*pieces: str) -> tuple[list[Block], str]:
    fences = CommonMarkFences()
    blocks = [block for piece in pieces for block in fences.feed(piece)] + fences.close()
    return blocks, fences.outside()


def bodies(text: str) -> list[tuple[str, str]]:
    return [(block.info, block.body) for block in found(text)[0]]


@given(LINES, st.sampled_from(["\n", "\r\n"]))
def test_the_blocks_are_those_that_another_reader_finds(lines: list[str], line_end: str) -> None:
    text = line_end.join(lines)
    others = [(token.info.strip(), token.content.rstrip()) for token in OTHER.parse(text) if token.type == "fence"]
    assert [(info, body.rstrip()) for info, body in bodies(text)] == others


@given(PIECES, st.data())
def test_a_text_in_pieces_gives_what_the_whole_gives(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert found(*pieces) == found(text) == found(*text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```py\nx\n```\n", [("py", "x")]),
        ("~~~py\nx\n~~~\n", [("py", "x")]),
        ("~~~ py `x`\n```\n~~~\n", [("py `x`", "```")]),
        ("````md\n```py\nx\n```\n````\n", [("md", "```py\nx\n```")]),
        ("```python title=x\nx\n```", [("python title=x", "x")]),
        ("```py \r\nx\r\ny\r\n```\r\n", [("py", "x\ny")]),
        ("```py\nx", [("py", "x")]),
        ("```py\nx\n``` no end\n```", [("py", "x\n``` no end")]),
        ("  ```py\n    x\n  y\n z\n   ```", [("py", "  x\ny\nz")]),
        ("    ```py\n    x\n    ```", []),
        ("a ```py\nx\n", []),
        ("```\n```", [("", "")]),
        ("```c#\nx\n```", [("c#", "x")]),
        ("1. One:\n   ```make\n   all:\n   \tgcc\n   ```\n2. Two", [("make", "all:\n\tgcc")]),
        ("- ```py\n  x\n- y\n", [("py", "x")]),
        ("> ```py\n> x\n\ny\n", [("py", "x")]),
        ("<!--\n```py\nx\n```\n-->", []),
        ("<pre>\n```\n</pre>\n```py\nx\n```", [("py", "x")]),
    ],
)
def test_each_form_of_a_fence(text: str, expected: list[tuple[str, str]]) -> None:
    assert bodies(text) == expected


def test_a_block_that_does_not_close_says_so() -> None:
    assert [block.is_closed for block in found("```\na\n```\n- ```\n  b\n\n```\nc")[0]] == [True, False, False]


def test_what_is_outside_is_all_lines_of_no_block() -> None:
    assert found("# A\n```py\nx\n```\nB\n- ~~~\n  y\n  ~~~\n- z\n")[1] == "# A\nB\n- z\n"


HOSTILE = {
    "ticks": "`",
    "tick lines": "```\n",
    "ticks in lines": "x```\n",
    "open blocks": "~~~x\n````\n",
    "quotes": ">",
    "quoted lines": "> a\n",
    "items": "- ",
    "numbers": "1. ",
    "rules": "_ ",
    "tags": "<a ",
    "attributes": "<a b='c' ",
    "unquoted": "<a b=c ",
    "comments": "<!--\n",
    "spaces": " ",
    "tabs": "\t",
    "returns": "\r",
    "headings": "#",
    "digits": "1",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_takes_time_that_grows_with_it_only(piece: str) -> None:
    def seconds(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        start = time.process_time()
        found(text)
        return time.process_time() - start

    seconds(1000)
    # Sixteen times the text; a square would be 256 times the time.
    assert seconds(320_000) < 80 * seconds(20_000) + 0.05
