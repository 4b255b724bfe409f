"""The processes that share a data folder: who lives, who is gone. What the dead have left undone is told elsewhere.

Each process has a folder of its own, `<folder>/<owner id>/`, for what it is in the middle of, and holds the file `lock`
in it locked as long as it lives. The kernel lets go of the lock when a process ends, however it ends, so a lock that
can be taken belongs to the dead; process numbers, which are given anew, are not asked. Ids are never used twice.

Registering, looking for the dead and removing their folders happen under one lock of all, `<folder>/.lock`, so nobody
sees a folder whose lock is not held yet, or locks a file that is being removed. It is held for a few calls at a time.

After a crash the order is: `abandoned`, then declare what its owners were doing lost, then `sweep`. A process that
dies in between lets go of what it held, and the next one does it all again.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType

from handiwork.errors import StorageFailed, StorageFull
from handiwork.ids import BASE36, nanoid
from handiwork.store.failures import system_failure
from handiwork.store.file_operations import FileOperations, OperatingSystem
from handiwork.store.folders import make_folders, remove_tree

DEADLINE_SECONDS = 10.0
_POLL_SECONDS = 0.01
_LOCK_OF_ALL = ".lock"
_LOCK = "lock"


def _new_id() -> str:
    return nanoid(alphabet=BASE36, below=secrets.randbelow)


class Owners:
    """A context in which this process is one of the owners. Every call blocks; none waits longer than the deadline.

    Each may raise `StorageFailed` or `StorageFull`. A child that is forked and not made a program of its own keeps
    its parent alive in the eyes of the others. To be used by one thread at a time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        files: FileOperations | None = None,
        new_id: Callable[[], str] = _new_id,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self.id = new_id()
        self._all = folder.absolute()
        self._files = files or OperatingSystem()
        self._deadline_seconds = deadline_seconds
        self._locks: dict[str, int] = {}

    @property
    def folder(self) -> Path:
        """The folder of this process, for its drafts."""
        return self._all / self.id

    def __enter__(self) -> "Owners":
        with self._os_errors_as_ours():
            make_folders(self._all, self._files)
            with self._one_at_a_time():
                self._files.make_folder(self.folder)
                try:
                    self._locks[self.id] = self._files.lock(self.folder / _LOCK)
                except BaseException:
                    with contextlib.suppress(OSError):
                        self.folder.rmdir()
                    raise
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave, and let go of the dead. What cannot be removed is for the next sweep."""
        try:
            with contextlib.suppress(StorageFailed, StorageFull):
                self.sweep(self.id)
        finally:
            while self._locks:
                os.close(self._locks.popitem()[1])

    def living(self) -> frozenset[str]:
        """Return the owners that live, this one included.

        Whoever was an owner before this call and is not among them is gone for good.
        """
        with self._os_errors_as_ours(), self._one_at_a_time():
            living = {self.id}
            for owner in self._registered():
                if owner in self._locks:
                    continue
                if self._take(owner):
                    # Not kept: to the other processes it would look alive.
                    os.close(self._locks.pop(owner))
                else:
                    living.add(owner)
            return frozenset(living)

    def abandoned(self) -> list[str]:
        """Return the owners that are gone, and hold each of them: no other process is told of them meanwhile."""
        with self._os_errors_as_ours(), self._one_at_a_time():
            for owner in self._registered():
                self._take(owner)
        return sorted(self._locks.keys() - {self.id})

    def sweep(self, owner: str) -> None:
        """Remove the drafts and the folder of an owner that `abandoned` has told of; to be done last."""
        if owner not in self._locks:
            return
        folder = self._all / owner
        with self._os_errors_as_ours():
            # The lock goes last: until then the next process can do it all again.
            _remove_all_but(folder, _LOCK, self._files)
            with self._one_at_a_time():
                self._remove(folder)
        os.close(self._locks.pop(owner))

    def _registered(self) -> list[str]:
        """Every owner that has a lock. Without one nobody ever worked there, or somebody was about to remove it."""
        registered: list[str] = []
        for folder in sorted(self._all.iterdir()):
            if folder.name == _LOCK_OF_ALL or not folder.is_dir() or folder.is_symlink():
                continue
            if (folder / _LOCK).exists():
                registered.append(folder.name)
            else:
                self._remove(folder)
        return registered

    def _take(self, owner: str) -> bool:
        """Lock what a dead owner has left, and tell whether it is held by this process now."""
        if owner not in self._locks:
            try:
                self._locks[owner] = self._files.lock(self._all / owner / _LOCK)
            except BlockingIOError:
                return False
        return True

    def _remove(self, folder: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            _remove_all_but(folder, _LOCK, self._files)
            with contextlib.suppress(FileNotFoundError):
                self._files.remove(folder / _LOCK)
            self._files.remove_folder(folder)

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Generator[None]:
        path = self._all / _LOCK_OF_ALL
        descriptor = self._wait_for(path)
        try:
            with contextlib.suppress(OSError):  # only for the message of those who wait; a full disk may refuse it
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
            yield
        finally:
            os.close(descriptor)

    def _wait_for(self, path: Path) -> int:
        end = time.monotonic() + self._deadline_seconds
        while True:
            try:
                return self._files.lock(path)
            except BlockingIOError as error:
                if time.monotonic() >= end:
                    raise StorageFailed(str(path), self._held_by(path)) from error
            time.sleep(_POLL_SECONDS)

    def _held_by(self, path: Path) -> str:
        try:
            holder = path.read_bytes()[:20].decode("ascii", "replace") or "one that has not said which"
        except OSError:
            holder = "one that cannot be told"
        return f"process {holder} has held the lock for {self._deadline_seconds:g} s; see whether it hangs"

    @contextlib.contextmanager
    def _os_errors_as_ours(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise system_failure(error, where=str(self._all)) from error


def _remove_all_but(folder: Path, name: str, files: FileOperations) -> None:
    with os.scandir(folder) as entries:
        found = [(Path(e.path), e.is_dir(follow_symlinks=False)) for e in entries if e.name != name]
    for path, is_folder in found:
        if is_folder:
            remove_tree(path, files)
        else:
            files.remove(path)
