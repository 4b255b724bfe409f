"""Lines of a text in which something is said, gathered in one pass. Where the text comes from is not known here.

A line of any length takes bounded memory: of a long one, what surrounds the first match is shown.
"""

import bisect
from typing import Protocol

from handiwork.model import KIB
from handiwork.quantities import counted
from handiwork.versions.lines import LineScanner
from handiwork.versions.selection import Page

LONGEST_PATTERN = 500
"""In characters; what could be cut by the end of a part of a line is held with the next part."""

_LONGEST_LINE_BYTES = 2 * KIB
_BEFORE_BYTES, _AROUND_BYTES = 200, KIB
_PART_BYTES = 64 * KIB
_NEWLINE = b"\n"
_GAP = "…"


class Pattern(Protocol):
    """What a line must say."""

    overlap: int
    """How many bytes at the end of one part of a line belong to the next part, too."""

    def may_match(self, lines: bytes) -> bool:
        """Tell quickly whether one of several lines may match."""
        ...

    def found_in(self, part: bytes) -> dict[str, int]:
        """Return which words are in a part of a line, each with where it begins there."""
        ...

    @property
    def words(self) -> frozenset[str]: ...


class ExactText:
    """A text as it is, upper and lower case told apart."""

    def __init__(self, text: str) -> None:
        self.words = frozenset({text})
        self._text, self._bytes = text, text.encode()
        self.overlap = len(self._bytes)

    def may_match(self, lines: bytes) -> bool:
        return self._bytes in lines

    def found_in(self, part: bytes) -> dict[str, int]:
        place = part.find(self._bytes)
        return {} if place < 0 else {self._text: place}


class AllWords:
    """Words that are all there, in any order and case, also within other words."""

    def __init__(self, text: str) -> None:
        self.words = frozenset(text.casefold().split())
        # One character may fold to several, hardly the other way round, and has four bytes at most.
        self.overlap = 4 * max(len(word) for word in self.words)

    def may_match(self, lines: bytes) -> bool:
        folded = lines.decode("utf-8", "replace").casefold()
        return all(word in folded for word in self.words)

    def found_in(self, part: bytes) -> dict[str, int]:
        text = part.decode("utf-8", "replace")
        folded = text.casefold()
        places = {word: place for word in self.words if (place := folded.find(word)) >= 0}
        return {word: _unfolded(text, place) for word, place in places.items()}


class Matches:
    """Puts lines that match on a page, each with its number, from the line `first` on, counted from 0."""

    def __init__(self, pattern: Pattern, page: Page, *, first: int) -> None:
        self.next_line = 0
        self.has_more = False
        self._pattern = pattern
        self._page = page
        self._first = first
        self._lines = LineScanner()
        self._line = _Line(pattern)
        self._is_ended = False

    @property
    def total(self) -> int | None:
        """How many there are in all, if all lines were gone through."""
        return len(self._page) if self._is_ended and not self._first else None

    def feed(self, data: bytes) -> bool:
        """Go on through the data; tell whether no more is needed."""
        position = 0
        while position < len(data) and not self.has_more:
            if self.next_line < self._first:
                position, passed = self._lines.skip(data, position, self._first - self.next_line)
                self.next_line += passed
                continue
            end = data.rfind(_NEWLINE, position, position + _PART_BYTES) + 1
            if self._line.size or not end:
                position = self._take_part(data, position)
            else:
                self._take_lines(data[position:end])
                position = end
        return self.has_more

    def finish(self) -> None:
        """Take note that the text has ended."""
        if self._line.size:
            self._close()
        self._is_ended = not self.has_more

    def _take_part(self, data: bytes, position: int) -> int:
        end = data.find(_NEWLINE, position, position + _PART_BYTES)
        after = end + 1 if end >= 0 else min(position + _PART_BYTES, len(data))
        self._line.take(data[position:after])
        if end >= 0:
            self._close()
        return after

    def _take_lines(self, lines: bytes) -> None:
        if not self._pattern.may_match(lines):
            self.next_line += lines.count(_NEWLINE)
            return
        for line in lines.split(_NEWLINE)[:-1]:
            self._line.take(line)
            self._close()
            if self.has_more:
                return

    def _close(self) -> None:
        line, self._line = self._line, _Line(self._pattern)
        if line.missing or self._page.add(f"{self.next_line + 1}: {line.shown}\n"):
            self.next_line += 1
        else:
            self.has_more = True


class _Line:
    """A line as it comes in, whole or in parts."""

    def __init__(self, pattern: Pattern) -> None:
        self.size = 0
        self.missing = set(pattern.words)
        self._pattern = pattern
        self._start = b""
        self._carried = b""
        self._around: bytes | None = None
        self._is_from_start = True

    @property
    def shown(self) -> str:
        if self.size <= _LONGEST_LINE_BYTES:
            return self._start.rstrip(b"\r\n").decode("utf-8", "replace")
        around = (self._around or b"").decode("utf-8", "replace")
        # The cuts may fall inside of characters.
        around = around.rstrip("\ufffd\r\n") if self._is_from_start else around.strip("\ufffd\r\n")
        return f"{'' if self._is_from_start else _GAP}{around}{_GAP}[line of {counted(self.size, 'byte')}]"

    def take(self, part: bytes) -> None:
        if self._around is not None:
            self._around += part[: _AROUND_BYTES - len(self._around)]
        if self.missing:
            self._look_into(self._carried + part)
        self.size += len(part)
        self._start += part[: _LONGEST_LINE_BYTES - len(self._start)]

    def _look_into(self, part: bytes) -> None:
        found = self._pattern.found_in(part)
        self.missing -= found.keys()
        if found and self._around is None:
            begin = max(min(found.values()) - _BEFORE_BYTES, 0)
            self._is_from_start = not begin and len(self._carried) == self.size
            self._around = part[begin : begin + _AROUND_BYTES]
        self._carried = part[-max(self._pattern.overlap, _BEFORE_BYTES) :]


def _unfolded(text: str, place: int) -> int:
    """Return at which byte the character is that `place` in the folded text stands for."""
    index = bisect.bisect_left(range(len(text)), place, key=lambda end: len(text[:end].casefold()))
    return len(text[:index].encode("utf-8", "replace"))
