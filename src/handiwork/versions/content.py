"""Content that is already in reach: bytes in memory, or a file of the host. Nothing is stored here."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from handiwork.errors import InputNotFound

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bytes:
    """Content held in memory."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    async def chunks(self) -> AsyncIterator[bytes]:
        for offset in range(0, len(self.data), CHUNK_BYTES):
            yield self.data[offset : offset + CHUNK_BYTES]


@dataclass(frozen=True, slots=True)
class HostFile:
    """Content of a regular file, read when it is needed."""

    path: Path
    size: int

    @classmethod
    def at(cls, path: Path) -> "HostFile":
        """Return the file, or raise `InputNotFound` for what is no readable regular file."""
        try:
            size = path.stat().st_size
        except OSError as refused:
            raise InputNotFound(str(path), refused.strerror or "it cannot be read") from refused
        except ValueError as impossible:
            raise InputNotFound(repr(str(path)), "no file can have this name") from impossible
        if not path.is_file():
            raise InputNotFound(str(path), "it is not a regular file")
        if not os.access(path, os.R_OK):
            raise InputNotFound(str(path), "it is not readable")
        return cls(path, size)

    def read_at(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    async def chunks(self) -> AsyncIterator[bytes]:
        file = await asyncio.to_thread(self.path.open, "rb")
        try:
            left = self.size
            # A file that grows meanwhile is taken as it was when it was admitted.
            while left and (chunk := await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk
        finally:
            file.close()
