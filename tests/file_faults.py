"""The real calls to the operating system, noted down, with room for a fault before each."""

import contextlib
import os
import threading
from pathlib import Path

from handiwork.store.file_operations import OperatingSystem


class Watched:
    """Notes each call with the path it was about."""

    def __init__(self) -> None:
        self._real = OperatingSystem()
        self.calls: list[tuple[str, Path]] = []

    def before(self, call: str, path: Path) -> None:
        self.calls.append((call, path))

    def create(self, path: Path) -> int:
        self.before("create", path)
        return self._real.create(path)

    def create_nameless(self, folder: Path) -> int:
        self.before("create", folder)
        return self._real.create_nameless(folder)

    def write(self, descriptor: int, data: memoryview) -> int:
        self.before("write", _path_of(descriptor))
        return self._real.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self.before("sync", _path_of(descriptor))
        self._real.sync(descriptor)

    def publish(self, draft: Path, target: Path) -> None:
        self.before("publish", target)
        self._real.publish(draft, target)

    def publish_nameless(self, descriptor: int, target: Path) -> None:
        self.before("publish", target)
        self._real.publish_nameless(descriptor, target)

    def make_folder(self, path: Path) -> None:
        self.before("make_folder", path)
        self._real.make_folder(path)

    def open_folder(self, path: Path) -> int:
        self.before("open_folder", path)
        return self._real.open_folder(path)

    def remove(self, path: Path) -> None:
        self.before("remove", path)
        self._real.remove(path)

    def remove_folder(self, path: Path) -> None:
        self.before("remove_folder", path)
        self._real.remove_folder(path)

    def lock(self, path: Path) -> int:
        self.before("lock", path)
        return self._real.lock(path)

    def allocate(self, descriptor: int, size: int) -> None:
        self.before("allocate", _path_of(descriptor))
        self._real.allocate(descriptor, size)

    def truncate(self, descriptor: int, size: int) -> None:
        self.before("truncate", _path_of(descriptor))
        self._real.truncate(descriptor, size)


class FailsOnce(Watched):
    """Fails the n-th call, as SQLite's own tests do."""

    def __init__(self, n: int, code: int) -> None:
        super().__init__()
        self._n, self._code, self._made = n, code, 0
        self._lock = threading.Lock()

    def before(self, call: str, path: Path) -> None:
        super().before(call, path)
        # Some calls are made by several threads at once.
        with self._lock:
            self._made += 1
            is_it = self._made == self._n
        if is_it:
            raise OSError(self._code, os.strerror(self._code))

    @property
    def has_failed(self) -> bool:
        return self._made >= self._n


class HasNoNamelessFiles(OperatingSystem):
    """As on file systems where a file must have a name from the start."""

    def create_nameless(self, folder: Path) -> int:
        raise NotImplementedError(str(folder))


class FailsOnceWithoutNamelessFiles(FailsOnce):
    """The same faults on a file system where a file must have a name from the start."""

    def create_nameless(self, folder: Path) -> int:
        raise NotImplementedError(str(folder))


def _path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def open_below(root: Path) -> int:
    """Return how many descriptors lead to a folder or to what is in it; others come and go with the process."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        # The one that they are listed by is closed again.
        with contextlib.suppress(FileNotFoundError):
            count += descriptor.readlink().is_relative_to(root)
    return count
