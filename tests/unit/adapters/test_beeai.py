"""What the adapter of BeeAI makes of texts and values; its agents run in `integration/test_beeai.py`."""

import html
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from handiwork.adapters.beeai import unescaped
from handiwork.adapters.final_answers import DEEPEST_ANSWER, rewrite_fields, rewritten, steady, untold, whole_characters
from handiwork.references import Reference


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    text: str
    many: tuple[str, ...] = ()
    count: int = 0


async def louder(text: str) -> str:
    return text.upper()


def nested(depth: int) -> Any:
    value: Any = "a"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("all of it", "all of it"),
        ("a path \\", "a path "),
        ("an escape \\u", "an escape "),
        ("an escape \\u00e", "an escape "),
        ("no escape \\u00e9", "no escape \\u00e9"),
        ("half a face \ud83d", "half a face "),
        ("half a face \ud83d\\ude0", "half a face "),
        ("a face \ud83d\ude00", "a face 😀"),
        ("a half \ud83d and more", "a half \ufffd and more"),
        ("two \\\\", "two \\"),
    ],
)
def test_what_may_yet_become_another_text_is_not_told(text: str, told: str) -> None:
    assert steady(text) == told


@given(st.text())
def test_a_text_of_whole_characters_stays(text: str) -> None:
    assert whole_characters(text) == text
    assert text.startswith(steady(text))


@pytest.mark.parametrize(
    ("answer", "told", "rest"),
    [
        ("Hello", "", "Hello"),
        ("Hello", "Hello", ""),
        ("Hello, you", "Hello", ", you"),
        ("Hello, you", "Hallo", "Hello, you"),
        ("é This is what was said, and this is new.", "\\u00e9 This is what was said", ", and this is new."),
        ("This is what was said", "Another answer that has nothing of it", "This is what was said"),
    ],
)
def test_what_was_told_is_not_told_again(answer: str, told: str, rest: str) -> None:
    assert untold(answer, told) == rest


@given(id=st.from_regex(r"[a-z]{1,12}_[a-z0-9]{4}", fullmatch=True), summary=st.text(min_size=1))
def test_a_reference_that_was_escaped_for_a_web_page_is_one_again(id: str, summary: str) -> None:
    mention = str(Reference(id, summary=summary))
    assert unescaped(f"a &lt;b&gt; {html.escape(mention)} c &amp; d") == f"a &lt;b&gt; {mention} c &amp; d"
    assert unescaped(mention) == mention


def test_an_escaped_element_without_an_end_is_left_alone() -> None:
    text = "&lt;artifact id=" * 5_000
    assert unescaped(text) == text


async def test_every_text_of_a_value_is_rewritten_and_no_name() -> None:
    value = {"a": ["b", ("c", 1, None)], "d": {"e": "f"}}
    assert await rewritten(value, louder) == {"a": ["B", ("C", 1, None)], "d": {"e": "F"}}
    model = Frozen.model_validate({"text": "a", "many": ["b"], "count": 2, "more": ["c"]})
    copy = await rewritten({"model": model}, louder)
    assert copy["model"].model_dump() == {"text": "A", "many": ("B",), "count": 2, "more": ["C"]}
    assert model.text == "a"
    await rewrite_fields(model, louder)
    assert model == copy["model"]


async def test_what_is_nested_without_end_is_left_alone() -> None:
    for depth, text in ((DEEPEST_ANSWER, "A"), (DEEPEST_ANSWER + 1, "a"), (DEEPEST_ANSWER + 400, "a")):
        assert json.dumps(await rewritten(nested(depth), louder)).strip("[]") == f'"{text}"'


def test_without_the_framework_it_says_how_to_get_it() -> None:
    code = """
import sys
import handiwork.errors

sys.modules["beeai_framework"] = None
try:
    import handiwork.adapters.beeai
except handiwork.errors.ExtraMissing as missing:
    print(missing.extra, missing.hint)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert told.stdout == "beeai Install it with `pip install 'handiwork[beeai]'`.\n", told.stderr
