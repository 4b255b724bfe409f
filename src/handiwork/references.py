"""References to artifacts in text: how one is written, and how those in a text that comes in pieces are found.

What a reference leads to, and who may see that, is not known here. A reference is written as an empty XML element,
`<artifact id="chart_k3x9" version="2" select="head=20" summary="…" />`, and read with tolerance: attributes in any
order, either quote or none, any white space, entities, `<artifact …></artifact>`, further attributes. There is no `<`
inside of a reference, so that one that was never closed ends where the next one begins, and every text is read once.
"""

import re
import string
import unicodedata
from collections.abc import Generator
from dataclasses import dataclass

MOST_HELD = 2048
"""How many characters a reference has at most, and so how many a scanner may hold back."""
LONGEST_ID = 200
LONGEST_SUMMARY = 240
LONGEST_SELECT = 700
"""How many characters a selector has at most, as it is written."""

_TAG = "<artifact"
_END_TAG = "</artifact>"
_BLANK = frozenset(" \t\r\n")
# Where the whole name follows, or the text ends within it.
_START = re.compile(
    rf"<(?={_TAG[1:]}[\s/>]|(?:{'|'.join(_TAG[1:end] for end in range(1, len(_TAG) + 1))})\Z)", re.IGNORECASE
)
_ENDS = frozenset("/>")
_QUOTES = frozenset("\"'")
_NAMING = frozenset(string.ascii_letters + string.digits + "_:.-")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_ENTITY = re.compile(r"&(?:(lt|gt|amp|quot|apos)|#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6}));")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})

