"""Where the text of an edit is, once; and if it is not, what is most like it, so that the next try can copy that.

What takes its place is not known here. Likeness is counted in groups of three characters, of which the rare ones
count more; the time is linear in the text, whatever it holds.
"""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate

from handiwork.errors import EditMissed

MOST_SHOWN = 2_000
MOST_LINES = 40
_MOST_SEARCHED = 500_000
_MOST_PLACES = 5
_GROUP = 3
_LEAST_SHARE = 0.2
_MOST_TRIED = 40
_LONG_LINE = 400
_LINE_END = re.compile(r"\n|\Z")
_WORD = re.compile(r"\w{3,}")
_BLANKS = str.maketrans("\t\r\n\f\v\xa0", "      ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """Lines of the text as they are; the first and the last are cut where a line is very long."""

    line: int
    lines: tuple[str, ...]

    def as_facts(self) -> dict[str, object]:
        return {"line": self.line, "lines": list(self.lines)}


def demand_once(text: str, wanted: str, *, edit: int) -> None:
    """Raise `EditMissed` for this edit unless the wanted text is there exactly once."""
    places: list[int] = []
    at = text.find(wanted)
    # Places that overlap are two, too: which of them is meant nobody can tell.
    while at >= 0 and len(places) < _MOST_PLACES:
        places.append(at)
        at = text.find(wanted, at + 1)
    if len(places) == 1:
        return
    if not places:
        near = nearest(text, wanted)
        raise EditMissed(edit, found=0, nearest=near and near.as_facts())
    found = max(text.count(wanted), len(places) + (at >= 0))
    raise EditMissed(edit, found=found, lines=[_line_at(text, place) for place in places])


def nearest(text: str, wanted: str) -> Nearest | None:
    """Return the lines that have most in common with what is wanted; None if that is next to nothing."""
    wanted = wanted.strip()[:MOST_SHOWN]
    offset = _offset(text, wanted)
    place = _place(text[offset : offset + _MOST_SEARCHED], wanted)
    if place is None:
        return None
    return _cut(text, offset + place[0], offset + place[1])


def _offset(text: str, wanted: str) -> int:
    """Choose which part of a very long text is searched: around the first of the longest words that is in it."""
    if len(text) <= _MOST_SEARCHED:
        return 0
    words = sorted(set(_WORD.findall(wanted)), key=lambda word: (-len(word), word))[:10]
    at = next((found for word in words if (found := text.find(word)) >= 0), 0)
    return max(0, at - _MOST_SEARCHED // 2)


def _plain(text: str) -> str:
    """Let case and kinds of blanks not matter, as far as every character keeps its place."""
    text = text.translate(_BLANKS)
    lower = text.lower()
    return lower if len(lower) == len(text) else text


def _place(text: str, wanted: str) -> tuple[int, int] | None:
    groups = set(_groups(_plain(wanted)))
    in_text = _groups(_plain(text))
    counts = Counter(group for group in in_text if group in groups)
    if not counts or len(counts) < _LEAST_SHARE * len(groups):
        return None
    weights = [1 / counts[group] if group in groups else 0.0 for group in in_text]
    sums = list(accumulate(weights, initial=0.0))
    width = min(max(1, len(wanted) - _GROUP + 1), len(weights))
    # A sum of many fractions is not exact: of places that are as good as equal, the first is taken.
    starts = range(len(sums) - width)
    best = max(starts, key=lambda start: round(sums[start + width] - sums[start], 6))
    found = len(set(in_text[best : best + width]) & groups)
    return _whole_lines(text, wanted, best, best + width) if found >= _LEAST_SHARE * len(groups) else None


def _whole_lines(text: str, wanted: str, start: int, end: int) -> tuple[int, int]:
    """Choose the lines around a place that are most like what is wanted; the place itself where lines are too long."""
    low, high = text.rfind("\n", 0, max(0, start - len(wanted))) + 1, end + len(wanted)
    bounds = [low, *(match.end() for match in _LINE_END.finditer(text, low, high))]
    groups, count, longest = Counter(_groups(_plain(wanted))), wanted.count("\n") + 1, 3 * len(wanted)
    best, chosen = 0.0, (start, end)
    for first in range(min(len(bounds), _MOST_TRIED)):
        for last in range(first + max(1, count - 1), min(first + count + 2, len(bounds))):
            piece = text[bounds[first] : bounds[last]].removesuffix("\n")
            if len(piece) > longest:
                break
            others = Counter(_groups(_plain(piece)))
            likeness = 2 * (groups & others).total() / (groups.total() + others.total())
            if likeness > best:
                best, chosen = likeness, (bounds[first], bounds[first] + len(piece))
    return chosen


def _groups(text: str) -> list[str]:
    return ["".join(three) for three in zip(text, text[1:], text[2:], strict=False)]


def _cut(text: str, start: int, end: int) -> Nearest:
    first = max(text.rfind("\n", 0, start) + 1, start - _LONG_LINE)
    line_end = text.find("\n", end)
    last = min(line_end if line_end >= 0 else len(text), end + _LONG_LINE, first + MOST_SHOWN)
    lines = text[first:last].split("\n")[:MOST_LINES]
    return Nearest(line=_line_at(text, first), lines=tuple(lines))


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
