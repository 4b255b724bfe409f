"""Room on the disk, kept for the day when it is full. When that is, and what is deleted then, is not known here.

Deleting needs room too: the database writes its log first. So a file holds some, and gives it up when nothing else is
left. The file stays where it is, empty after `release`: cutting it frees the room at once, even if another process
has it open, and there is never a moment at which two processes mean different files.
"""

import contextlib
import errno
import os
import time
from collections.abc import Generator
from pathlib import Path

from handiwork.errors import StorageFailed
from handiwork.store.failures import system_failure
from handiwork.store.file_operations import FileOperations, OperatingSystem
from handiwork.store.folders import make_folders, sync_folder

RESERVE_BYTES = 16 * 1024 * 1024
LEAST_BYTES = 256 * 1024
DEADLINE_SECONDS = 10.0
_POLL_SECONDS = 0.01
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BLOCK_BYTES = 512


class Reserve:
    """One file of `size` bytes that may be shared between processes. Every call blocks, for the deadline at most.

    Each may raise `StorageFailed`.
    """

    def __init__(
        self,
        path: Path,
        size: int = RESERVE_BYTES,
        *,
        files: FileOperations | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._path, self._size = path.absolute(), size
        self._files = files or OperatingSystem()
        self._deadline_seconds = deadline_seconds

    def stands(self) -> bool:
        """Tell whether there is anything to release."""
        with self._os_errors_as_ours():
            return self._taken() > 0

    def establish(self) -> int:
        """Take the room, or half of it, and so on down to 256 KiB; return how many bytes are held, 0 if there are none.

        What stands already is kept and made larger if it can be. A file system that takes the room and reports none,
        as some that compress do, is believed until it says that it is full. Not to be called while room is being made.
        """
        with self._os_errors_as_ours():
            try:
                make_folders(self._path.parent, self._files)
                with self._locked() as descriptor:
                    self._grow(descriptor)
                    self._files.sync(descriptor)
                sync_folder(self._path.parent, self._files)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
            return self._taken()

    def release(self) -> bool:
        """Give up the room, if there is any; after that it is free for everybody. Tell whether there was any."""
        with self._os_errors_as_ours():
            if not self._taken():
                return False
            with self._locked() as descriptor:
                self._files.truncate(descriptor, 0)
                # A file system may keep freed blocks until the change is on the disk.
                self._files.sync(descriptor)
        return True

    def _grow(self, descriptor: int) -> None:
        wanted = self._size
        before = self._held()
        while wanted > before and (wanted >= LEAST_BYTES or wanted == self._size):
            try:
                self._files.allocate(descriptor, wanted)
            except OSError as error:
                self._files.truncate(descriptor, before)
                if error.errno not in _NO_ROOM:
                    raise
                wanted //= 2
            else:
                return

    def _taken(self) -> int:
        """How many bytes were taken and not given up, as far as the disk says.

        One that reports no room at all may not count it: then what was taken without an error counts.
        """
        return self._held() or self._length()

    def _held(self) -> int:
        """How many bytes the disk reports to hold for us."""
        facts = self._facts()
        return min(facts.st_size, facts.st_blocks * _BLOCK_BYTES) if facts is not None else 0

    def _length(self) -> int:
        facts = self._facts()
        return facts.st_size if facts is not None else 0

    def _facts(self) -> os.stat_result | None:
        try:
            return self._path.stat()
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _locked(self) -> Generator[int]:
        descriptor = self._wait_for_lock()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _wait_for_lock(self) -> int:
        end = time.monotonic() + self._deadline_seconds
        while True:
            try:
                return self._files.lock(self._path)
            except BlockingIOError as error:
                if time.monotonic() >= end:
                    why = f"another process has held it for {self._deadline_seconds:g} s"
                    raise StorageFailed(str(self._path), why) from error
            time.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def _os_errors_as_ours(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise system_failure(error, where=str(self._path)) from error
