"""Whether content reads as text, judged from its first and last bytes. What kind of text is told in `syntax`."""

import codecs
import re
from dataclasses import dataclass

from handiwork.media.content import Readable
from handiwork.model import KIB

TAIL_BYTES = 64 * KIB

_CONTROLS = "\x00-\x08\x0b\x0e-\x1a\x1c-\x1f"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_HIGH_BYTES = bytes(range(0x80, 0x100))
_LEGACY_ASCII_SHARE = 0.25
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The beginning and the end of a text; they are the same where `is_whole`."""

    start: str
    end: str
    is_whole: bool

    @property
    def has_controls(self) -> bool:
        """Whether it holds control characters that prose and code do without."""
        return bool(_CONTROL.search(self.start) or _CONTROL.search(self.end))


def text_of(content: Readable, head: bytes) -> Text | None:
    """Decode UTF-8, or UTF-16 with a byte order mark; None if it is neither or holds a NUL."""
    if b"\x00" in head and head[:2] not in _UTF16:
        return None
    is_whole = content.size <= len(head)
    encoding = _UTF16.get(head[:2], "utf-8")
    try:
        start = codecs.getincrementaldecoder(encoding)().decode(head, final=is_whole)
        end = start if is_whole else _end(content, encoding)
    except UnicodeDecodeError:
        return None
    if "\x00" in start or "\x00" in end:
        return None
    return Text(start=start.removeprefix("\ufeff"), end=end, is_whole=is_whole)


def legacy_text(content: Readable, head: bytes) -> Text | None:
    """Read bytes that could be an older 8-bit encoding as Latin-1; None where too little of them is ASCII."""
    if b"\x00" in head or len(head.translate(None, _HIGH_BYTES)) < _LEGACY_ASCII_SHARE * len(head):
        return None
    is_whole = content.size <= len(head)
    start = head.decode("latin-1")
    end = start if is_whole else content.read_at(max(content.size - TAIL_BYTES, 0), TAIL_BYTES).decode("latin-1")
    text = Text(start=start, end=end, is_whole=is_whole)
    return None if text.has_controls else text


def _end(content: Readable, encoding: str) -> str:
    offset = max(content.size - TAIL_BYTES, 0)
    if encoding != "utf-8":
        offset -= offset % 2
        return content.read_at(offset, TAIL_BYTES + 1).decode(encoding, errors="replace")
    tail = content.read_at(offset, TAIL_BYTES)
    # The cut may fall inside a character, whose up to three later bytes are skipped.
    cut = next((i for i, byte in enumerate(tail[:4]) if byte & 0xC0 != 0x80), 0)
    return tail[cut:].decode("utf-8")