# What is seen by nobody, or turns what stands beside it: controls, format characters, halves of characters.
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs"})
_UNSEEN = frozenset("\u034f\u2065\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_UNSEEN_RANGES = (range(0xFDD0, 0xFDF0), range(0xFE00, 0xFE0E), range(0xFFF0, 0xFFF9), range(0xE0000, 0xE1000))
_LAST_OF_A_PLANE = 0xFFFE  # these two are no characters
_KEPT_BLANKS = frozenset("\n\t")
_TERMINAL = re.compile(r"\x1b\[[0-9;:?]{0,40}[A-Za-z]")
_JOINERS = frozenset("\u200c\u200d")  # without them some scripts and emoji cannot be written
_MOST_LOOKED_AT = 16


@dataclass(frozen=True, slots=True)
class Reference:
    """What a text says of an artifact instead of its content; `id` is an id or a handle, and `select` a selector."""

    id: str
    version: int | None = None
    select: str | None = None
    summary: str | None = None

    def __str__(self) -> str:
        """Return the reference as it is written, which never is longer than one that is read.

        A selector is said exactly or, where it cannot be, not at all; a summary where there is room for it.
        """
        said = [f'id="{escaped(self.id, longest=LONGEST_ID)}"']
        if self.version is not None:
            said.append(f'version="{self.version}"')
        if self.select is not None and (select := _exactly(self.select, longest=LONGEST_SELECT)) is not None:
            said.append(f'select="{select}"')
        summary = escaped(self.summary or "", longest=LONGEST_SUMMARY)
        if summary and len(written := _element([*said, f'summary="{summary}"'])) <= MOST_HELD:
            return written
        return _element(said)


@dataclass(frozen=True, slots=True)
class Mention:
    """A reference in a text, and how it is written there."""

    raw: str
    reference: Reference


Piece = str | Mention


def escaped(value: str, *, longest: int) -> str:
    """Return a value as it may stand in an attribute or between tags: one line, cleaned, cut and escaped.

    It holds none of `<`, `>`, `"` and no bare `&`, so that it can neither end what it stands in nor begin anything.
    """
    return cleaned(value, longest=longest).translate(_ESCAPED)


def cleaned(value: str, *, longest: int) -> str:
    """Return a value as one line of what can be seen, at most `longest` characters with the mark of a cut."""
    looked_at = value[: _MOST_LOOKED_AT * longest]
    if not (looked_at.isascii() and looked_at.isprintable()):
        looked_at = "".join(" " if each.isspace() else each for each in looked_at if each.isspace() or _is_seen(each))
    line = " ".join(looked_at.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def legible(text: str) -> str:
    """Return a text with its lines and blanks as they are, without what is seen by nobody or turns what is beside it.

    A line that a terminal would have written over is one of its own, and colours of terminals are left out.
    """
    lines = _TERMINAL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in lines if each in _KEPT_BLANKS or _is_seen(each))


def _element(said: list[str]) -> str:
    return f"<artifact {' '.join(said)} />"


def _exactly(value: str, *, longest: int) -> str | None:
    """Return a value escaped so that it is read as it was, what a line does not show by its number.

    It is None where it would be longer, or has a character that no XML can have.
    """
    if len(value) > longest or _NOT_XML.search(value):
        return None
    spelled = "".join(
        each.translate(_ESCAPED) if each == " " or (not each.isspace() and _is_seen(each)) else f"&#{ord(each)};"
        for each in value
    )
    return spelled if len(spelled) <= longest else None


def pieces_of(text: str) -> list[Piece]:
    """Return a text as its references and what stands between them."""
    scanner = Scanner()
    return [*scanner.feed(text), *scanner.close()]


class Scanner:
    """Finds references in a text that comes in pieces; what it finds does not depend on where the text is cut.

    It holds back nothing but a `<` from which on all could still become a reference, at most `MOST_HELD` characters.
    """

    def __init__(self) -> None:
        self._begun: _Begun | None = None
        self._text: list[str] = []
        self._found: list[Piece] = []

    @property
    def held(self) -> str:
        """What was fed and has not been given back."""
        return self._begun.raw if self._begun is not None else ""

    def feed(self, chunk: str) -> list[Piece]:
        """Take a piece of the text, and return what is decided by now."""
        at = 0
        while at < len(chunk):
            if self._begun is None:
                found = _START.search(chunk, at)
                self._text.append(chunk[at : found.start() if found else None])
                at = found.start() + 1 if found else len(chunk)
                self._begun = _Begun() if found else None
            else:
                at = self._go_on(self._begun, chunk, at)
        return self._given()

    def close(self) -> list[Piece]:
        """Return what was held back, since the text is at its end."""
        begun, self._begun = self._begun, None
        if begun is not None:
            self._settle(begun)
        return self._given()

    def _go_on(self, begun: "_Begun", chunk: str, at: int) -> int:
        """Give the element that has begun one more character, and return where to go on."""
        if begun.takes(chunk[at]):
            at += 1
            if not begun.is_over:
                return at
        # A character that does not belong to it is looked at again.
        self._begun = None
        self._settle(begun)
        return at

    def _settle(self, begun: "_Begun") -> None:
        reference, raw = begun.reference(), begun.raw
        if reference is None:
            self._text.append(raw)
            return
        self._give_text()
        self._found.append(Mention(raw[: begun.whole], reference))
        rest = raw[begun.whole :]
        if rest == "<":
            # It was no end tag, and may begin the next reference.
            self._begun = _Begun()
        else:
            self._text.append(rest)

    def _give_text(self) -> None:
        if text := "".join(self._text):
            self._found.append(text)
        self._text.clear()

    def _given(self) -> list[Piece]:
        self._give_text()
        given, self._found = self._found, []
        return given


class _NoReference(Exception):  # never leaves this module
    """The character cannot belong to a reference."""


Steps = Generator[None, str, str]
"""A part of the grammar. It is sent one character after the other, and returns the first one that is not its own."""


class _Begun:
    """An element that may become a reference, character by character from its `<` on."""

    def __init__(self) -> None:
        self._characters = ["<"]
        self._attributes: list[tuple[str, str]] = []
        self.whole = 0
        """How many characters are an element already, whatever follows; 0 is none yet."""
        self.is_over = False
        self._steps = self._element()
        next(self._steps)

    @property
    def raw(self) -> str:
        return "".join(self._characters)

    def takes(self, character: str) -> bool:
        """Take the next character, or tell that it cannot belong to a reference."""
        if len(self._characters) == MOST_HELD:
            return False
        self._characters.append(character)
        try:
            self._steps.send(character)
        except _NoReference:
            self._characters.pop()
            return False
        return True

    def reference(self) -> Reference | None:
        """Return what the element refers to, or None for one that is no reference."""
        said = dict(self._attributes)
        if not self.whole or len(said) < len(self._attributes):
            return None
        id, version = said.get("id", "").strip(), said.get("version")
        if not 0 < len(id) <= LONGEST_ID or not id.isprintable() or " " in id:
            return None
        if version is not None and not _VERSION.fullmatch(version):
            return None
        number = None if version is None else int(version)
        return Reference(id, version=number, select=said.get("select"), summary=said.get("summary"))

    def _element(self) -> Steps:
        yield from _word(_TAG[1:])
        character = yield
        _demand(character in _BLANK or character in _ENDS)
        while character not in _ENDS:
            is_apart = character in _BLANK
            character = yield from _after_blank(character)
            if character not in _ENDS:
                _demand(is_apart)
                character = yield from self._attribute(character)
        if character == "/":
            _demand((yield from _after_blank((yield))) == ">")
        else:
            self.whole = len(self._characters)
            yield from _word(_END_TAG)
        self.whole, self.is_over = len(self._characters), True
        return (yield)

    def _attribute(self, character: str) -> Steps:
        name: list[str] = []
        while character in _NAMING:
            name.append(character)
            character = yield
        _demand(bool(name) and (yield from _after_blank(character)) == "=")
        character = yield from _after_blank((yield))
        value: list[str] = []
        if character in _QUOTES:
            quote, character = character, (yield)
            while character != quote:
                _demand(character != "<")
                value.append(character)
                character = yield
            character = yield
        else:
            while character in _NAMING:
                value.append(character)
                character = yield
            _demand(bool(value))
        self._attributes.append(("".join(name).lower(), _ENTITY.sub(_meant, "".join(value))))
        return character


def _word(word: str) -> Generator[None, str, None]:
    for expected in word:
        _demand((yield).lower() == expected)


def _after_blank(character: str) -> Steps:
    while character in _BLANK:
        character = yield
    return character


def _demand(is_so: bool) -> None:
    if not is_so:
        raise _NoReference


def _meant(entity: re.Match[str]) -> str:
    name, decimal, hexadecimal = entity.groups()
    if name:
        return _ENTITIES[name]
    number = int(decimal) if decimal else int(hexadecimal, 16)
    # What is no character by itself stays as it is written.
    return chr(number) if 0 < number < 0xD800 or 0xDFFF < number < 0x110000 else entity[0]


def _is_seen(character: str) -> bool:
    if character in _JOINERS:
        return True
    number = ord(character)
    if character in _UNSEEN or number & 0xFFFF >= _LAST_OF_A_PLANE or any(number in each for each in _UNSEEN_RANGES):
        return False
    return unicodedata.category(character) not in _UNSEEN_CATEGORIES
