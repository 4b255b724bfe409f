"""Summaries of what tools have answered: how many there are, of which fields, and the first three.

A summary has to be short whatever is in the answer. Whether an answer needs one, and where the rest of it is, is known
to `results`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias, cast

from handiwork.errors import InvalidContent
from handiwork.model import KIB
from handiwork.versions.differences import DEEPEST
from handiwork.versions.notes import demand_object

SUMMARY_BYTES = 4 * KIB
"""A summary that is longer is not used."""
MOST_PREVIEWED = 3
MOST_FIELDS = 50
LONGEST_KEY = 60
ROWS_LOOKED_AT = 100
_ROW_KEYS = (
    "records", "items", "results", "data", "rows", "value", "values", "entries", "emails", "messages", "threads",
    "meetings", "events", "tasks",
)  # fmt: skip
_TOTAL_KEYS = ("total_count", "totalCount", "total", "totalSize", "count")
_MORE_KEYS = ("has_more", "hasMore", "next_cursor", "nextCursor", "next_page_token", "nextPageToken", "next")
# What there is room for in a preview, the most first: rows, characters of a text, and fields of a row.
_SIZES = ((3, 200, 50), (3, 80, 30), (3, 40, 12), (2, 30, 8), (1, 20, 5), (0, 0, 20), (0, 0, 5))

Category: TypeAlias = Literal["crm_records", "emails", "meetings", "tasks", "slack_messages", "record_fields"]
Summary: TypeAlias = dict[str, object]
Summarizer: TypeAlias = Callable[[dict[str, object], str], Mapping[str, object]]
Rows: TypeAlias = Sequence[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the answers of a category are summed up, and how long they are kept."""

    summarize: Summarizer
    ttl: timedelta


def summarize_records(result: Mapping[str, object], _tool: str) -> Summary:
    """Return how many records there are, the names of their fields, and the first three of them."""
    _path, rows = rows_of(result)
    return _previewed({"total_count": _total(result, rows)}, rows, fields=_fields(rows))


def summarize_messages(result: Mapping[str, object], _tool: str) -> Summary:
    """Return how many messages there are, whether there are more, and the first three."""
    _path, rows = rows_of(result)
    return _previewed({"total_count": _total(result, rows), "has_more": _has_more(result)}, rows)


def summarize_fields(result: Mapping[str, object], _tool: str) -> Summary:
    """Return of which object the fields and views are, their names, and how many there are of each."""
    lists = dict(_lists(result))
    named = next((each for name, each in lists.items() if "field" in name.lower()), rows_of(result)[1])
    object_type = next(
        (result[name] for name in ("object_type", "objectType", "object", "type") if isinstance(result.get(name), str)),
        None,
    )
    counts = [(name[:LONGEST_KEY], len(each)) for name, each in list(lists.items())[:MOST_FIELDS]]
    names = [_name_of(each) for each in named[:MOST_FIELDS]]
    kind = object_type and str(object_type)[:LONGEST_KEY]
    return _fitting(lambda most: {"object_type": kind, "fields": names[:most], "counts": dict(counts[:most])})


def describe(result: Mapping[str, object], tool: str) -> Summary:
    """Return what can be said of any answer: of a list its records, of else its names, or how it begins."""
    _path, rows = rows_of(result)
    if rows:
        return summarize_records(result, tool)
    text = result.get("text")
    if isinstance(text, str) and len(result) == 1:
        # An end of line at the very end begins no other line.
        lines = text.count("\n") + (0 if text.endswith("\n") else 1)
        return {"type": "text", "lines": lines, "characters": len(text), "preview": _short(text, 200)}
    keys = [name[:LONGEST_KEY] for name in list(result)[:MOST_FIELDS]]
    return _fitting(lambda most: {"type": "object", "keys": keys[:most], "size": len(result)})


def summary_of(result: Mapping[str, object], tool: str, summarize: Summarizer | None) -> Summary:
    """Return what a summarizer says, or where that cannot be used, what can be said of any answer."""
    if summarize is not None:
        # One of somebody's own may do anything, and an answer that has come must not be lost for it.
        try:
            # It gets a copy of its own: what it changes must not change what is kept.
            is_own = any(summarize is own for own in _OWN)
            given = dict(result) if is_own else json.loads(json.dumps(result))
            text = json.dumps(summarize(given, tool), ensure_ascii=False, allow_nan=False)
            told = json.loads(text.encode("utf-8", "replace"))
        except BaseException:  # noqa: BLE001  # the boundary to code of others, which may call `sys.exit`
            told = None
        if isinstance(told, dict) and _fits(cast("Summary", told)):
            return cast("Summary", told)
    return describe(result, tool)


def keepable(summary: Summary) -> Summary:
    """Return a summary as it can be kept beside the answer; none where it cannot, so that the answer is not lost."""
    kept = cast("Summary", _without_nul(summary))
    try:
        demand_object("summary data", kept)
    except InvalidContent:
        return {}
    return kept


