"""Values that tools pass on, made into what JSON can hold. What they mean is not known here."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import cast

DEEPEST = 20
LONGEST_TEXT = 1000
_HALF = re.compile("[\ud800-\udfff]")


def plain_json(value: object, *, depth: int = 0) -> object:
    """Return a value with text in the place of all that JSON cannot hold."""
    match value:
        case None | bool() | str():
            return value
        case int() if value.bit_length() <= 64:
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping() if depth < DEEPEST:
            items = cast("Mapping[object, object]", value).items()
            return {_text(key): plain_json(each, depth=depth + 1) for key, each in items}
        case list() | tuple() if depth < DEEPEST:
            return [plain_json(each, depth=depth + 1) for each in cast("Sequence[object]", value)]
        case _:
            return _text(value)


def whole_characters(text: str) -> str:
    """Return a text that UTF-8 can hold, with a replacement character for each half of one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _HALF.search(text) else text


def _text(value: object) -> str:
    try:
        return str(value)[:LONGEST_TEXT]
    except Exception:  # noqa: BLE001  # what a tool has passed on may fail in any way, and must not fail the run
        return f"a {type(value).__name__}"
