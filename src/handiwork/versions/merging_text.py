"""Three-way merges of what has an order: sequences, orders of unique items, and texts by line.

Values and tables are merged in `merging` and `merging_tables`, by means of these. Where both sides changed the same
place to different ends is a conflict, which shows both; who resolves it is not known here. Line ends are kept: a
carriage return belongs to its line, and whether the last line is ended is merged like a line.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from handiwork.versions.differences import Change, Json, Missing, Side, changes

Content = TypeVar("Content")
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One place that both sides changed; a side on which nothing is there has `MISSING`."""

    where: str
    base: Side
    ours: Side
    theirs: Side

    def as_facts(self) -> dict[str, Json]:
        """Return it as JSON, without the sides that are missing."""
        sides = {"base": self.base, "ours": self.ours, "theirs": self.theirs}
        return {"where": self.where} | {name: side for name, side in sides.items() if not isinstance(side, Missing)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged(Generic[Content]):
    """The content of both sides, or None and every conflict. `null` may be the content of a clean merge, too."""

    content: Content | None
    conflicts: tuple[Conflict, ...] = ()


class Three(NamedTuple, Generic[Part]):
    """The same part of the three versions."""

    base: Part
    ours: Part
    theirs: Part


class Region(NamedTuple):
    """Ranges that belong together, and who changed them; `both` only where they came to different ends."""

    by: Literal["nobody", "ours", "theirs", "both"]
    base: slice
    ours: slice
    theirs: slice


def merge_texts(base: str, ours: str, theirs: str) -> Merged[str]:
    """Merge by line; conflicts name the lines of `base`, from 1, and hold the texts of whole lines."""
    if ours in (theirs, base):
        return Merged(content=theirs)
    if theirs == base:
        return Merged(content=ours)
    lines = Three(base.split("\n"), ours.split("\n"), theirs.split("\n"))
    merged: list[str] = []
    conflicts: list[Conflict] = []
    for region in regions(lines.base, lines.ours, lines.theirs):
        if region.by == "theirs":
            merged += lines.theirs[region.theirs]
        elif region.by != "both":
            merged += lines.ours[region.ours]
        else:
            was, our, their = (_joined(*side) for side in zip(lines, region[1:], strict=True))
            if our in (their, was) or their == was:
                # All that one of the changes did was to end the last line, or not.
                sides = lines.ours[region.ours], lines.theirs[region.theirs]
                merged += max(sides, key=len) if our == their else sides[our == was]
                continue
            conflicts.append(Conflict(where=_where(region.base), base=was, ours=our, theirs=their))
    return Merged(content=None, conflicts=tuple(conflicts)) if conflicts else Merged(content="\n".join(merged))


def regions(base: Sequence[Hashable], ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> Iterator[Region]:
    """Align three sequences: ranges in order that together are all of each.

    Changes that only touch each other are apart; what both sides insert at one place, or into what the other side
    replaced, belongs together.
    """
    sides = Three(base, ours, theirs)
    end = our_end = their_end = 0
    for low, high, our_changes, their_changes in _groups(changes(base, ours), changes(base, theirs)):
        apart = low - end
        if apart:
            yield Region(
                "nobody", slice(end, low), slice(our_end, our_end + apart), slice(their_end, their_end + apart)
            )
        our_start, their_start = our_end + apart, their_end + apart
        our_end = our_start + high - low + _growth(our_changes)
        their_end = their_start + high - low + _growth(their_changes)
        ranges = slice(low, high), slice(our_start, our_end), slice(their_start, their_end)
        yield Region(_by(sides, ranges, (our_changes, their_changes)), *ranges)
        end = high
    yield Region("nobody", slice(end, len(base)), slice(our_end, len(ours)), slice(their_end, len(theirs)))


def merged_order(
    base: Sequence[Hashable], ours: Sequence[Hashable], theirs: Sequence[Hashable]
) -> list[Hashable] | None:
    """Return what is in either of two orders of unique items, in an order that fits both sides; None if none does.

    What one side took away and the other kept is not in it unless that side moved things, too.
    """
    if not _is_moved(base, ours) or _is_in_order_of(ours, theirs):
        return _with_added(theirs, ours, set(base))
    if not _is_moved(base, theirs):
        return _with_added(ours, theirs, set(base))
    return None


def _joined(lines: list[str], part: slice) -> str:
    chosen = lines[part]
    return "\n".join(chosen) + ("\n" if chosen and part.stop < len(lines) else "")


def _where(lines: slice) -> str:
    if lines.start == lines.stop:
        return f"after line {lines.start}" if lines.start else "before line 1"
    if lines.stop - lines.start == 1:
        return f"line {lines.stop}"
    return f"lines {lines.start + 1}-{lines.stop}"


def _groups(ours: list[Change], theirs: list[Change]) -> Iterator[tuple[int, int, list[Change], list[Change]]]:
    """Put changes together that overlap in the base, or insert at the same place of it."""
    waiting = sorted([(change, 0) for change in ours] + [(change, 1) for change in theirs])
    at = 0
    while at < len(waiting):
        low, high = waiting[at][0][:2]
        group: tuple[list[Change], list[Change]] = ([], [])
        while at < len(waiting):
            change, side = waiting[at]
            if not (change.old_start < high or change[:2] == (low, high)):
                break
            group[side].append(change)
            high, at = max(high, change.old_end), at + 1
        yield low, high, *group


def _growth(side: list[Change]) -> int:
    return sum((change.new_end - change.new_start) - (change.old_end - change.old_start) for change in side)


def _by(
    sides: Three[Sequence[Hashable]], ranges: tuple[slice, slice, slice], made: tuple[list[Change], list[Change]]
) -> Literal["ours", "theirs", "both"]:
    our_changes, their_changes = made
    if not their_changes:
        return "ours"
    if not our_changes:
        return "theirs"
    return "ours" if sides.ours[ranges[1]] == sides.theirs[ranges[2]] else "both"


def _is_moved(base: Sequence[Hashable], side: Sequence[Hashable]) -> bool:
    return not _is_in_order_of(base, side)


def _is_in_order_of(one: Sequence[Hashable], other: Sequence[Hashable]) -> bool:
    in_one, in_other = set(one), set(other)
    return [item for item in one if item in in_other] == [item for item in other if item in in_one]


def _with_added(start: Sequence[Hashable], other: Sequence[Hashable], base: set[Hashable]) -> list[Hashable]:
    """Return the start with what the other side added, each after what it stands behind there."""
    known = set(start)
    added: dict[Hashable, list[Hashable]] = {}
    first: list[Hashable] = []
    place = first
    for item in other:
        if item in known:
            place = added.setdefault(item, [])
        elif item not in base:
            place.append(item)
    order = first
    for item in start:
        order += [item, *added.get(item, ())]
    return order
