"""Text of whole characters: Python holds halves of surrogate pairs in a text, UTF-8 and those who read it do not.

What a text with such a half is refused with, or shown as, is not known here.
"""

import re

HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, wherever it stands."""


def whole_characters(text: str) -> str:
    """Return a text with its halves joined where they belong together, and replaced where the other one is missing."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if HALF.search(text) else text
