"""What is noted beside content: metadata, facts, a language, a reason. Whether it can be kept as it is.

What the notes mean, and where they are kept, is not known here. No database takes half a surrogate pair, not each
takes NUL, and JSON has neither numbers that are not finite nor levels without end.
"""

import json
from collections.abc import Mapping
from typing import cast

from handiwork.errors import InvalidContent
from handiwork.model import KIB
from handiwork.versions.differences import DEEPEST, fault_of

LARGEST_BYTES = 16 * KIB
LONGEST_TEXT = 1000
_NUL = "\0"
_NUL_FAULT = "a text with NUL in it"


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
