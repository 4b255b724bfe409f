"""Content as text: bytes that are UTF-8 without NUL, and where in a text something is.

What the text has to say is not looked at here.
"""

from handiwork.errors import ContentRefused

LONGEST_EXCERPT = 40


def text_of(data: bytes, type_name: str) -> str:
    """Return the text that the bytes hold, its byte order mark too. Raises `ContentRefused`."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise ContentRefused(
            type_name,
            where=f"byte {wrong.start + 1:,}",
            expected="text in UTF-8",
            got=f"the byte 0x{data[wrong.start]:02x}, which no such text has there",
            hint="Encode the text as UTF-8; content that is not text is of the type `file` or `image`.",
        ) from wrong
    if (offset := text.find("\0")) >= 0:
        raise ContentRefused(
            type_name,
            where=place(text, offset),
            expected="text without NUL characters",
            got="a NUL",
            hint="Leave the NUL out; content that is not text is of the type `file` or `image`.",
        )
    return text


def bytes_of(text: str, type_name: str) -> bytes:
    """Return the text in UTF-8. Raises `ContentRefused` for half of a surrogate pair."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as wrong:
        got = f"half of a surrogate pair, {text[wrong.start]!r}"
        where = place(text, wrong.start)
        raise ContentRefused(type_name, where=where, expected="whole characters", got=got) from wrong


def place(text: str, offset: int) -> str:
    """Return line and column of a character, both from 1."""
    line = text.count("\n", 0, offset) + 1
    return f"line {line:,}, column {offset - text.rfind(chr(10), 0, offset):,}"


def excerpt(text: str, offset: int = 0) -> str:
    """Return a short and printable piece of the text from `offset` on."""
    if offset >= len(text):
        return "the end"
    piece = text[offset : offset + LONGEST_EXCERPT]
    return f"{piece!r}{'…' if offset + LONGEST_EXCERPT < len(text) else ''}"
