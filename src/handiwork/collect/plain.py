"""Values that tools pass on, made into what JSON can hold. What they mean is not known here."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from handiwork.model import MIB

DEEPEST = 20
LONGEST_TEXT = 1000
MOST_UNITS = 32 * MIB
"""A character is one of them, and a value has `UNITS_OF_ONE` beside its own."""
UNITS_OF_ONE = 32


def plain_json(value: object) -> object:
    """Return a value with text in the place of all that JSON cannot hold. Raises `ValueError` for too much of it."""
    return _Reading().plain(value, depth=0)


@dataclass(slots=True)
class _Reading:
    """What is left to be read: the same list may stand in many places, so that little can be endless on paper."""

    left: int = MOST_UNITS

    def plain(self, value: object, *, depth: int) -> object:
        self._spend(UNITS_OF_ONE + (len(value) if isinstance(value, str) else 0))
        match value:
            case None | bool() | str():
                return value
            case int() if value.bit_length() <= 64:
                return value
            case float() if math.isfinite(value):
                return value
            case Mapping() if depth < DEEPEST:
                items = cast("Mapping[object, object]", value).items()
                return {self._key(key): self.plain(each, depth=depth + 1) for key, each in items}
            case list() | tuple() if depth < DEEPEST:
                return [self.plain(each, depth=depth + 1) for each in cast("Sequence[object]", value)]
            case _:
                return _text(value)

    def _key(self, key: object) -> str:
        text = _text(key)
        self._spend(len(text))
        return text

    def _spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise ValueError(f"it holds more than {MOST_UNITS // MIB} MiB")


def _text(value: object) -> str:
    # What a tool has passed on may fail in any way, and must not fail the run. The text of a list may be endless.
    with contextlib.suppress(Exception, SystemExit):
        is_of_others = isinstance(value, (Mapping, list, tuple))
        if not is_of_others:
            return str(value)[:LONGEST_TEXT]
    return f"a {type(value).__name__}"
