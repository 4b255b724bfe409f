"""The calls to the operating system that can lose data. In which order they must come is decided in `local_blobs`."""

import errno
import os
from pathlib import Path
from typing import Protocol

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


class FileOperations(Protocol):
    """One method a call, each raising `OSError` when it fails; a test passes its own and fails the n-th."""

    def create(self, path: Path) -> int:
        """Open a new file for writing, readable by its owner alone, and return its descriptor."""
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

    def make_folder(self, path: Path) -> None:
        """Make one folder, open to its owner alone. `FileExistsError` when there is one."""
        ...


class OperatingSystem:
    """The real calls."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

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

    def make_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700)


def _rename_to_free_name(draft: Path, target: Path) -> None:
    if target.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    draft.rename(target)
