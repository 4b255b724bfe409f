"""JSON exactly as RFC 8259 has it: read with the place of its first fault, and written from Python values.

What the values mean, and to whom, is not known here. Everything takes time and memory that grow with the size alone.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import cast

from handiwork.characters import HALF
from handiwork.errors import ContentRefused, ContentTooLarge
from handiwork.types.json_writing import pieces_of
from handiwork.types.plain_text import excerpt

DEEPEST = 200
LONGEST_NUMBER = 1000
MOST_BITS = 3322
"""As many as a whole number of `LONGEST_NUMBER` digits may have."""
LONGEST_KEY = 60
MOST_FAULTS = 100
MOST_STEPS = 20

Key = str | int

_HINT = (
    "JSON has names and texts in double quotes, no comments, no comma before a closing bracket, and the words "
    "`true`, `false` and `null`."
)
_FENCE_HINT = "Send the JSON alone, without the Markdown fence around it."
_WANTED = {
    "Expecting value": "a value",
    "Expecting property name": "a name in double quotes",
    "Expecting ',' delimiter": "a comma or a closing bracket",
    "Expecting ':' delimiter": "a colon",
    "Extra data": "the end, since one JSON text is one value",
    "Illegal trailing comma": "no comma before a closing bracket",
    "Invalid \\uXXXX escape": "four hexadecimal digits after `\\u`",
    "Invalid \\escape": 'one of the escapes `\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u`',
    "Invalid control character": "line breaks and other control characters escaped, such as `\\n`",
    "Unexpected UTF-8 BOM": "no byte order mark",
    "Unterminated string": "a closing double quote to this text",
}
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SIMPLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong with a value; while a text is read it stands in the value's place."""

    expected: str
    got: str
    limit: int | None = None
    name: str | None = None
    """The name in an object at which it is wrong."""


def parsed(text: str, *, type_name: str, number_of: Callable[[str], float] | None = None) -> object:
    """Return the one value that the text holds; `number_of` reads numbers that a whole number of Python cannot be.

    Without it those with a fraction or an exponent are floats, and the zero below zero is none.

    Raises `ContentRefused` for all that RFC 8259 does not know, for a name twice in an object, for half a surrogate
    pair, and for what is beyond the limits of this module.
    """
    hooks = _Hooks(number_of)
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=hooks.names,
            parse_int=hooks.whole,
            parse_float=hooks.fraction,
            parse_constant=hooks.constant,
        )
    except json.JSONDecodeError as wrong:
        raise _misspelled(wrong, text, type_name) from wrong
    except RecursionError as deep:
        raise _refused(type_name, _too_deep(), where=None) from deep
    # A value is walked only where there may be something to find, since walking costs more than reading.
    may_be_deep = text.count("[") + text.count("{") > DEEPEST
    if hooks.first_fault is not None or may_be_deep or _SURROGATE_ESCAPE.search(text):
        _demand(value, _fault_of_read, type_name)
    if hooks.first_fault is not None:
        # It stood in an object that lost it, because of a name that is there twice.
        raise _refused(type_name, hooks.first_fault, where=None)
    return value


def written(value: object, *, type_name: str, most_bytes: int) -> bytes:
    """Return the value as JSON in UTF-8, two blanks to a level, names in their order.

    Raises:
        ContentRefused: JSON cannot hold it, or it is beyond the limits of this module.
        ContentTooLarge: it would have more than `most_bytes`.
    """
    budget = _Budget(f"{type_name} content", most_bytes)

    def fault_of(item: object) -> _Fault | None:
        # The same list may stand in many places, and a text too, so that little in memory can be endless on paper.
        budget.spend(len(item) + 1 if isinstance(item, str) else 1)
        return _fault_of_value(item)

    _demand(value, fault_of, type_name)
    budget = _Budget(f"{type_name} content", most_bytes)
    pieces: list[str] = []
    for piece in pieces_of(value):
        budget.spend(len(piece))
        pieces.append(piece)
    data = "".join(pieces).encode("utf-8")
    if len(data) > most_bytes:
        raise ContentTooLarge(f"{type_name} content", size=len(data), limit=most_bytes)
    return data


def is_short(value: object, most_bytes: int) -> bool:
    """Tell whether a value has about that little in it, in time that grows with the bound alone."""
    left, waiting = most_bytes, [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, (str, bytes, bytearray, dict, list)):
            left -= len(cast("Sized", current))
        # What is long is not looked into.
        if left < 0:
            return False
        if isinstance(current, dict):
            names = cast("dict[object, object]", current)
            waiting += [*names, *names.values()]
        elif isinstance(current, list):
            waiting += cast("list[object]", current)
    return True


def json_path(keys: Iterable[Key]) -> str:
    """Return where a value is, such as `$.rows[3]['unit price']`; long names and long paths are cut."""
    steps = [_step(key) for key in keys]
    return "$" + "".join(steps[:MOST_STEPS]) + ("…" if len(steps) > MOST_STEPS else "")


