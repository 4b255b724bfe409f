"""One blob of the local disk that is being read. What it is, and whether it may be read, is not known here.

To ask a thread takes longer than to copy what is in memory. So what was put or read lately is asked for where the event
loop runs, in a way that never waits for the disk: its folders are known to the kernel, and of its bytes those come that
are in memory. All else is for a thread.
"""

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
# What is in memory, or nothing; only Linux can be asked so, and not for the files of each file system.
_WITHOUT_WAITING: int | None = getattr(os, "RWF_NOWAIT", None)


class Lately:
    """The keys that were put or read last: the way to them is in memory."""

    def __init__(self, most: int = REMEMBERED_KEYS) -> None:
        self._most = most
        self._keys: OrderedDict[BlobKey, None] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, key: BlobKey) -> None:
        with self._lock:
            self._keys[key] = None
            self._keys.move_to_end(key)
            if len(self._keys) > self._most:
                self._keys.popitem(last=False)

    def __contains__(self, key: BlobKey) -> bool:
        return key in self._keys


class Reader:
    """Reads one blob, or a part of it; opened with the first read and closed with the last one."""

    def __init__(self, path: Path, *, key: BlobKey, offset: int, length: int | None) -> None:
        self._path, self._key, self._offset, self._length = path, key, offset, length
        self._left = 0
        self._descriptor: int | None = None
        self.is_through = False

    def read(self) -> bytes:
        """Return the next chunk, which may wait for the disk; the last one may be empty.

        Raises:
            BlobNotFound: nothing is stored there.
            OSError: what the system refuses.
        """
        descriptor = self._opened()
        return self._taken(os.pread(descriptor, min(self._left, CHUNK_BYTES), self._offset))

    def read_at_hand(self) -> bytes:
        """Return what comes next as far as it is in memory and not long, and nothing where `read` is to be asked.

        Raises as `read` does.
        """
        descriptor = self._opened()
        if _WITHOUT_WAITING is None or not 0 < self._left <= READ_HERE_BYTES:
            return b""
        chunk = bytearray(self._left)
        try:
            length = os.preadv(descriptor, [chunk], self._offset, _WITHOUT_WAITING)
        except OSError:
            # It would have to wait, or cannot tell. If something is wrong, whoever waits for it is told.
            return b""
        return self._taken(bytes(memoryview(chunk)[:length])) if length else b""

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
            descriptor = self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BlobNotFound(self._key) from error
        facts = os.fstat(descriptor)
        # Nothing else was ever put here, and of a pipe nobody knows whether it ends.
        if not stat.S_ISREG(facts.st_mode):
            raise BlobNotFound(self._key)
        left = max(0, facts.st_size - self._offset)
        self._left = left if self._length is None else min(left, self._length)
        return descriptor
