"""Paths into a JSON document: their grammar, and what they lead to. How much of it is shown is not known here.

The grammar is a part of JSONPath: `$`, `.name`, `['any name']`, `[3]`, `[-1]`, `[1:3]`, `[*]`, `.*`
and, as conflicts name the elements of a list, `[?@.id=='a']`.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from handiwork.characters import HALF

LONGEST_PATH = 1000
GRAMMAR = (
    "a path from the root `$` in steps such as `.name`, `['any name']`, `[3]`, `[-1]`, `[1:3]`, `[*]`, "
    f"at most {LONGEST_PATH:,} characters"
)

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_NAME = r"[^\W\d][\w-]*"
_STEP = re.compile(
    rf"""
    \.(?P<name>{_NAME}) | \[\s*'(?P<single>(?:[^'\\]|\\.)*)'\s*\] | \[\s*"(?P<double>(?:[^"\\]|\\.)*)"\s*\]
    | \[\s*(?P<index>-?[0-9]{{1,15}})\s*\]
    | \[\s*(?P<first>-?[0-9]{{1,15}})?\s*(?P<colon>:)\s*(?P<stop>-?[0-9]{{1,15}})?\s*\]
    | \.\* | \[\s*\*\s*\]
    | \[\s*\?\s*@\.(?P<field>{_NAME})\s*==\s*(?:'(?P<text>(?:[^'\\]|\\.)*)'|(?P<number>-?[0-9]{{1,40}}))\s*\]
    """,
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")
_MOST_NAMES = 10
_LONGEST_NAMES = 200


class PathMalformed(Exception):
    """The text is no path of the grammar."""


class PathMissed(Exception):
    """The document has nothing at this path; the message says where the path ends, and what is there."""


class DocumentMalformed(Exception):
    """The text is no JSON that can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Elements from `first` up to and without `stop`, as Python slices."""

    first: int | None = None
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class Every:
    """All elements of an array, or all values of an object."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The first element of an array that has this value under this name."""

    field: str
    value: str | int

    def among(self, elements: "list[Json]") -> "Json | None":
        """Return it; None if there is none."""
        return next((each for each in elements if isinstance(each, dict) and self._is(each.get(self.field))), None)

    def _is(self, value: "Json") -> bool:
        # A number is not true, though Python takes 1 for it.
        return type(value) is type(self.value) and value == self.value


Step: TypeAlias = str | int | Slice | Every | Chosen


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path: names and indices lead to one value, slices and wildcards to several."""

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> "JsonPath":
        """Read a path, or raise `PathMalformed`."""
        text = text.strip()
        if not text.startswith("$") or len(text) > LONGEST_PATH:
            raise PathMalformed
        steps: list[Step] = []
        position = 1
        while position < len(text):
            found = _STEP.match(text, position)
            if found is None:
                raise PathMalformed
            steps.append(_step(found))
            position = found.end()
        return cls(tuple(steps))

    def __str__(self) -> str:
        return "$" + "".join(_written(step) for step in self.steps)

    def find(self, document: Json) -> "Found":
        """Return what is at the path; raise `PathMissed` if there is nothing before it leads to several values."""
        several = [index for index, step in enumerate(self.steps) if isinstance(step, Slice | Every)]
        if not several:
            return _found_one(self, _value_at(document, self.steps))
        before, step, after = self.steps[: several[0]], self.steps[several[0]], self.steps[several[0] + 1 :]
        parent = _value_at(document, before)
        if not isinstance(parent, list | dict) or (isinstance(step, Slice) and not isinstance(parent, list)):
            raise PathMissed(f"`{_shown(before)}` is {_kind(parent)}, which has no elements")
        if isinstance(parent, dict):
            return Found(values=tuple(_all_at(parent.values(), after)))
        chosen = step if isinstance(step, Slice) else Slice()
        first, stop, _one = slice(chosen.first, chosen.stop).indices(len(parent))
        pairs = [(index, value) for index in range(first, stop) for value in _all_at([parent[index]], after)]
        places = None
        if len(several) == 1:
            end = None if stop == len(parent) else stop
            places = _Places(before, tuple(index for index, _value in pairs), stop=end, after=after)
        return Found(values=tuple(value for _index, value in pairs), places=places)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a path leads to: one value that is no array, or `values` that are shown as an array."""

    values: Sequence[Json]
    is_one: bool = False
    places: "_Places | None" = None

    def from_on(self, index: int) -> JsonPath | None:
        """Return the path to the values from this one on, where a path can say so."""
        return None if self.places is None else self.places.from_on(index)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where in an array values were found."""

    before: tuple[Step, ...]
    indices: Sequence[int]
    stop: int | None = None
    after: tuple[Step, ...] = ()

    def from_on(self, index: int) -> JsonPath:
        return JsonPath((*self.before, Slice(self.indices[index], self.stop), *self.after))


def parsed(text: str) -> Json:
    """Read a JSON document, or raise `DocumentMalformed`."""
    try:
        document: Json = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise DocumentMalformed("it is nested too deeply") from None
    except json.JSONDecodeError as malformed:
        raise DocumentMalformed(
            f"it is not valid JSON: {malformed.msg} at line {malformed.lineno}, column {malformed.colno}"
        ) from None
    except ValueError as refused:
        raise DocumentMalformed(f"it is not valid JSON: {refused}") from None
    return document


def rendered(value: Json) -> str:
    """Write a value as JSON that every UTF-8 text can hold."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise DocumentMalformed("it is nested too deeply") from None
    # Halves of surrogate pairs can be written in JSON as escapes, and in UTF-8 not at all.
    return HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _step(found: re.Match[str]) -> Step:
    if found["name"] is not None:
        return found["name"]
    quoted = found["single"] if found["single"] is not None else found["double"]
    if quoted is not None:
        return _ESCAPED.sub(r"\1", quoted)
    if found["index"] is not None:
        return int(found["index"])
    if found["colon"] is not None:
        return Slice(*(None if bound is None else int(bound) for bound in (found["first"], found["stop"])))
    if found["field"] is not None:
        number = found["number"]
        return Chosen(found["field"], _ESCAPED.sub(r"\1", found["text"]) if number is None else int(number))
    return Every()


