"""What is noted beside content: names, titles, labels, metadata, facts, reasons. Whether it can be kept as it is.

What the notes mean, and where they are kept, is not known here. No database takes half a surrogate pair, not each
takes NUL, and JSON has neither numbers that are not finite nor levels without end.
"""

import json
from collections.abc import Mapping, Sequence
from typing import cast

from handiwork.errors import InvalidContent, InvalidName
from handiwork.model import KIB
from handiwork.versions.differences import DEEPEST, fault_of

LARGEST_BYTES = 16 * KIB
LONGEST_TEXT = 1000
LONGEST_NAME = 255
LONGEST_TITLE = 300
MOST_LABELS = 50
LONGEST_LABEL = 100
_NUL = "\0"
_NUL_FAULT = "a text with NUL in it"


def demand_named(*, name: str | None = None, title: str | None = None) -> None:
    """Raise `InvalidName` for a name that no file has, and for a title that is too long or that no database takes."""
    if name is not None:
        _demand_name(name)
    for what, text in (("title", title), ("name", name)):
        if text is not None and not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise InvalidName(what, f"a {type(text).__name__}", expected="text")
    if title is not None and (len(title) > LONGEST_TITLE or not _is_whole(title)):
        raise InvalidName("title", title[:60] + "…", expected=f"at most {LONGEST_TITLE} whole characters")


def distinct_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels in their order, each once. Raises `InvalidContent`."""
    wanted = tuple(dict.fromkeys(labels))
    bad = next((each for each in wanted if not 0 < len(each) <= LONGEST_LABEL or not each.isprintable()), None)
    if bad is not None or len(wanted) > MOST_LABELS:
        expected = f"at most {MOST_LABELS} labels of 1 to {LONGEST_LABEL} printable characters"
        got = f"{len(wanted)} labels" if bad is None else repr(bad[:LONGEST_LABEL])
        raise InvalidContent("labels", expected=expected, got=got)
    return wanted


def demand_texts(**texts: str | None) -> None:
    """Raise `InvalidContent` for a text that no database takes, or that is over `LONGEST_TEXT` characters."""
    for what, text in texts.items():
        if text is None:
            continue
        if len(text) > LONGEST_TEXT:
            expected, got = f"at most {LONGEST_TEXT:,} characters", f"{len(text):,}"
            raise InvalidContent(what, expected=expected, got=got)
        if (fault := fault_of(text) or (_NUL_FAULT if _NUL in text else None)) is not None:
            raise InvalidContent(what, expected="whole characters without NUL", got=fault)


def demand_object(what: str, value: Mapping[str, object]) -> None:
    """Raise `InvalidContent` unless it is an object of plain JSON of at most `LARGEST_BYTES`, without NUL."""
    expected = f"an object of JSON of at most {DEEPEST} levels and {LARGEST_BYTES:,} bytes, without NUL"
    if not isinstance(value, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise InvalidContent(what, expected=expected, got=f"a `{type(value).__name__}`")
    if not value:
        return
    value = dict(value)
    if (fault := fault_of(value)) is not None:
        raise InvalidContent(what, expected=expected, got=fault)
    size = 0
    for piece in json.JSONEncoder(ensure_ascii=False, allow_nan=False).iterencode(value):
        size += len(piece.encode())
        if size > LARGEST_BYTES:
            raise InvalidContent(what, expected=expected, got="more bytes")
    if _has_nul(value):
        raise InvalidContent(what, expected=expected, got=_NUL_FAULT)


def _demand_name(name: str) -> None:
    if (
        not 0 < len(name.encode("utf-8", "surrogatepass")) <= LONGEST_NAME
        or "/" in name
        or name in (".", "..")
        or not name.isprintable()
    ):
        expected = f"printable characters without a slash, 1 to {LONGEST_NAME} bytes"
        raise InvalidName("file name", name, expected=expected)


def _is_whole(text: str) -> bool:
    """Tell whether neither half of a surrogate pair nor NUL is in it, which not every database takes."""
    return not any("\ud800" <= character <= "\udfff" or character == _NUL for character in text)


def _has_nul(value: object) -> bool:
    waiting: list[object] = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str):
            if _NUL in current:
                return True
        elif isinstance(current, dict):
            names = cast("dict[object, object]", current)
            waiting += [*names, *names.values()]
        elif isinstance(current, list):
            waiting += cast("list[object]", current)
    return False
