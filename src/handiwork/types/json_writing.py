"""JSON as text: written in pieces, two blanks to a level, with numbers as they were written where that is known.

Whether a value is one that JSON can hold is not asked here. Who reads numbers as `Written` loses no digit of them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

_text = json.JSONEncoder(ensure_ascii=False).encode


class Written(float):
    """A number with the digits that it was written with, of which a float alone would lose some."""

    digits: str

    def __new__(cls, digits: str) -> "Written":
        number = super().__new__(cls, digits)
        number.digits = digits
        return number

    def __repr__(self) -> str:
        return self.digits

    def __getnewargs__(self) -> tuple[str]:  # pyright: ignore[reportIncompatibleMethodOverride]  # a copy is made of the digits
        return (self.digits,)


def number_of(digits: str) -> float:
    """Return a number with a fraction, an exponent or a sign at zero, so that writing it gives the same digits."""
    number = float(digits)
    return number if repr(number) == digits else Written(digits)


def pieces_of(value: object, *, start: str = "\n") -> Iterator[str]:
    """Yield a value as JSON; `start` is what begins a line on its level."""
    inner = f"{start}  "
    match value:
        case dict() if value:
            begin = "{"
            for name, each in cast("Mapping[str, object]", value).items():
                yield f"{begin}{inner}{_text(name)}: "
                yield from pieces_of(each, start=inner)
                begin = ","
            yield f"{start}}}"
        case list() | tuple() if value:
            begin = "["
            for each in cast("Sequence[object]", value):
                yield f"{begin}{inner}"
                yield from pieces_of(each, start=inner)
                begin = ","
            yield f"{start}]"
        case Written():
            yield value.digits
        case _:
            yield _text(value)