def _written(step: Step) -> str:
    match step:
        case str():
            if re.fullmatch(_NAME, step):
                return f".{step}"
            return f"[{_quoted(step)}]"
        case int():
            return f"[{step}]"
        case Slice(first, stop):
            return f"[{'' if first is None else first}:{'' if stop is None else stop}]"
        case Every():
            return "[*]"
        case Chosen(field, value):
            return f"[?@.{field}=={value if isinstance(value, int) else _quoted(value)}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _found_one(path: JsonPath, value: Json) -> Found:
    if isinstance(value, list):
        return Found(values=value, places=_Places(path.steps, range(len(value))))
    return Found(values=(value,), is_one=True)


def _value_at(document: Json, steps: tuple[Step, ...]) -> Json:
    value = document
    for index, step in enumerate(steps):
        at = _shown(steps[:index])
        if isinstance(step, str) and isinstance(value, dict):
            if step not in value:
                raise PathMissed(f"the object at `{at}` has {_names(value)}, and no {rendered(step[:60])}")
            value = value[step]
        elif isinstance(step, int) and isinstance(value, list):
            if not -len(value) <= step < len(value):
                raise PathMissed(f"the array at `{at}` has {len(value):,} elements, and none at [{step}]")
            value = value[step]
        elif isinstance(step, Chosen) and isinstance(value, list):
            chosen = step.among(value)
            if chosen is None:
                raise PathMissed(
                    f"the array at `{at}` has no element with {rendered(str(step.value)[:60])} as `{step.field}`"
                )
            value = chosen
        else:
            what = "a name" if isinstance(step, str) else "an index"
            raise PathMissed(f"`{at}` is {_kind(value)}, in which {what} leads nowhere")
    return value


def _all_at(values: "Iterable[Json]", steps: tuple[Step, ...]) -> list[Json]:
    """Return what the steps lead to from each of the values; what they miss is left out."""
    found = list(values)
    for step in steps:
        found = [below for value in found for below in _below(value, step)]
    return found


def _below(value: Json, step: Step) -> Sequence[Json]:
    match step:
        case str() if isinstance(value, dict):
            return [value[step]] if step in value else []
        case int() if isinstance(value, list):
            return [value[step]] if -len(value) <= step < len(value) else []
        case Slice(first, stop) if isinstance(value, list):
            return value[first:stop]
        case Every() if isinstance(value, list | dict):
            return list(value.values()) if isinstance(value, dict) else value
        case Chosen() if isinstance(value, list):
            chosen = step.among(value)
            return [] if chosen is None else [chosen]
        case _:
            return []


def _shown(steps: tuple[Step, ...]) -> str:
    return rendered(str(JsonPath(steps)))[1:-1]


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "a string"
        case list():
            return f"an array of {len(value):,} elements"
        case dict():
            return f"an object with {_names(value)}"
        case _:
            return "a number"


def _names(value: dict[str, Json]) -> str:
    if not value:
        return "no members"
    shown = ", ".join(rendered(name[:40]) for name in list(value)[:_MOST_NAMES])
    left = max(len(value) - _MOST_NAMES, 0)
    return f"the members {shown[:_LONGEST_NAMES]}" + (f" and {left:,} more" if left else "")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:20]} is out of range")
    return number


def _no_constant(name: str) -> Json:
    raise ValueError(f"`{name}` is no JSON")
