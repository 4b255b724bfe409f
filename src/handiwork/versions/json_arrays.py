"""The elements of an array that is a whole JSON document: where they end. Their values are never built.

Brackets and strings are followed, which finds the elements of every valid document; what is between is not checked.
"""

import re

from handiwork.versions.units import AT_A_TIME, MalformedContent, passed_over

WHITE = b" \t\r\n"
MOST_MARKS = 1_000_000
"""How many brackets are looked at one by one, which takes a second or two; those of ordinary content are not."""

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_INSIDE = rb'[^"\[\]{}]*+(?:%b[^"\[\]{}]*+)*+' % _STRING
_FLAT = rb"[\[{]%b[\]}]" % _INSIDE
_SHALLOW = rb"[\[{]%b(?:%b%b)*+[\]}]" % (_INSIDE, _FLAT, _INSIDE)
_ELEMENT = rb'(?=[ \t\r\n]*+[^ \t\r\n,\]}])[^"\[\]{},]*+(?:(?:%b|%b)[^"\[\]{},]*+)*+,' % (_STRING, _SHALLOW)
# Elements that hold no more than flat arrays and objects, which is what most tables are.
_MANY = re.compile(rb"(?:%b){%d}+" % (_ELEMENT, AT_A_TIME), re.DOTALL)
_DEEPER = rb"[\[{]%b(?:%b%b)*+[\]}]" % (_INSIDE, _SHALLOW, _INSIDE)
# What is whole and not nested deeply is passed over at once.
_WITHIN_ELEMENT = re.compile(rb"%b(?:%b%b)*+" % (_INSIDE, _DEEPER, _INSIDE), re.DOTALL)
_TO_COMMA = re.compile(rb'[^"\[\]{},]*+(?:(?:%b|%b)[^"\[\]{},]*+)*+' % (_STRING, _DEEPER), re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_FILLED = re.compile(rb"[^ \t\r\n]")
_OPENING = re.compile(rb"[ \t\r\n]*+\[")


def inside_of(start: bytes) -> bytes | None:
    """Return what follows the bracket that opens an array; None if the content is none, judged from its start."""
    opening = _OPENING.match(start)
    return None if opening is None else start[opening.end() :]


class ElementScanner:
    """Finds the ends of elements, from behind the bracket that opens the array, or from behind a comma in it."""

    before = WHITE
    behind = WHITE

    def __init__(self, *, is_first: bool = True) -> None:
        self.is_over = False
        self.is_within = False
        self._is_first = is_first
        self._depth = self._marks = 0
        self._is_in_string = False
        self._is_escaped = False

    def find(self, data: bytes, start: int) -> tuple[int, int] | None:
        position = start
        while position < len(data):
            if self._is_in_string:
                position = self._after_string(data, position)
                continue
            position = self._at_mark(data, position)
            if position == len(data):
                return None
            if self._passes(data[position : position + 1]):
                return position, position + 1
            position += 1
        return None

    def skip(self, data: bytes, start: int, count: int) -> tuple[int, int]:
        if not self._is_first:
            return passed_over(self, _MANY, data, start, count)
        found = self.find(data, start)
        # Between the brackets of an empty array there is none.
        return (len(data), 0) if found is None else (found[1], int(not self._is_first))

    def begins(self, data: bytes, start: int) -> bool:
        return not self.is_over and start < len(data)

    def finish(self) -> None:
        if not self.is_over:
            raise MalformedContent("the array is not closed")

    def _after_string(self, data: bytes, position: int) -> int:
        if self._is_escaped:
            self._is_escaped = False
            position += 1
        rest = _REST_OF_STRING.match(data, position)
        assert rest is not None  # The pattern matches nothing, too.
        position = rest.end()
        if position < len(data):
            self._is_in_string = data[position : position + 1] != b'"'
            self._is_escaped = self._is_in_string
            position += 1
        return position

    def _at_mark(self, data: bytes, position: int) -> int:
        """Return where the next bracket, comma between elements, or string that does not end in the data is."""
        run = (_WITHIN_ELEMENT if self._depth else _TO_COMMA).match(data, position)
        assert run is not None  # The pattern matches nothing, too.
        self.is_within = self.is_within or _FILLED.search(data, position, run.end()) is not None
        return run.end()

    def _passes(self, mark: bytes) -> bool:
        """Take note of a mark; tell whether the element ends before it."""
        if mark == b'"':
            self._is_in_string = self.is_within = True
        elif mark in b"[{":
            self._demand_few_marks()
            self._depth += 1
            self.is_within = True
        elif mark == b",":
            return self._ends(is_last=False)
        elif self._depth:
            self._depth -= 1
        elif mark == b"]":
            return self._ends(is_last=True)
        else:
            raise MalformedContent("a `}` closes nothing")
        return False

    def _demand_few_marks(self) -> None:
        self._marks += 1
        if self._marks > MOST_MARKS:
            raise MalformedContent(f"it has more than {MOST_MARKS:,} brackets within brackets within brackets")

    def _ends(self, *, is_last: bool) -> bool:
        is_empty_array = is_last and self._is_first and not self.is_within
        if not self.is_within and not is_empty_array:
            raise MalformedContent("an element is missing beside a comma")
        self._is_first = is_empty_array
        self.is_over = is_last
        self.is_within = False
        return True
