"""Where some units of content begin, found on earlier walks over it, so that a later walk need not begin at the start.

What the units are, and whether the content is still the same, is for those who walk.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from handiwork.model import KIB

APART_BYTES = 128 * KIB
"""How far places lie apart at least: that much is walked over from one to the next."""
LINES = "lines"


def rows_parted_by(delimiter: str) -> str:
    """Return what the rows of a table are called here, whose cells the delimiter parts."""
    return f"rows{delimiter}"


@dataclass(frozen=True, slots=True)
class Place:
    """A byte of the content where a unit begins, and how many units come before it."""

    offset: int
    count: int


@dataclass(slots=True)
class Places:
    """The places of one content, those of each kind of unit by themselves; it is for one thread."""

    _known: dict[str, list[Place]] = field(default_factory=dict[str, list[Place]])

    def known(self) -> Iterable[tuple[str, Sequence[Place]]]:
        """Return the kinds of units with the places of each."""
        return self._known.items()

    def before(self, units: str, count: int) -> Place | None:
        """Return the last place that has at most `count` units before it, or None when none is known."""
        known = self._known.get(units, [])
        found = bisect_right(known, count, key=lambda place: place.count)
        return known[found - 1] if found else None

    def learn(self, units: str, found: Sequence[Place]) -> None:
        """Keep what a walk has found, in its order, as far as it is new."""
        known = self._known.setdefault(units, [])
        for place in found:
            if not known or place.offset >= known[-1].offset + APART_BYTES:
                known.append(place)
