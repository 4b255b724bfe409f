"""Random access to bytes of known size. Where the bytes lie, in a file or a store, is not known here."""

from dataclasses import dataclass
from typing import Protocol


class Readable(Protocol):
    """Content that can be read anywhere without being loaded as a whole."""

    @property
    def size(self) -> int:
        """The number of bytes in all."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, fewer than `length` only where the content ends."""
        ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """Content that is already a bytes object."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]
