"""Names of files as a header tells them (RFC 6266 and 8187). How a name is cleaned is known to `media`."""

import unicodedata
from urllib.parse import quote

from handiwork.media.names import NAMELESS, clean_name, is_kept
from handiwork.model import Disposition

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


def _ascii(name: str) -> str:
    """Return a name of plain characters, accents left off. Without `%`, which some clients take for an encoding."""
    parts = unicodedata.normalize("NFKD", name)
    plain = [c if c.isascii() and is_kept(c) and c != "%" else "_" for c in parts if not unicodedata.combining(c)]
    return "".join(plain).strip(". ") or NAMELESS
