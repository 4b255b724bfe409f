"""The ZIP of an export as it grows: how an entry is headed, and where bytes and text wait until they are wanted.

Which entries there are, and what is in them, is known to `bundle`.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

from handiwork.model import KIB, MIB

_CHUNK_BYTES = MIB
_FIRST_YEAR, _LAST_YEAR = 1980, 2107
_FIRST_MOMENT = (_FIRST_YEAR, 1, 1, 0, 0, 0)
_HARD, _LIGHT, _NOT_AT_ALL = 6, 1, 0
_SAMPLE_BYTES = 16 * KIB
_WORTHWHILE = 0.95


def entry_info(path: str, moment: datetime | None, *, size: int = 0, level: int = _HARD) -> zipfile.ZipInfo:
    """Return the head of an entry; `size` is that of its content in bytes, as far as it is known."""
    info = zipfile.ZipInfo(path, _stamp(moment))
    # Heads are told by the state alone, not by the machine.
    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    # Deflated also where that gains nothing: its end is told by itself, for those who unpack it while it comes.
    info.compress_type = zipfile.ZIP_DEFLATED
    info.file_size = size
    info._compresslevel = level  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]  # it gets a name of its own with Python 3.13
    return info


def level_for(beginning: bytes) -> int:
    """Return how hard to try to make content smaller that begins like this; what is packed already costs time only."""
    sample = beginning[:_SAMPLE_BYTES]
    packed = len(zlib.compress(sample, _LIGHT))
    if packed > _WORTHWHILE * len(sample):
        return _NOT_AT_ALL
    return _HARD if packed < len(sample) // 2 else _LIGHT


class Outlet:
    """What the ZIP is written into: it keeps the bytes until they are taken, and cannot go back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Keep what was written, as ever."""

    def close(self) -> None:
        """Keep what was written, as ever."""

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class Waiting:
    """Text that grows until its place in the ZIP comes, deflated meanwhile; `size` is that of the text in bytes."""

    def __init__(self) -> None:
        self.size = 0
        self._deflating = zlib.compressobj()
        self._pieces: list[bytes] = []

    def add(self, text: str) -> None:
        data = text.encode()
        self.size += len(data)
        if piece := self._deflating.compress(data):
            self._pieces.append(piece)

    def chunks(self) -> Iterator[bytes]:
        """Yield all of it, once, in chunks of a bounded size."""
        inflating = zlib.decompressobj()
        for piece in (*self._pieces, self._deflating.flush()):
            waiting = piece
            while waiting:
                if chunk := inflating.decompress(waiting, _CHUNK_BYTES):
                    yield chunk
                waiting = inflating.unconsumed_tail
        if rest := inflating.flush():
            yield rest


def _stamp(moment: datetime | None) -> tuple[int, int, int, int, int, int]:
    """Return a time as a ZIP has it, in UTC."""
    utc = None if moment is None else moment.astimezone(UTC)
    if utc is None or not _FIRST_YEAR <= utc.year <= _LAST_YEAR:
        return _FIRST_MOMENT
    return utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second
