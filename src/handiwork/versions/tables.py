"""The rows of a table in CSV: where they end, as the csv module would find it. What the fields mean is not known here.

A row ends with a line end that is in no quotes; blank lines are no rows.
"""

import re
from typing import Literal

from handiwork.model import KIB
from handiwork.versions.units import AT_A_TIME, passed_over

_PART_BYTES = 64 * KIB
_QUOTE = ord('"')
_BLANK = re.compile(rb"[\r\n]*+")
_FILLED = re.compile(rb"[^\r\n]")


class RowScanner:
    """Finds the ends of rows, whose fields the delimiter parts."""

    before = b"\r\n"
    behind = b""
    is_over = False

    def __init__(self, delimiter: bytes) -> None:
        self._state: Literal["between", "start", "plain", "quoted", "quote"] = "between"
        mark = re.escape(delimiter)
        # A row whose quotes stand around whole fields. Any other is gone through field by field.
        row = rb'(?=[^\r\n])[^"\r\n]*+(?:(?<![^%b\r\n])"[^"]*+(?:""[^"]*+)*+"(?=[%b\r\n])[^"\r\n]*+)*+(?:\r\n?|\n)' % (
            mark,
            mark,
        )
        self._row = re.compile(row)
        self._many = re.compile(rb"(?:%b){%d}+" % (row, AT_A_TIME))
        self._plain_fields = re.compile(rb'(?:[^"%b\r\n][^%b\r\n]*+%b|%b)*+' % (mark, mark, mark, mark))
        self._field_end = re.compile(rb"%b|\r\n?|\n" % mark)
        self._delimiter = delimiter

    @property
    def is_within(self) -> bool:
        return self._state != "between"

    def find(self, data: bytes, start: int) -> tuple[int, int] | None:
        if self._state == "between":
            start = _end_of(_BLANK.match(data, start))
            if start == len(data):
                return None
            if row := self._row.match(data, start):
                return row.end(), row.end()
            self._state = "start"
        end = self._find_in_parts(data, start)
        return None if end is None else (end, end)

    def skip(self, data: bytes, start: int, count: int) -> tuple[int, int]:
        passed = 0
        while start < len(data) and passed < count:
            end = data.rfind(b"\n", start, start + _PART_BYTES) + 1
            if self._state == "between" and end and _is_plain(data[start:end]):
                here = data.count(b"\n", start, end)
                if here <= count - passed:
                    start, passed = end, passed + here
                    continue
            # To the end of a row near the end of the part.
            end = start + _PART_BYTES
            while start < min(end, len(data)) and passed < count:
                start, here = passed_over(self, self._many, data, start, min(count - passed, AT_A_TIME))
                passed += here
        return start, passed

    def begins(self, data: bytes, start: int) -> bool:
        return _FILLED.search(data, start) is not None

    def finish(self) -> None:
        pass

    def _find_in_parts(self, data: bytes, position: int) -> int | None:
        """Find the end of a row that this data has only a part of, field by field."""
        while position < len(data):
            if self._state == "start":
                position = _end_of(self._plain_fields.match(data, position))
                if position == len(data):
                    return None
            match self._state:
                case "quoted":
                    end = data.find(b'"', position)
                    if end < 0:
                        return None
                    position, self._state = end + 1, "quote"
                case "start" | "quote" if data[position] == _QUOTE:
                    position, self._state = position + 1, "quoted"
                case _:
                    self._state = "plain"
                    found = self._field_end.search(data, position)
                    if found is None:
                        return None
                    position = found.end()
                    if found[0] != self._delimiter:
                        self._state = "between"
                        return position
                    self._state = "start"
        return None


def _is_plain(lines: bytes) -> bool:
    """Tell whether each line is a row: no quotes, no blank lines, no line ends of another kind."""
    if b'"' in lines or b"\n\n" in lines or lines[0] in b"\r\n":
        return False
    return b"\r" not in lines or (lines.count(b"\r") == lines.count(b"\r\n") and b"\n\r" not in lines)


def _end_of(match: "re.Match[bytes] | None") -> int:
    assert match is not None  # The pattern matches nothing, too.
    return match.end()
