"""What an output holds: blocks and documents with their names, languages and remarks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.collect.extraction import Extraction, FencesRule, extracted
from handiwork.collect.found import Found
from handiwork.errors import InvalidName

RULES: list[FencesRule] = ["commonmark", "legacy"]


def names(text: str, *, iteration: int = 3) -> list[str]:
    return [found.name for found in extracted(text, iteration=iteration)]


def block(language: str, body: str = "x") -> str:
    return f"```{language}\n{body}\n```\n"


@pytest.mark.parametrize("fences", RULES)
@pytest.mark.parametrize(
    ("language", "expected", "extension"),
    [
        ("python", "python", "py"),
        ("PY", "py", "py"),
        ("ts", "ts", "ts"),
        ("zsh", "zsh", "sh"),
        ("golang", "golang", "go"),
        ("yaml", "yaml", "yml"),
        ("c++", "c++", "txt"),
        ("", "text", "txt"),
    ],
)
def test_a_block_is_named_by_its_iteration_its_place_and_its_language(
    language: str, expected: str, extension: str, fences: FencesRule
) -> None:
    (found,) = extracted(block(language), iteration=3, fences=fences)
    assert found == Found(kind="code", name=f"iter3-block1.{extension}", content="x", language=expected)


@pytest.mark.parametrize("fences", RULES)
def test_an_empty_block_uses_up_no_number(fences: FencesRule) -> None:
    text = block("py", "\n\n") + block("py", "a\n\n") + block("py", "b")
    found = [(each.name, each.content) for each in extracted(text, iteration=1, fences=fences)]
    assert found == [("iter1-block1.py", "a"), ("iter1-block2.py", "b")]


@pytest.mark.parametrize("info", ["py\u200b", "\ufeffpy", "\x00py", "\u202epy", "py\x7f", "py \x00", "py\ud800"])
def test_what_cannot_be_seen_in_an_info_string_is_not_in_it(info: str) -> None:
    (found,) = extracted(block(info))
    assert (found.name, found.language, found.metadata) == ("iter0-block1.py", "py", {})


def test_a_language_that_grows_in_lower_case_is_as_short_as_others() -> None:
    (found,) = extracted(block("İ" * 60))
    assert (found.language, found.metadata) == ("text", {"info": "İ" * 60})


def test_what_else_an_info_string_says_is_a_remark() -> None:
    (found,) = extracted("```python title=x\nx")
    assert (found.language, found.metadata) == ("python", {"info": "title=x", "unterminated": True})


@given(st.text().filter(lambda info: not set(info) & set("`\n\r")))
def test_whatever_stands_behind_a_fence_what_is_told_of_the_block_is_printable(info: str) -> None:
    (found,) = extracted(block(info))
    assert found.content == "x"
    assert found.language is not None
    assert found.language.isprintable()
    assert str(found.metadata.get("info", "")).isprintable()


def test_an_info_string_without_end_is_no_language() -> None:
    (found,) = extracted(block("p" * 1000))
    assert found.language == "text"
    assert len(str(found.metadata["info"])) == 200


@pytest.mark.parametrize("fences", RULES)
@pytest.mark.parametrize(("length", "count"), [(200, 0), (201, 1)])
def test_text_that_begins_with_a_heading_is_a_document_from_201_characters_on(
    length: int, count: int, fences: FencesRule
) -> None:
    text = "# Report: Q3, côté sud\n".ljust(length, "x")
    found = extracted(f"\n {text}  \n", iteration=2, fences=fences)
    assert [(each.kind, each.content, each.language) for each in found] == [("markdown", text, None)] * count
    assert [each.name for each in found] == ["iter2-report-q3-c-t-sud.md"] * count


def test_long_text_without_a_heading_is_no_document() -> None:
    assert extracted("Report\n" * 100) == []


@pytest.mark.parametrize("heading", ["#", "####", "# ###", "# 日本"])
def test_a_document_whose_heading_has_no_letters_gets_a_name_all_the_same(heading: str) -> None:
    assert names(heading + "\n" + "x" * 300) == ["iter3-doc.md"]


def test_blocks_come_before_the_document_around_them() -> None:
    assert names("# Plan\n" + block("py") + "x" * 300) == ["iter3-block1.py", "iter3-plan.md"]


@given(st.text(alphabet="`~#\n x-py", max_size=60), st.integers(0, 60), st.sampled_from(RULES))
def test_an_output_in_pieces_gives_what_the_whole_gives(text: str, cut: int, fences: FencesRule) -> None:
    extraction = Extraction(iteration=1, fences=fences)
    pieces = [*extraction.feed(text[:cut]), *extraction.feed(text[cut:]), *extraction.close()]
    assert pieces == extracted(text, iteration=1, fences=fences)


def test_a_block_is_found_as_soon_as_it_is_whole() -> None:
    extraction = Extraction(iteration=1)
    assert extraction.feed("```py\nx\n") == []
    assert [each.name for each in extraction.feed("```\n")] == ["iter1-block1.py"]


def test_another_rule_is_refused() -> None:
    with pytest.raises(InvalidName, match="expected `commonmark` or `legacy`"):
        Extraction(fences="gfm")  # pyright: ignore[reportArgumentType]  # the point
