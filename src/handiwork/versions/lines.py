"""The lines of a text: where they end, and the last ones read from the end. What they say is not looked at.

A line ends with a line feed, which belongs to it, so that lines in a row are the text itself.
"""

import codecs

from handiwork.model import KIB, MIB
from handiwork.versions.blocks import read, scanned
from handiwork.versions.selection import Page, Source

_FIRST_STEP_BYTES = 64 * KIB
_LARGEST_STEP_BYTES = MIB
_PART_BYTES = 16 * KIB
_NEWLINE = b"\n"


class LineScanner:
    """Finds the ends of lines."""

    before = b""
    behind = b""
    is_over = False

    def __init__(self) -> None:
        self.is_within = False

    def find(self, data: bytes, start: int) -> tuple[int, int] | None:
        end = data.find(_NEWLINE, start) + 1
        self.is_within = not end
        return (end, end) if end else None

    def skip(self, data: bytes, start: int, count: int) -> tuple[int, int]:
        passed = 0
        while start < len(data):
            here = data.count(_NEWLINE, start, start + _PART_BYTES)
            if passed + here >= count:
                break
            start, passed = min(start + _PART_BYTES, len(data)), passed + here
        for _ in range(min(count - passed, _PART_BYTES)):
            if not (end := data.find(_NEWLINE, start) + 1):
                break
            start, passed = end, passed + 1
        self.is_within = not data.endswith(_NEWLINE, 0, start)
        return start, passed

    def begins(self, data: bytes, start: int) -> bool:
        return start < len(data)

    def finish(self) -> None:
        pass


class LastLines:
    """The last `first` lines without the last `stop` of them, put on a page from the last one backwards."""

    def __init__(self, page: Page, *, first: int, stop: int) -> None:
        self.count = 0
        self.has_more = False
        self._page = page
        self._first, self._stop = first, stop
        self._size = 0
        self._held = b""
        self._is_ended = False

    @property
    def total(self) -> int | None:
        """How many there are in all, if the start of the text was reached."""
        return self.count if self._is_ended else None

    @property
    def text(self) -> str:
        return "".join(reversed(self._page.texts))

    def feed(self, data: bytes) -> bool:
        """Take the bytes before those that came last; tell whether no more are needed."""
        end = len(data)
        while end and not self.has_more:
            if self._is_past():
                self.has_more = True
                break
            # A line feed at the end belongs to the line that is looked for, unless some of that was there already.
            start = data.rfind(_NEWLINE, 0, end if self._size else end - 1) + 1
            self._hold(data[start:end])
            if start:
                self._close()
            end = start
        return self.has_more

    def finish(self) -> None:
        """Take note that the start of the text is reached."""
        if self._size:
            self._close()
        self._is_ended = not self.has_more

    def _is_past(self) -> bool:
        return not self._size and (self._page.is_full or self.count == self._first)

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        if self.count < self._stop:
            return
        self._held = (part + self._held)[: self._page.room + 1]
        # The beginning of a line that cannot fit any more is not needed.
        self.has_more = self._page.refuses(self._size)

    def _close(self) -> None:
        size, held = self._size, self._held
        self._size, self._held = 0, b""
        if self.count < self._stop or self._page.add(
            held.decode("utf-8", "replace"), size=None if size == len(held) else size
        ):
            self.count += 1
        else:
            self.has_more = True


async def last_lines(content: Source, lines: LastLines) -> None:
    """Read the content from its end in steps, until the lines have what they need or the start is reached."""
    end, step = content.size, _FIRST_STEP_BYTES
    while end:
        offset = end - step if end - step > len(codecs.BOM_UTF8) else 0
        data = await read(content, offset=offset, length=end - offset)
        if await scanned(lines.feed, data if offset else data.removeprefix(codecs.BOM_UTF8)):
            return
        end, step = offset, min(2 * step, _LARGEST_STEP_BYTES)
    lines.finish()