class _Hooks:
    """What the reader calls for every object and number."""

    def __init__(self, number_of: Callable[[str], float] | None) -> None:
        self._number_of = number_of
        self.first_fault: _Fault | None = None
        self._faults = 0

    def names(self, pairs: list[tuple[str, object]]) -> object:
        read = dict(pairs)
        if len(read) == len(pairs):
            return read
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        return self._fault(_Fault("every name once in an object", f"{excerpt(twice)} twice", name=twice))

    def whole(self, digits: str) -> object:
        if digits == "-0" and self._number_of is not None:
            return self._number_of(digits)
        return int(digits) if len(digits) <= LONGEST_NUMBER else self._too_long(digits)

    def fraction(self, digits: str) -> object:
        if len(digits) > LONGEST_NUMBER:
            return self._too_long(digits)
        number = (self._number_of or float)(digits)
        return number if math.isfinite(number) else self._fault(_Fault("a number of at most 1.8e308", excerpt(digits)))

    def constant(self, word: str) -> object:
        return self._fault(_Fault("a number, a text or `null`", f"{word}, which JSON does not have"))

    def _too_long(self, digits: str) -> _Fault | None:
        expected = f"a number of at most {LONGEST_NUMBER:,} characters"
        return self._fault(_Fault(expected, excerpt(digits), limit=LONGEST_NUMBER))

    def _fault(self, fault: _Fault) -> _Fault | None:
        """Return what stands in the value's place; of the faults beyond a bound nothing is kept."""
        self._faults += 1
        if self._faults > MOST_FAULTS:
            return None
        self.first_fault = self.first_fault or fault
        return fault


class _Budget:
    """Raises `ContentTooLarge` as soon as more is spent than there is."""

    def __init__(self, name: str, most_bytes: int) -> None:
        self._name, self._most, self._spent = name, most_bytes, 0

    def spend(self, size: int) -> None:
        self._spent += size
        if self._spent > self._most:
            raise ContentTooLarge(self._name, size=self._spent, limit=self._most)


def _demand(value: object, fault_of: Callable[[object], _Fault | None], type_name: str) -> None:
    """Raise `ContentRefused` with the place of the first value that has a fault or lies too deep."""
    for keys, item in _walk(value):
        fault = fault_of(item)
        if isinstance(item, (dict, list, tuple)) and len(keys) >= DEEPEST:
            fault = _too_deep()
        if fault is not None:
            raise _refused(type_name, fault, where=json_path(keys if fault.name is None else [*keys, fault.name]))


def _walk(value: object) -> Iterator[tuple[Sequence[Key], object]]:
    """Yield every value in its order, with the keys that lead to it; that sequence changes as the walk goes on."""
    keys: list[Key] = []
    yield keys, value
    waiting = [_entries(value)]
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            if keys:
                keys.pop()
            continue
        keys.append(entry[0])
        yield keys, entry[1]
        waiting.append(_entries(entry[1]))


def _entries(value: object) -> Iterator[tuple[Key, object]]:
    if isinstance(value, dict):
        return iter(cast("dict[str, object]", value).items())
    if isinstance(value, (list, tuple)):
        return enumerate(cast("Sequence[object]", value))
    return iter(())


def _fault_of_read(item: object) -> _Fault | None:
    match item:
        case _Fault():
            return item
        case str():
            return _halved(item)
        case dict():
            return next((f for name in cast("dict[str, object]", item) if (f := _halved(name))), None)
        case _:
            return None


def _fault_of_value(item: object) -> _Fault | None:
    match item:
        case str():
            return _halved(item)
        case float() if not math.isfinite(item):
            return _Fault("a finite number", str(item))
        case None | bool() | float() | list() | tuple():
            return None
        case int():
            is_short = item.bit_length() <= MOST_BITS
            return None if is_short else _Fault(f"at most {LONGEST_NUMBER:,} digits", "more", limit=LONGEST_NUMBER)
        case dict():
            names = cast("dict[object, object]", item)
            return next((f for name in names if (f := _fault_of_name(name))), None)
        case _:
            return _Fault("an object, a list, a text, a number, true, false or null", f"a `{type(item).__name__}`")


def _fault_of_name(name: object) -> _Fault | None:
    if isinstance(name, str):
        return _halved(name)
    return _Fault("names that are texts", f"a name of the type `{type(name).__name__}`")


def _halved(text: str) -> _Fault | None:
    if text.isascii() or not (found := HALF.search(text)):
        return None
    return _Fault("whole characters", f"half of a surrogate pair, {found[0]!r}")


def _too_deep() -> _Fault:
    return _Fault(f"at most {DEEPEST} brackets within each other", "more", limit=DEEPEST)


def _refused(type_name: str, fault: _Fault, *, where: str | None) -> ContentRefused:
    return ContentRefused(type_name, where=where, expected=fault.expected, got=fault.got, limit=fault.limit)


def _misspelled(wrong: json.JSONDecodeError, text: str, type_name: str) -> ContentRefused:
    wanted = next((told for start, told in _WANTED.items() if wrong.msg.startswith(start)), "JSON")
    return ContentRefused(
        type_name,
        where=f"line {wrong.lineno:,}, column {wrong.colno:,}",
        expected=wanted,
        got=excerpt(text, wrong.pos),
        hint=_FENCE_HINT if text.lstrip().startswith("```") else _HINT,
    )


def _step(key: Key) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if len(key) > LONGEST_KEY:
        return f"[{key[:LONGEST_KEY]!r}…]"
    return f".{key}" if _SIMPLE_KEY.fullmatch(key) else f"[{key!r}]"
