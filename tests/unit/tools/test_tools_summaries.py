"""Summaries of large answers: what they say by category, that they stay short, and that nothing breaks them."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.tools.summaries import KINDS, SUMMARY_BYTES, Category, describe, rows_of, summary_of

RECORDS = [{"id": number, "name": f"Record {number}", "owner": {"name": "Ada"}} for number in range(100)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=6),
    max_leaves=40,
)


def size_of(summary: Mapping[str, object]) -> int:
    return len(json.dumps(summary, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def test_the_categories_and_how_long_they_are_kept_are_those_of_the_table() -> None:
    assert {name: kind.ttl for name, kind in KINDS.items()} == {
        "crm_records": timedelta(minutes=30),
        "emails": timedelta(hours=1),
        "meetings": timedelta(hours=1),
        "tasks": timedelta(minutes=30),
        "slack_messages": timedelta(minutes=10),
        "record_fields": timedelta(hours=24),
    }
    assert set(KINDS) == set(get_args(Category))


@pytest.mark.parametrize("category", ["crm_records", "emails", "meetings", "tasks"])
def test_records_are_counted_with_their_fields_and_the_first_three(category: Category) -> None:
    assert KINDS[category].summarize({"records": RECORDS}, "search") == {
        "total_count": 100,
        "fields": ["id", "name", "owner"],
        "preview": RECORDS[:3],
    }


def test_a_page_of_more_tells_how_many_there_are_in_all() -> None:
    assert KINDS["crm_records"].summarize({"total": 9000, "records": RECORDS}, "search")["total_count"] == 9000


@pytest.mark.parametrize(
    ("more", "has_more"),
    [({}, False), ({"has_more": True}, True), ({"response_metadata": {"next_cursor": "dGVhbQ"}}, True),
     ({"response_metadata": {"next_cursor": ""}}, False)],
)  # fmt: skip
def test_messages_tell_whether_there_are_more(more: dict[str, object], has_more: bool) -> None:
    messages = [{"user": "U1", "text": "hello"}] * 5
    told = KINDS["slack_messages"].summarize({"messages": messages, **more}, "history")
    assert told == {"total_count": 5, "has_more": has_more, "preview": messages[:3]}


def test_fields_and_views_are_named_and_counted() -> None:
    described: dict[str, object] = {
        "object_type": "Lead",
        "fields": [{"name": "Id"}, {"name": "Status"}],
        "views": [{"name": "Open"}],
    }
    assert KINDS["record_fields"].summarize(described, "describe") == {
        "object_type": "Lead", "fields": ["Id", "Status"], "counts": {"fields": 2, "views": 1},
    }  # fmt: skip


def test_the_list_that_an_answer_is_about_is_found() -> None:
    assert rows_of({"page": [1], "data": {"items": [1, 2]}})[0] == "data.items"
    assert rows_of({"a": [1], "b": [1, 2]})[0] == "b"
    assert rows_of({"a": 1}) == (None, ())


@pytest.mark.parametrize("result", [{"text": "line\n" * 9}, {"a": 1, "b": {}}, {"items": []}])
def test_what_is_no_list_is_described(result: dict[str, object]) -> None:
    assert describe(result, "tool").keys() in (
        {"type", "lines", "characters", "preview"},
        {"type", "keys", "size"},
    )


def _raises(_result: dict[str, object], _tool: str) -> dict[str, object]:
    raise KeyError("missing")


def _leaves(_result: dict[str, object], _tool: str) -> dict[str, object]:
    raise SystemExit(3)


def _giving(told: Any) -> Any:
    def summarize(_result: dict[str, object], _tool: str) -> Any:
        return told

    return summarize


def _empties(result: dict[str, object], _tool: str) -> dict[str, object]:
    result.clear()
    return result


def _empties_records(result: dict[str, Any], _tool: str) -> dict[str, object]:
    result["records"].clear()
    return {"left": len(result["records"])}


@pytest.mark.parametrize(
    "summarizer",
    [
        _raises,
        _leaves,
        _giving({"when": object()}),
        _giving({"nan": float("nan")}),
        _giving(["a list"]),
        _giving(None),
        _giving({"long": "x" * (SUMMARY_BYTES + 1)}),
    ],
    ids=["raises", "leaves", "no JSON", "no number", "no object", "nothing", "too long"],
)
def test_a_summarizer_that_cannot_be_used_is_replaced(summarizer: Any) -> None:
    result: dict[str, object] = {"records": RECORDS}
    told = summary_of(result, "search", summarizer)
    assert told["total_count"] == 100


def test_a_summarizer_cannot_change_what_is_kept() -> None:
    result: dict[str, object] = {"records": RECORDS}
    assert summary_of(result, "search", _empties) == {}
    assert result == {"records": RECORDS}
    assert summary_of(result, "search", _empties_records) == {"left": 0}
    assert result == {"records": [{**record} for record in RECORDS]}
    assert len(RECORDS) == 100


def test_half_a_character_in_a_summary_is_none() -> None:
    assert summary_of({"records": RECORDS}, "search", _giving({"a\ud800": "\ud800"})) == {"a?": "?"}


def test_a_summarizer_that_can_be_used_is_used() -> None:
    assert summary_of({"records": RECORDS}, "search", lambda result, tool: {tool: len(result)}) == {"search": 1}


@given(result=st.dictionaries(st.text(), JSON, max_size=8), category=st.sampled_from(sorted(KINDS)))
def test_no_answer_makes_a_summary_fail_or_grow(result: dict[str, object], category: Category) -> None:
    for summary in (KINDS[category].summarize(result, "tool"), describe(result, "tool")):
        assert size_of(summary) <= SUMMARY_BYTES


@pytest.mark.parametrize("category", sorted(KINDS))
@pytest.mark.parametrize(
    "result",
    [
        {"records": [{f"field {n} " + "é" * 200: "ü" * 1000 for n in range(400)}] * 200},
        {"records": ["💥" * 5000] * 50},
        {f"list {n} " + "é" * 100: [{"name": "ü" * 200}] * 90 for n in range(400)},
        {f"💥 {n} " * 30: n for n in range(400)},
        {"object_type": "x" * 10_000, "fields": [[[["deep"] * 99] * 99]] * 9},
    ],
    ids=["wide rows", "long texts", "many lists", "many names", "deep"],
)
def test_a_large_answer_has_a_short_summary(result: dict[str, object], category: Category) -> None:
    assert size_of(KINDS[category].summarize(result, "tool")) <= SUMMARY_BYTES


@pytest.mark.parametrize(("text", "lines"), [("a", 1), ("a\n", 1), ("a\nb", 2), ("a\nb\n", 2)])
def test_lines_of_a_text_are_counted_as_they_are_read(text: str, lines: int) -> None:
    assert describe({"text": text}, "tool")["lines"] == lines
