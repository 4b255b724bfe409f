"""One blob of the local disk that is being read. What it is, and whether it may be read, is not known here.

To ask a thread takes longer than to copy what is in memory. So the little that was put or read lately is opened where
the event loop runs, and its bytes are asked for in a way that does not wait for the disk. All else is for a thread.
"""

import errno
import os
import stat
import threading
from collections import OrderedDict
from pathlib import Path

from handiwork.errors import BlobNotFound
from handiwork.store.blobs import CHUNK_BYTES
from handiwork.store.keys import BlobKey

# Copying so much takes no longer than to ask a thread to.
READ_HERE_BYTES = 256 * 1024
REMEMBERED_KEYS = 1024
# Read what is in memory, or nothing. Linux has it, not for every file system.
_WITHOUT_WAITING: int | None = getattr(os, "RWF_NOWAIT", None)
_NOT_TO_BE_HAD = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
# Noting the time of a read would be a write, and that waits for its turn.
_NO_TIME_NOTED: int = getattr(os, "O_NOATIME", 0)


class Lately:
    """What little was put or read last: the folders above it are most likely in memory, and its bytes, too."""

    def __init__(self, most: int = REMEMBERED_KEYS) -> None:
        self._most = most
        self._keys: OrderedDict[BlobKey, None] = OrderedDict()
        self._lock = threading.Lock()
        self._is_of_use = _WITHOUT_WAITING is not None

    def note(self, key: BlobKey, *, size: int) -> None:
        if not self._is_of_use or size > READ_HERE_BYTES:
            return
        with self._lock:
            self._keys[key] = None
            self._keys.move_to_end(key)
            if len(self._keys) > self._most:
                self._keys.popitem(last=False)

    def __contains__(self, key: BlobKey) -> bool:
        return self._is_of_use and key in self._keys

    def give_up(self) -> None:
        """Know of nothing from now on: this file system cannot be asked without waiting."""
        self._is_of_use = False


class Reader:
    """Reads one blob, or a part of it; opened with the first read and closed with the last one."""

    def __init__(self, path: Path, *, key: BlobKey, offset: int, length: int | None, lately: Lately) -> None:
        self._path, self._key, self._offset, self._length, self._lately = path, key, offset, length, lately
        self._left = 0
        self._descriptor: int | None = None
        self.is_through = False

    def read(self) -> bytes:
        """Return the next chunk, for which the disk may be waited for; the last one may be empty.

        Raises:
            BlobNotFound: nothing is stored there.
            OSError: what the system refuses.
        """
        descriptor = self._opened()
        return self._taken(os.pread(descriptor, min(self._left, CHUNK_BYTES), self._offset))

    def read_at_hand(self) -> bytes | None:
        """Return what `read` would, or the part of it that is in memory; None where `read` is to be asked.

        Raises:
            BlobNotFound: nothing is stored there.
            OSError: it cannot be opened.
        """
        if _WITHOUT_WAITING is None or self._key not in self._lately:
            return None
        descriptor = self._opened()
        if self._left > READ_HERE_BYTES:
            return None
        chunk = bytearray(self._left)
        try:
            length = os.preadv(descriptor, [chunk], self._offset, _WITHOUT_WAITING) if chunk else 0
        except OSError as refused:
            if refused.errno in _NOT_TO_BE_HAD:
                self._lately.give_up()
            # If something else is wrong, `read` comes upon it, too.
            return None
        return self._taken(bytes(memoryview(chunk)[:length]))

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _taken(self, chunk: bytes) -> bytes:
        self._offset += len(chunk)
        self._left -= len(chunk)
        if not self._left or not chunk:
            self.is_through = True
            self.close()
        return chunk

    def _opened(self) -> int:
        if self._descriptor is not None:
            return self._descriptor
        try:
            descriptor = self._descriptor = _open(self._path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BlobNotFound(self._key) from error
        facts = os.fstat(descriptor)
        # Nothing else was ever put here, and of a pipe nobody knows whether it ends.
        if not stat.S_ISREG(facts.st_mode):
            raise BlobNotFound(self._key)
        self._lately.note(self._key, size=facts.st_size)
        left = max(0, facts.st_size - self._offset)
        self._left = left if self._length is None else min(left, self._length)
        return descriptor


def _open(path: Path) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags | _NO_TIME_NOTED)
    except PermissionError:
        # Only the owner may ask for that.
        return os.open(path, flags)
