"""Names of files as they may be shown and stored. Which name a file has is not decided here.

A name is data that a model or a page made up: it must not leave its folder, mislead a reader, or show another extension
than it has.
"""

import unicodedata

NAMELESS = "file"
LONGEST_NAME = 150
LONGEST_EXTENSION = 16

# Controls, surrogates without their partner, what ends a line or paragraph.
_DROPPED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DROPPED = frozenset(
    '"\\/'
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # the direction of writing
    "\u200b\u2060\ufeff\u00ad"  # seen by nobody
)
_TAGS = range(0xE0000, 0xE0080)


def clean_name(name: str) -> str:
    """Return the name without what could mislead a header, a folder or a reader; never empty."""
    kept = "".join(character for character in name if is_kept(character))
    kept = " ".join(kept.split()).strip(". ")
    if len(kept) <= LONGEST_NAME:
        return kept or NAMELESS
    stem, dot, extension = kept.rpartition(".")
    if not dot or len(extension) > LONGEST_EXTENSION:
        return kept[:LONGEST_NAME].strip(". ")
    return f"{stem[: LONGEST_NAME - len(extension) - 1].strip('. ') or NAMELESS}.{extension}"


def named_after(title: str, extension: str) -> str:
    """Return a file name made of a title."""
    name = clean_name(title)
    if name.lower().endswith(f".{extension}"):
        return name
    return f"{name[: LONGEST_NAME - len(extension) - 1].strip('. ') or NAMELESS}.{extension}"


def is_kept(character: str) -> bool:
    """Tell whether a character may be in a file name."""
    return (
        character not in _DROPPED
        and ord(character) not in _TAGS
        and unicodedata.category(character) not in _DROPPED_CATEGORIES
    )
