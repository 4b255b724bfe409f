"""Names of files as a header tells them (RFC 6266 and 8187). Which name a file has is not decided here.

A name is data that a model or a page made up: it must not end the header, leave its folder, or show another
extension than it has.
"""

import unicodedata
from urllib.parse import quote

from handiwork.model import Disposition

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
# Besides what RFC 3986 leaves as it is, what RFC 8187 does.
_ATTRIBUTE_CHARACTERS = "!#$&+^`|"


def content_disposition(name: str, disposition: Disposition) -> str:
    """Return the header: a name that every client reads and, where it differs, the true one."""
    cleaned = clean_name(name)
    plain = _ascii(cleaned)
    header = f'{disposition}; filename="{plain}"'
    if plain == cleaned:
        return header
    return f"{header}; filename*=UTF-8''{quote(cleaned, safe=_ATTRIBUTE_CHARACTERS)}"


def clean_name(name: str) -> str:
    """Return the name without what could mislead a header, a folder or a reader; never empty."""
    kept = "".join(character for character in name if _is_kept(character))
    kept = " ".join(kept.split()).strip(". ")
    if len(kept) <= LONGEST_NAME:
        return kept or NAMELESS
    stem, dot, extension = kept.rpartition(".")
    if not dot or len(extension) > LONGEST_EXTENSION:
        return kept[:LONGEST_NAME].strip(". ")
    return f"{stem[: LONGEST_NAME - len(extension) - 1].strip('. ') or NAMELESS}.{extension}"


def _is_kept(character: str) -> bool:
    return (
        character not in _DROPPED
        and ord(character) not in _TAGS
        and unicodedata.category(character) not in _DROPPED_CATEGORIES
    )


def _ascii(name: str) -> str:
    """Return a name of plain characters, accents left off. Without `%`, which some clients take for an encoding."""
    parts = unicodedata.normalize("NFKD", name)
    plain = [c if c.isascii() and _is_kept(c) and c != "%" else "_" for c in parts if not unicodedata.combining(c)]
    return "".join(plain).strip(". ") or NAMELESS
