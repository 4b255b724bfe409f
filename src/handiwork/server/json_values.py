"""How many values a JSON text holds, counted without building any of them. What they mean is not known here.

Whoever builds them holds up everybody else meanwhile, and they take up to a hundred times the room of their text. A
count takes little of both: the text is gone through in pieces, between which others have their turn.
"""

import re

from handiwork.server.refusals import MalformedRequest

_PIECE_BYTES = 256 * 1024
_QUOTE = b'"'
# Each value but the first comes behind one of these.
_MARKS = (b"[", b"{", b",")
_OUTSIDE = re.compile(rb'[^"]*+')
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


def demand_few_values(text: bytes, *, most: int) -> None:
    """Raise `MalformedRequest` for more values than `most`, as far as the text is JSON."""
    if has_few_values(text, most=most):
        return
    # Many may be in strings, which are one value each whatever is in them.
    position, count, is_inside = 0, 1, False
    while position < len(text):
        found = (_INSIDE if is_inside else _OUTSIDE).match(text, position, position + _PIECE_BYTES)
        assert found is not None  # The patterns match nothing, too.
        end = found.end()
        if not is_inside:
            count += _marks_in(text, position, end)
        if count > most:
            raise MalformedRequest("body", expected=f"JSON of at most {most:,} values")
        if text[end : end + 1] == _QUOTE:
            end, is_inside = end + 1, not is_inside
        elif end == position:
            # It ends in the middle of an escape.
            return
        position = end


def has_few_values(text: bytes, *, most: int) -> bool:
    """Tell whether a JSON text surely holds at most so many values."""
    return _marks_in(text, 0, len(text)) < most


def _marks_in(text: bytes, start: int, end: int) -> int:
    return sum(text.count(mark, start, end) for mark in _MARKS)
