"""The calls to the operating system that can lose data. In which order they must come is decided by who makes them."""

import errno
import fcntl
import functools
import os
import sys
from pathlib import Path
from typing import Protocol

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})
_OPEN_DESCRIPTORS = "/proc/self/fd"


class FileOperations(Protocol):
    """One method a call, each raising `OSError` when it fails; a test passes its own and fails the n-th."""

    def create(self, path: Path) -> int:
        """Open a new file for writing, readable by its owner alone, and return its descriptor."""
        ...

    def create_nameless(self, folder: Path) -> int:
        """As `create`, but the file has no name in `folder` yet and is gone with its descriptor.

        `NotImplementedError` where the system or the file system has no such files.
        """
        ...

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some of `data` and return how many bytes."""
        ...

    def sync(self, descriptor: int) -> None:
        """Return when the file or folder is on the disk."""
        ...

    def publish(self, draft: Path, target: Path) -> None:
        """Give a finished file its name, in one step; the name of the draft may stay beside it.

        `FileExistsError` when the name is taken.
        """
        ...

    def publish_nameless(self, descriptor: int, target: Path) -> None:
        """Give a finished file of `create_nameless` its name, in one step.

        `FileExistsError` when the name is taken, `NotImplementedError` where there are no hard links.
        """
        ...

    def make_folder(self, path: Path) -> None:
        """Make one folder, open to its owner alone. `FileExistsError` when there is one."""
        ...

    def open_folder(self, path: Path) -> int:
        """Return a descriptor of a folder, to sync it."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file's name."""
        ...

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        ...

    def lock(self, path: Path) -> int:
        """Open a file, made when it is missing, and hold it locked until the descriptor is closed.

        `BlockingIOError` when it is held already.
        """
        ...

    def allocate(self, descriptor: int, size: int) -> None:
        """Take room on the disk for the first `size` bytes of a file, and make it at least as long."""
        ...

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file to `size` bytes and give back the room behind them."""
        ...


class OperatingSystem:
    """The real calls."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def create_nameless(self, folder: Path) -> int:
        if not _has_open_descriptors():
            raise NotImplementedError
        try:
            return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in _NO_NAMELESS_FILES:
                raise NotImplementedError from error
            raise

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def publish(self, draft: Path, target: Path) -> None:
        # A rename would replace what another process has put there meanwhile; a link never does.
        try:
            os.link(draft, target)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            _rename_to_free_name(draft, target)

    def publish_nameless(self, descriptor: int, target: Path) -> None:
        try:
            # Only with a folder given does `os.link` follow the link in /proc; the path is absolute, so any will do.
            os.link(f"{_OPEN_DESCRIPTORS}/{descriptor}", target, src_dir_fd=descriptor, follow_symlinks=True)
        except OSError as error:
            if error.errno in _NO_HARD_LINKS:
                raise NotImplementedError from error
            raise

    def make_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700)

    def open_folder(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def remove(self, path: Path) -> None:
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        path.rmdir()

    def lock(self, path: Path) -> int:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def allocate(self, descriptor: int, size: int) -> None:
        if sys.platform == "linux":
            os.posix_fallocate(descriptor, 0, size)
        else:
            _fill(descriptor, size)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)


@functools.cache
def _has_open_descriptors() -> bool:
    return sys.platform == "linux" and Path(_OPEN_DESCRIPTORS).is_dir()


def _rename_to_free_name(draft: Path, target: Path) -> None:
    if target.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    draft.rename(target)


def _fill(descriptor: int, size: int) -> None:
    """Write what cannot be compressed away: the system has no call that only takes the room."""
    step = 256 * 1024
    for offset in range(os.fstat(descriptor).st_size, size, step):
        data = os.urandom(min(step, size - offset))
        while data:
            data = data[os.pwrite(descriptor, data, min(size, offset + step) - len(data)) :]
