"""Values in a few words, for a message that says what was there instead of what was expected.

However large a value is, the words are few; what was expected is for the caller to say.
"""

import json
from enum import Enum
from typing import cast

_LONGEST_TOLD = 80
_MOST_NAMES_TOLD = 8
_LONGEST_NUMBER_BITS = 128


def told(value: object) -> str:
    """Say in a few words what a value is, whatever it is and however large."""
    match value:
        case dict():
            names = sorted(str(name)[:40] for name in cast("dict[object, object]", value))
            some = ", ".join(f"`{name}`" for name in names[:_MOST_NAMES_TOLD])
            return (
                f"an object with {some}{', …' if len(names) > _MOST_NAMES_TOLD else ''}" if names else "an empty object"
            )
        case list():
            return f"a list of {len(cast('list[object]', value))} elements"
        case str():
            return f"the text {json.dumps(value[:_LONGEST_TOLD])}" + ("…" if len(value) > _LONGEST_TOLD else "")
        case None | int() | float():
            is_long = isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER_BITS
            return "a long number" if is_long else json.dumps(value)
        case _:
            return "nothing" if isinstance(value, Enum) else f"a {type(value).__name__}"
