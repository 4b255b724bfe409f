"""What is found in text: fenced blocks, told by whichever rule found them. How they are found is not known here."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block: its info string, its body without the line end before the closing fence."""

    info: str
    body: str
    is_closed: bool
    """False is a block that ended with the text, or with the list or quote that it is in."""


class Rule(Protocol):
    """Finds blocks in text that comes in pieces: the same ones, however it is cut."""

    def feed(self, text: str) -> list[Block]:
        """Take the next piece and return the blocks that it ends."""
        ...

    def close(self) -> list[Block]:
        """Return the block that is still open, if it is one by this rule."""
        ...

    def outside(self) -> str:
        """Return the text that is in no block; it is whole after `close`."""
        ...