def rows_of(result: Mapping[str, object]) -> tuple[str | None, Rows]:
    """Return the list that an answer is about, and its path; no path where there is none."""
    lists = dict(_lists(result))
    for name in (*_ROW_KEYS, *sorted(lists, key=lambda each: len(lists[each]), reverse=True)):
        for path in (name, *(path for path in lists if path.endswith(f".{name}"))):
            if path in lists:
                return path, lists[path]
    return None, ()


KINDS: Mapping[Category, Kind] = {
    "crm_records": Kind(summarize=summarize_records, ttl=timedelta(minutes=30)),
    "emails": Kind(summarize=summarize_records, ttl=timedelta(hours=1)),
    "meetings": Kind(summarize=summarize_records, ttl=timedelta(hours=1)),
    "tasks": Kind(summarize=summarize_records, ttl=timedelta(minutes=30)),
    "slack_messages": Kind(summarize=summarize_messages, ttl=timedelta(minutes=10)),
    "record_fields": Kind(summarize=summarize_fields, ttl=timedelta(hours=24)),
}

_OWN: Sequence[Summarizer] = (summarize_records, summarize_messages, summarize_fields)


def _lists(result: Mapping[str, object]) -> Iterator[tuple[str, Rows]]:
    """Yield the lists in an object, and in the objects right in it, by their paths."""
    for name, value in result.items():
        if isinstance(value, list):
            yield name, cast("Rows", value)
        elif isinstance(value, dict):
            inner = cast("Mapping[str, object]", value)
            yield from ((f"{name}.{key}", cast("Rows", each)) for key, each in inner.items() if isinstance(each, list))


def _total(result: Mapping[str, object], rows: Rows) -> int:
    """Return how many there are in all, of which an answer may be one page."""
    told = [result[name] for name in _TOTAL_KEYS if name in result]
    counts = [count for count in told if isinstance(count, int) and not isinstance(count, bool)]
    return max([len(rows), *counts[:1]])


def _has_more(result: Mapping[str, object]) -> bool:
    inner = [cast("Mapping[str, object]", value) for value in result.values() if isinstance(value, dict)]
    return any(bool(each.get(name)) for each in (result, *inner) for name in _MORE_KEYS)


def _fields(rows: Rows) -> list[str]:
    names: dict[str, None] = {}
    for row in rows[:ROWS_LOOKED_AT]:
        if isinstance(row, dict):
            names |= dict.fromkeys(name[:LONGEST_KEY] for name in cast("Mapping[str, object]", row))
    return list(names)[:MOST_FIELDS]


def _name_of(entry: object) -> str:
    if isinstance(entry, dict):
        known = cast("Mapping[str, object]", entry)
        entry = next((known[name] for name in ("name", "api_name", "key", "id", "label") if name in known), "")
    return str(entry)[:LONGEST_KEY]


def _previewed(told: Summary, rows: Rows, *, fields: Sequence[str] | None = None) -> Summary:
    """Add as much of the first rows as there is room for."""
    summary = told
    for count, longest, most_fields in _SIZES:
        preview = [_shown(row, longest, most_fields) for row in rows[:count]]
        names: Summary = {} if fields is None else {"fields": fields[:most_fields]}
        summary = {**told, **names, "preview": preview}
        if _fits(summary):
            break
    return summary


def _fitting(told: Callable[[int], Summary]) -> Summary:
    """Return what is told with as many names as there is room for."""
    return next((summary for most in (MOST_FIELDS, 20) if _fits(summary := told(most))), told(5))


def _shown(value: object, longest: int, most_fields: int, *, depth: int = 0) -> object:
    match value:
        case str():
            return _short(value, longest)
        case dict() | list() if depth >= 2:  # a row, and what is right in it
            return f"({len(cast('Sequence[object]', value)):,} in it)"
        case dict():
            entries = list(cast("Mapping[str, object]", value).items())[:most_fields]
            return {name[:LONGEST_KEY]: _shown(each, longest, most_fields, depth=depth + 1) for name, each in entries}
        case list():
            some = cast("list[object]", value)[:MOST_PREVIEWED]
            return [_shown(each, longest, most_fields, depth=depth + 1) for each in some]
        case _:
            return value


def _without_nul(value: object, *, depth: int = 0) -> object:
    """Return JSON without the NUL that not every database takes; what is too deep to be kept is left as it is."""
    match value:
        case str():
            return value.replace("\0", "\ufffd")
        case dict() if depth < DEEPEST:
            entries = cast("Mapping[str, object]", value).items()
            return {_without_nul(name): _without_nul(each, depth=depth + 1) for name, each in entries}
        case list() if depth < DEEPEST:
            return [_without_nul(each, depth=depth + 1) for each in cast("list[object]", value)]
        case _:
            return value


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _fits(summary: Summary) -> bool:
    return len(json.dumps(summary, ensure_ascii=False).encode("utf-8", "surrogatepass")) <= SUMMARY_BYTES
