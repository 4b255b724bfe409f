"""The units that content is made of (lines, rows, elements), walked through as the bytes come in.

Where a unit ends is known to the scanner of each format; how a selector is written is not known here.
"""

import re
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from handiwork.media.places import APART_BYTES, Place
from handiwork.model import KIB
from handiwork.versions.selection import Page, beginning_of, shortened, utf8_size

# White space around a unit, which is held with it until it is known not to belong to it.
_SLACK_BYTES = 4 * KIB
AT_A_TIME = 64
"""How many units a pattern passes over at once, where that many follow each other whole."""


class Scanner(Protocol):
    """Finds the ends of units in blocks of bytes, and knows between two blocks how things stand."""

    @property
    def before(self) -> bytes:
        """Bytes that may come before a unit and do not belong to it."""
        ...

    @property
    def behind(self) -> bytes:
        """Bytes that may come behind a unit, before its end, and do not belong to it."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether no unit can follow, whatever the bytes."""
        ...

    @property
    def is_within(self) -> bool:
        """Whether a unit has begun and not ended."""
        ...

    def find(self, data: bytes, start: int) -> tuple[int, int] | None:
        """Return where the unit at `start` ends and where the next one begins; None when it goes on past the data."""
        ...

    def skip(self, data: bytes, start: int, count: int) -> tuple[int, int]:
        """Pass over at most `count` units; return where the next one begins and how many have ended."""
        ...

    def begins(self, data: bytes, start: int) -> bool:
        """Tell whether another unit is there."""
        ...

    def finish(self) -> None:
        """Take note that no bytes follow; raise `MalformedContent` if they should."""
        ...


def passed_over(scanner: Scanner, many: re.Pattern[bytes], data: bytes, start: int, count: int) -> tuple[int, int]:
    """Pass over at most `count` units, by a pattern that matches `AT_A_TIME` of them where one begins."""
    passed = 0
    while start < len(data) and passed < count and not scanner.is_over:
        is_open = scanner.is_within or count - passed < AT_A_TIME
        if not is_open and (found := many.match(data, start)):
            start, passed = found.end(), passed + AT_A_TIME
            continue
        # One by one, as many as the pattern would have passed over, so that little is looked at twice.
        for _ in range(min(AT_A_TIME, count - passed)):
            end = scanner.find(data, start)
            if end is None:
                return len(data), passed
            start, passed = end[1], passed + 1
            if scanner.is_over or start == len(data):
                break
    return start, passed


class MalformedContent(Exception):
    """The content is not what its media type says; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """Units from `first` up to and without `stop`, counted from 0; None is the end."""

    first: int
    stop: int | None


class Walk:
    """A walk over the units of content that puts those of a span on a page.

    With `has_lead`, the first unit is a header: it is kept apart, in at most half of the room, and not counted.
    `offset` is where in the content the data begins; the places that units before the span begin at count from there.
    """

    def __init__(self, scanner: Scanner, page: Page, span: Span, *, has_lead: bool = False, offset: int = 0) -> None:
        self.count = 0
        self.places: list[Place] = []
        self.lead = ""
        self.is_lead_cut = False
        self.has_more = False
        self._scanner = scanner
        self._page = page
        self._span = span
        self._awaits_lead = has_lead
        self._offset = offset
        self._unit = _Unit(scanner, page.room)
        self._is_ended = False

    @property
    def total(self) -> int | None:
        """How many there are in all, if the walk came to the end."""
        return self.count if self._is_ended and not self.has_more else None

    def feed(self, data: bytes) -> bool:
        """Walk on through the data; tell whether the walk is done."""
        position = 0
        while position < len(data) and not self._scanner.is_over and not self.has_more:
            if self._is_past():
                if not self._scanner.begins(data, position):
                    return False
                self.has_more = True
            elif not self._awaits_lead and self.count < self._span.first:
                position = self._skip(data, position)
            else:
                position = self._take(data, position)
        self._offset += len(data)
        self._is_ended = self._scanner.is_over
        return self._is_ended or self.has_more

    def finish(self) -> None:
        """End the walk where the content ends."""
        self._scanner.finish()
        self._is_ended = True
        if not self._scanner.is_within:
            return
        if not self._awaits_lead and self.count < self._span.first:
            self.count += 1
        else:
            self._close()

    def may_jump(self, place: Place | None) -> TypeGuard[Place]:
        """Tell whether the walk can go on at a place: it is further on, and what comes first has been seen."""
        return place is not None and not self._awaits_lead and self.count < place.count <= self._span.first

    def jump(self, place: Place, scanner: Scanner) -> None:
        """Go on at a place, with a scanner that begins there."""
        self._scanner, self._unit = scanner, _Unit(scanner, self._page.room)
        self._offset, self.count = place.offset, place.count

    def _skip(self, data: bytes, position: int) -> int:
        """Pass over units before the span, in steps that begin where a unit begins, if one does within them."""
        part = data[position : position + APART_BYTES]
        if part.endswith(b"\r") and 1 < len(part) < len(data) - position:
            part = part[:-1]
        wanted = self._span.first - self.count
        start, passed = self._scanner.skip(part, 0, 1) if self._scanner.is_within else (0, 0)
        if not self._scanner.is_within and not self._scanner.is_over and self.count + passed:
            self.places.append(Place(self._offset + position + start, self.count + passed))
        if passed < wanted:
            start, more = self._scanner.skip(part, start, wanted - passed)
            passed += more
        self.count += passed
        return position + start

    def _is_past(self) -> bool:
        return not self._awaits_lead and (self._page.is_full or self.count == self._span.stop)

    def _take(self, data: bytes, position: int) -> int:
        found = self._scanner.find(data, position)
        end, after = found or (len(data), len(data))
        self._unit.take(data, position, end)
        if found is not None:
            self._close()
        elif not self._awaits_lead:
            # The end of a unit that cannot fit any more is not needed.
            self.has_more = self._page.refuses(self._unit.least_size)
        return after

    def _close(self) -> None:
        unit, self._unit = self._unit, _Unit(self._scanner, self._page.room)
        if not unit.size:
            return
        text = unit.text
        if self._awaits_lead:
            self._lead_with(text, unit)
        elif self._page.add(text, size=None if unit.is_whole else unit.size):
            self.count += 1
        else:
            self.has_more = True

    def _lead_with(self, text: str, unit: "_Unit") -> None:
        self._awaits_lead = False
        room = self._page.room // 2
        self.is_lead_cut = not unit.is_whole or utf8_size(text) > room
        self.lead = shortened(text, room=room - 1, size=unit.size) + "\n" if self.is_lead_cut else text
        self.lead = beginning_of(self.lead, room)
        self._page.room -= utf8_size(self.lead)


class _Unit:
    """One unit as its bytes come in; no more of them is held than a page has room for."""

    def __init__(self, scanner: Scanner, room: int) -> None:
        self.size = 0
        self._before, self._behind = scanner.before, scanner.behind
        self._most = room + _SLACK_BYTES
        self._held = bytearray()

    @property
    def is_whole(self) -> bool:
        return self.size == len(self._held)

    @property
    def least_size(self) -> int:
        """The least that it takes on a page, whatever of its end does not belong to it."""
        return self.size - _SLACK_BYTES

    @property
    def text(self) -> str:
        return bytes(self._held).rstrip(self._behind).decode("utf-8", "replace")

    def take(self, data: bytes, start: int, end: int) -> None:
        if not self.size and self._before:
            while start < end and data[start] in self._before:
                start += 1
        self.size += end - start
        self._held += data[start : min(end, start + self._most - len(self._held))]
