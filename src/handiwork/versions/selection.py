"""What a selector gives: a page of text within a budget of bytes. What is selected, and from what, is not known here.

The budget counts UTF-8. Nothing is cut inside a character, and inside a line, row or element only where that one alone
is over the budget: then its beginning comes with a mark that says so.
"""

from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

from handiwork.quantities import counted

BYTES_PER_TOKEN = 4
PLAIN = "text/plain"


class Source(Protocol):
    """Content that can be read from anywhere in it."""

    @property
    def size(self) -> int: ...

    def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield `length` bytes from `offset` on, or all that follow; closed early when no more are needed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A part of some content, as text."""

    text: str
    media_type: str
    continuation: str | None = None
    """The selector of what follows: the rest of what was asked for, after that as much again; None at the end."""
    total: int | None = None
    """How many lines, rows, elements or matches there are in all, where that was found out on the way."""
    is_cut: bool = False
    """Whether the budget left out some of what was asked for."""

    @property
    def tokens(self) -> int:
        return estimate_tokens(self.text)


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a model reads the text as: one for each four bytes of UTF-8, rounded up.

    Measured on prose and code the tokenizers of the day come close to this; tables of digits take up to twice as many.
    """
    return -(-utf8_size(text) // BYTES_PER_TOKEN)


def utf8_size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def beginning_of(text: str, room: int) -> str:
    """Return as many whole characters from the start as `room` bytes hold."""
    return text.encode("utf-8", "surrogatepass")[: max(room, 0)].decode("utf-8", "ignore")


def shortened(text: str, *, room: int, size: int) -> str:
    """Return the beginning of a text that is too large, with a mark that tells its whole `size`, in `room` bytes."""
    mark = f"…[cut: {counted(size, 'byte')} in all]"
    if utf8_size(mark) > room:
        return beginning_of(text, room)
    return beginning_of(text, room - utf8_size(mark)) + mark


@dataclass(frozen=True, slots=True)
class _Entry:
    text: str
    size: int
    is_shortened: bool


class Page:
    """Texts that fit into `room` bytes together: the first ones, or the last ones, of all that are added."""

    def __init__(self, *, room: int, between: str = "", keeps: Literal["first", "last"] = "first") -> None:
        self.room = room
        self.is_full = False
        self.is_cut = False
        self._between = between
        self._keeps = keeps
        self._entries: deque[_Entry] = deque()
        self._used = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(entry.text for entry in self._entries)

    @property
    def text(self) -> str:
        return self._between.join(self.texts)

    @property
    def has_shortened(self) -> bool:
        """Whether one was over the budget alone, so that what the page holds is no longer in its format."""
        return any(entry.is_shortened for entry in self._entries)

    def refuses(self, size: int) -> bool:
        """Tell whether there is no room for so much more; a page of the first ones then takes nothing any more."""
        if self._keeps == "first" and (self.is_full or (self._entries and self._cost(size) > self.room - self._used)):
            self.is_full = self.is_cut = True
            return True
        return False

    def add(self, text: str, *, size: int | None = None) -> bool:
        """Add a text, or only the beginning of one of `size` bytes; tell whether it was taken.

        A page of the first ones takes nothing more from the first one on that does not fit.
        """
        entry = self._entry(text, size)
        if self.refuses(entry.size):
            return False
        self._used += self._cost(entry.size)
        self._entries.append(entry)
        if entry.is_shortened:
            self.is_cut = True
            self.is_full = self._keeps == "first"
        while self._used > self.room and len(self._entries) > 1:
            self._used -= self._entries.popleft().size + len(self._between)
            self.is_cut = True
        return True

    def _entry(self, text: str, size: int | None) -> _Entry:
        held = utf8_size(text)
        if size is None and held <= self.room:
            return _Entry(text, held, is_shortened=False)
        # It counts as all of the room, so that nothing comes beside it.
        return _Entry(shortened(text, room=self.room, size=size or held), self.room, is_shortened=True)

    def _cost(self, size: int) -> int:
        return size + (len(self._between) if self._entries else 0)
