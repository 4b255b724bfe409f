"""What differs between two versions: of lines, of texts, and of JSON values by path; and what counts as the same.

Which of two changes wins is decided in `merging`; nothing here is stored or changed. All of it takes bounded time:
where the shortest way from one sequence to the other is too dear to find, a longer one is given.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias, cast

from handiwork.characters import HALF
from handiwork.errors import InvalidContent
from handiwork.quantities import counted
from handiwork.versions.json_paths import Chosen, Json, JsonPath, Slice, Step

DEEPEST = 200
MOST_COMPARED = 8_000_000
MOST_SHOWN = 200_000
MOST_DIFFERENCES = 200
CONTEXT_LINES = 3
# Longer numbers take Python ever longer to write, and beyond 4,300 digits it refuses to.
_LONGEST_NUMBER_BITS = 14_000
_MOST_ROUNDS = 8
_MOST_STEPS = 1_000_000


class Missing(Enum):
    """The one value that says that nothing is there, which `None` cannot: JSON has `null`."""

    MISSING = "missing"


MISSING = Missing.MISSING
Side: TypeAlias = "Json | Missing"
Filter: TypeAlias = "tuple[str, str | int]"
Path: TypeAlias = "tuple[Path, str | int | slice | Filter] | None"
"""A way into a value, last step first: a name, an index, a range, or which element by one of its fields."""


class Change(NamedTuple):
    """`old[old_start:old_end]` has become `new[new_start:new_end]`; one of the two may be empty."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueDifference:
    """One place that differs; what was added has `MISSING` for `was`, what was removed for `now`."""

    path: str
    was: Side
    now: Side

    def as_facts(self) -> dict[str, Json]:
        """Return it as JSON, without the side that is missing."""
        sides = {"was": self.was, "now": self.now}
        return {"path": self.path} | {name: side for name, side in sides.items() if not isinstance(side, Missing)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueDifferences:
    """The first differences in the order of the values, and how many more there are."""

    differences: tuple[ValueDifference, ...]
    left_out: int = 0


def text_difference(old: str, new: str) -> str:
    """Return a unified diff with three lines of context, empty for equal texts; a summary for very large ones."""
    if old == new:
        return ""
    if len(old) + len(new) > MOST_COMPARED:
        return f"Too large to compare by line: {_measure(old)} before, {_measure(new)} now.\n"
    shown, room = ["--- old\n", "+++ new\n"], MOST_SHOWN
    lines = _unified(_lines(old), _lines(new))
    for line in lines:
        room -= len(line)
        if room < 0:
            shown.append(f"… {1 + sum(1 for _ in lines):,} more lines of this difference are left out\n")
            break
        shown.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(shown)


def value_differences(old: Json, new: Json) -> ValueDifferences:
    """Return where two JSON values differ, by JSON path: in `new` where something is there, else in `old`.

    Neither may be deeper than `fault_of` allows. The order of an object's names is no difference.
    """
    comparison = _Comparison()
    comparison.compare(old, new, None)
    return ValueDifferences(differences=tuple(comparison.found), left_out=comparison.left_out)


def changes(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Change]:
    """Return how one sequence becomes the other: in order, never touching each other, few but not always fewest."""
    return list(_between(_Matching(old, new).blocks(), len(old), len(new)))


def spelled(path: Path) -> str:
    """Write a way as a JSON path: `$.a[3]['b c']`, which `path=` of a selector takes."""
    steps: list[Step] = []
    while path is not None:
        path, step = path
        match step:
            case int() | str():
                steps.append(step)
            case slice():
                steps.append(Slice(step.start, step.stop))
            case (name, value):
                steps.append(Chosen(name, value))
    return str(JsonPath(tuple(reversed(steps))))


def fault_of(value: object) -> str | None:
    """Say what keeps a value from being JSON of at most `DEEPEST` levels; None if nothing does."""
    waiting: list[tuple[object, int]] = [(value, 1)]
    while waiting:
        current, level = waiting.pop()
        match current:
            case dict() | list() if level > DEEPEST:
                return f"more than {DEEPEST} levels of objects and lists"
            case dict():
                for name, child in cast("dict[object, object]", current).items():
                    if not isinstance(name, str) or HALF.search(name):
                        return "a name that is not a text of whole characters"
                    waiting.append((child, level + 1))
            case list():
                waiting.extend((child, level + 1) for child in cast("list[object]", current))
            case _:
                if (fault := _fault_of_scalar(current)) is not None:
                    return fault
    return None


def demand_json(value: Json, subject: str) -> None:
    """Raise `InvalidContent` for a value in which `fault_of` finds something."""
    if (fault := fault_of(value)) is not None:
        raise InvalidContent(subject, expected=f"JSON of at most {DEEPEST} levels", got=fault)


class Tokens:
    """Gives equal JSON values equal tokens in one pass, so that comparing large parts again and again costs nothing.

    Strict, so that no edit is taken for none: 1, 1.0 and true differ. The values must stay as they are meanwhile.
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        # The values are kept beside their tokens, so that no other can get the same `id`.
        self._known: dict[int, tuple[Json, Hashable]] = {}

    def of(self, value: Side) -> Hashable:
        if not isinstance(value, (dict, list)):
            return _token_of_scalar(value)
        if (known := self._known.get(id(value))) is not None:
            return known[1]
        parts: list[Hashable] = []
        if isinstance(value, dict):
            for name, child in value.items():
                # A comprehension would be one more frame a level.
                parts.append((name, self.of(child)))
            content: Hashable = frozenset(parts)
        else:
            for child in value:
                parts.append(self.of(child))  # noqa: PERF401  # likewise
            content = tuple(parts)
        token = ("container", self._numbers.setdefault(content, len(self._numbers)))
        self._known[id(value)] = (value, token)
        return token


class _Comparison:
    def __init__(self) -> None:
        self._tokens = Tokens()
        self.found: list[ValueDifference] = []
        self.left_out = 0

    def compare(self, old: Side, new: Side, path: Path) -> None:
        if self._tokens.of(old) == self._tokens.of(new):
            return
        if isinstance(old, dict) and isinstance(new, dict):
            for name in old | new:
                self.compare(old.get(name, MISSING), new.get(name, MISSING), (path, name))
        elif isinstance(old, list) and isinstance(new, list):
            self._compare_lists(old, new, path)
        elif len(self.found) < MOST_DIFFERENCES:
            self.found.append(ValueDifference(path=spelled(path), was=old, now=new))
        else:
            self.left_out += 1

    def _compare_lists(self, old: list[Json], new: list[Json], path: Path) -> None:
        of = self._tokens.of
        for a, b, c, d in changes([of(child) for child in old], [of(child) for child in new]):
            both = min(b - a, d - c)
            for offset in range(both):
                self.compare(old[a + offset], new[c + offset], (path, c + offset))
            for index in range(a + both, b):
                self.compare(old[index], MISSING, (path, index))
            for index in range(c + both, d):
                self.compare(MISSING, new[index], (path, index))


class _Block(NamedTuple):
    old: int
    new: int
    size: int


class _Gap(NamedTuple):
    old_start: int
    old_end: int
    new_start: int
    new_end: int
    round: int


class _Matching:
    """What two sequences have in common: ends first, then what is unique in both, then the shortest way."""

    def __init__(self, old: Sequence[Hashable], new: Sequence[Hashable]) -> None:
        numbers: dict[Hashable, int] = {}
        self._old = [numbers.setdefault(item, len(numbers)) for item in old]
        self._new = [numbers.setdefault(item, len(numbers)) for item in new]
        self._steps_left = _MOST_STEPS

    def blocks(self) -> list[_Block]:
        found: list[_Block] = []
        gaps = [_Gap(0, len(self._old), 0, len(self._new), 0)]
        while gaps:
            gap = self._trimmed(gaps.pop(), found)
            if gap.old_start == gap.old_end or gap.new_start == gap.new_end:
                continue
            anchors = self._anchors(gap) if gap.round < _MOST_ROUNDS else []
            if not anchors:
                found += self._shortest(gap)
                continue
            found += anchors
            for change in _between(anchors, gap.old_end, gap.new_end, start=gap):
                gaps.append(_Gap(*change, gap.round + 1))  # noqa: PERF401  # read as it is done: one after the other
        return sorted(found)

    def _trimmed(self, gap: _Gap, found: list[_Block]) -> _Gap:
        a, b, c, d, level = gap
        old, new = self._old, self._new
        while a < b and c < d and old[a] == new[c]:
            a, c = a + 1, c + 1
        if a > gap.old_start:
            found.append(_Block(gap.old_start, gap.new_start, a - gap.old_start))
        while a < b and c < d and old[b - 1] == new[d - 1]:
            b, d = b - 1, d - 1
        if b < gap.old_end:
            found.append(_Block(b, d, gap.old_end - b))
        return _Gap(a, b, c, d, level)

    def _anchors(self, gap: _Gap) -> list[_Block]:
        """Return the longest run, in order on both sides, of what is there once on each."""
        a, b, c, d, _ = gap
        old_counts, new_counts = Counter(self._old[a:b]), Counter(self._new[c:d])
        where = {item: index for index, item in enumerate(self._new[c:d], c) if new_counts[item] == 1}
        pairs = [(i, where[x]) for i, x in enumerate(self._old[a:b], a) if old_counts[x] == 1 and x in where]
        tops: list[int] = []
        top_pairs: list[int] = []
        before: list[int] = []
        for number, (_old, new) in enumerate(pairs):
            pile = bisect_left(tops, new)
            before.append(top_pairs[pile - 1] if pile else -1)
            tops[pile : pile + 1] = [new]
            top_pairs[pile : pile + 1] = [number]
        run: list[_Block] = []
        at = top_pairs[-1] if top_pairs else -1
        while at >= 0:
            run.append(_Block(*pairs[at], 1))
            at = before[at]
        return run[::-1]

    def _shortest(self, gap: _Gap) -> list[_Block]:
        """Find the fewest insertions and removals by Myers' greedy way; nothing once the steps are used up."""
        a, b, c, d, _ = gap
        old, new, furthest = self._old, self._new, {1: a}
        trace: list[dict[int, int]] = []
        for edits in range(b - a + d - c + 1):
            trace.append({k: furthest[k] for k in range(-edits - 1, edits + 2, 2) if k in furthest})
            for k in range(-edits, edits + 1, 2):
                down = k == -edits or (k != edits and furthest[k - 1] < furthest[k + 1])
                x = start = furthest[k + 1] if down else furthest[k - 1] + 1
                y = x - a - k + c
                while x < b and y < d and old[x] == new[y]:
                    x, y = x + 1, y + 1
                furthest[k] = x
                self._steps_left -= 1 + x - start
                if x >= b and y >= d:
                    return _way_back(trace, gap)
            if self._steps_left < 0:
                break
        return []


def _way_back(trace: list[dict[int, int]], gap: _Gap) -> list[_Block]:
    x, y = gap.old_end, gap.new_end
    found: list[_Block] = []
    for edits in range(len(trace) - 1, -1, -1):
        furthest, k = trace[edits], (x - gap.old_start) - (y - gap.new_start)
        down = k == -edits or (k != edits and furthest[k - 1] < furthest[k + 1])
        x_before = furthest[k + 1] if down else furthest[k - 1]
        y_before = x_before - gap.old_start - (k + 1 if down else k - 1) + gap.new_start
        x_start = x_before if down else x_before + 1
        y_start = y_before + 1 if down else y_before
        if x > x_start:
            found.append(_Block(x_start, y_start, x - x_start))
        x, y = x_before, y_before
    return found


def _between(blocks: Sequence[_Block], old_end: int, new_end: int, *, start: _Gap | None = None) -> Iterator[Change]:
    a, c = (start.old_start, start.new_start) if start else (0, 0)
    for block in [*blocks, _Block(old_end, new_end, 0)]:
        if block.old > a or block.new > c:
            yield Change(a, block.old, c, block.new)
        a, c = block.old + block.size, block.new + block.size


def _unified(old: list[str], new: list[str]) -> Iterator[str]:
    group: list[Change] = []
    for change in changes(old, new):
        if group and change.old_start - group[-1].old_end > 2 * CONTEXT_LINES:
            yield from _hunk(group, old, new)
            group = []
        group.append(change)
    yield from _hunk(group, old, new)


def _hunk(group: list[Change], old: list[str], new: list[str]) -> Iterator[str]:
    before = min(CONTEXT_LINES, group[0].old_start)
    after = min(CONTEXT_LINES, len(old) - group[-1].old_end)
    a, c = group[0].old_start - before, group[0].new_start - before
    b, d = group[-1].old_end + after, group[-1].new_end + after
    yield f"@@ -{_range(a, b)} +{_range(c, d)} @@\n"
    for change in group:
        yield from (f" {line}" for line in old[a : change.old_start])
        yield from (f"-{line}" for line in old[change.old_start : change.old_end])
        yield from (f"+{line}" for line in new[change.new_start : change.new_end])
        a = change.old_end
    yield from (f" {line}" for line in old[a:b])


def _range(start: int, end: int) -> str:
    size = end - start
    first = start + 1 if size else start
    return str(first) if size == 1 else f"{first},{size}"


def _lines(text: str) -> list[str]:
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])


def _measure(text: str) -> str:
    return f"{counted(len(text), 'character')} in {counted(len(_lines(text)), 'line')}"


def _fault_of_scalar(value: object) -> str | None:
    match value:
        case None | bool():
            return None
        case str():
            return "a text with half of a surrogate pair" if HALF.search(value) else None
        case int():
            return "a number of too many digits" if value.bit_length() > _LONGEST_NUMBER_BITS else None
        case float():
            return None if math.isfinite(value) else "a number that is not finite"
        case _:
            return f"a {type(value).__name__}, which JSON does not have"


def _token_of_scalar(value: str | float | bool | Missing | None) -> Hashable:
    # Numbers go by their digits: the hashes of integers are known beforehand, and could be made to collide.
    if isinstance(value, (bool, int, float)):
        return "float" if isinstance(value, float) else type(value).__name__, repr(value)
    return value
