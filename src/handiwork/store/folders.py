"""Folders that are still there after the loss of power. What is put into them is not known here.

A file is found after a crash when every folder from its own up to the root holds the entry below it on the disk, so
each of them must be synced once after that entry was made. `Folders` leaves out the syncs that have been done. Which
those are is the question, because several processes work below one root: a folder that was there before may have been
made a moment ago by a process that has not synced it yet, and one that we have synced may have been removed since and
made anew. A path therefore proves nothing, and neither do the numbers that `stat` gives for it: the file system hands
the number of a removed folder to the next one, and a folder's change time moves with each entry in it.

What proves it is a descriptor kept open. As long as it is open the number cannot be given to another folder, so when
the path leads to that number, it leads to the folder we have seen. We open each folder *before* we sync any; if one
was replaced in between, the numbers differ the next time and the sync is done again. Nobody renames a folder here,
so a folder that is the same has lain in its parent all the time, which could not be removed meanwhile either: one
folder that is known to be settled settles all above it. A new file's own folder is always synced, the climb begins
after the file has its name, and while it has that name nobody can remove a folder above it. What is not kept, because
the number of descriptors is bounded or because a sync has failed, is synced again, which costs time and nothing else.

No use is made of what one file system happens to promise beyond this (ext4 commits all folders with any of them).
"""

import contextlib
import itertools
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from handiwork.store.file_operations import FileOperations
from handiwork.store.syncs import Ended, Syncs

REMEMBERED_FOLDERS = 64
REMOVED_AT_ONCE = 4
MANY = 64
"""From so many entries on, it is worth while to begin threads."""


class Folders:
    """Makes the folders below `root` and settles them: what was settled before is known and not synced again."""

    def __init__(
        self, root: Path, files: FileOperations, *, syncs: Syncs | None = None, remembered: int = REMEMBERED_FOLDERS
    ) -> None:
        self._root, self._files, self._most = root, files, remembered
        self._syncs = syncs or Syncs(files, helpers=0)
        self._settled: OrderedDict[Path, int] = OrderedDict()
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._settled)

    def close(self) -> None:
        """Let go of what is remembered; it is found out anew when it is needed."""
        with self._lock:
            _close_all(self._settled)

    def make(self, path: Path) -> None:
        """Make `path` and what is missing above it. Nothing is synced before `settle`."""
        # Mostly the lowest is missing, and trying costs less than asking; below one that we do not know, both.
        parent = path.parent
        with self._lock:
            is_known = parent in self._settled
        if not is_known:
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                self._files.make_folder(parent)
        try:
            self._files.make_folder(path)
        except FileNotFoundError:
            if path == path.parent:
                raise
            self.make(path.parent)
            self.make(path)
        except FileExistsError:
            pass

    def settle_root(self) -> None:
        """Make the root; return when its entry and those above it are on the disk, as far as we may look there."""
        if self._is_settled(self._root):
            return
        make_folders(self._root, self._files)
        descriptor = self._files.open_folder(self._root)
        try:
            device = self._root.stat().st_dev
            for folder in self._root.parents:
                if folder.stat().st_dev != device or not os.access(folder, os.R_OK):
                    break
                sync_folder(folder, self._files)
        except BaseException:
            os.close(descriptor)
            raise
        self._remember([(self._root, descriptor)])

    def settle(self, path: Path, *files: int) -> None:
        """Return when `files`, what is in `path` now, and every folder's entry from there up, are on the disk."""
        opened = self._opened(path)
        is_settled = False
        try:
            self._syncs.all([*files, *(descriptor for _, descriptor in opened)])
            is_settled = True
        finally:
            self._let_go(opened, is_settled=is_settled)

    def begin_to_settle(self, path: Path, *files: int, ended: Ended) -> None:
        """Do as `settle`, but call `ended` at the end of it, with what has gone wrong if anything has.

        That may be in another thread, or before this returns.
        """
        opened = self._opened(path)

        def let_go(failure: BaseException | None) -> None:
            try:
                self._let_go(opened, is_settled=failure is None)
            except OSError as error:
                failure = failure or error
            ended(failure)

        self._syncs.begin([*files, *(descriptor for _, descriptor in opened)], let_go)

    def _opened(self, path: Path) -> Sequence[tuple[Path, int]]:
        """Open what is to be synced, all before any is: each is then the very one whose entry the next one settles."""
        opened: list[tuple[Path, int]] = []
        try:
            opened.extend((folder, self._files.open_folder(folder)) for folder in self._unsettled(path))
            self.settle_root()
        except BaseException:
            self._let_go(opened, is_settled=False)
            raise
        return opened

    def _let_go(self, opened: Sequence[tuple[Path, int]], *, is_settled: bool) -> None:
        # A folder counts as settled when all above it are. Content has the lowest one for itself, so that is not asked
        # for again, and the highest was known before.
        learned = opened[1:-1] if is_settled else ()
        for each in opened:
            if each not in learned:
                os.close(each[1])
        self._remember(learned)

    def _unsettled(self, path: Path) -> Iterator[Path]:
        """Yield `path`, and those above it up to the first one that is settled."""
        for folder in _upwards(path):
            yield folder
            if folder == self._root or self._is_settled(folder):
                return

    def _is_settled(self, folder: Path) -> bool:
        with self._lock:
            descriptor = self._settled.get(folder)
            if descriptor is None:
                return False
            self._settled.move_to_end(folder)
            try:
                found = folder.lstat()
            except FileNotFoundError:
                return False
            known = os.fstat(descriptor)
            return (known.st_dev, known.st_ino) == (found.st_dev, found.st_ino)

    def _remember(self, climbed: Sequence[tuple[Path, int]]) -> None:
        with self._lock:
            for folder, descriptor in reversed(climbed):
                if (earlier := self._settled.pop(folder, None)) is not None:
                    os.close(earlier)
                self._settled[folder] = descriptor
            while len(self._settled) > self._most:
                _, oldest = self._settled.popitem(last=False)
                os.close(oldest)


def make_folders(path: Path, files: FileOperations) -> None:
    """Make `path` and what is missing above it; each new folder's entry in its parent is synced."""
    for folder in reversed(_missing(path)):
        with contextlib.suppress(FileExistsError):
            files.make_folder(folder)
            sync_folder(folder.parent, files)


def sync_folder(path: Path, files: FileOperations) -> None:
    descriptor = files.open_folder(path)
    try:
        files.sync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(folder: Path, files: FileOperations, *, at_once: int = REMOVED_AT_ONCE) -> None:
    """Remove a folder with everything in it; a link in it is removed and not followed.

    Where many lie in one folder, `at_once` of them are removed at a time: one after the other, each waits for the file
    system, and five thousand took ten times as long.

    `FileNotFoundError` when someone else is removing it too, and `OSError` when someone puts something into it.
    """
    with os.scandir(folder) as entries:
        found = [(Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in entries]
    if len(found) < MANY or at_once == 1:
        for path, is_folder in found:
            _remove(path, files, is_folder=is_folder, at_once=at_once)
    else:
        with ThreadPoolExecutor(at_once, thread_name_prefix="handiwork-remove") as threads:
            removing = [
                threads.submit(_remove, path, files, is_folder=is_folder, at_once=1) for path, is_folder in found
            ]
        for each in removing:
            each.result()
    files.remove_folder(folder)


def _remove(path: Path, files: FileOperations, *, is_folder: bool, at_once: int) -> None:
    if is_folder:
        remove_tree(path, files, at_once=at_once)
    else:
        files.remove(path)


def _upwards(path: Path) -> Iterator[Path]:
    # Mostly the first few are all that is asked for.
    return itertools.chain([path], path.parents)


def _missing(path: Path) -> list[Path]:
    missing: list[Path] = []
    for folder in _upwards(path):
        if folder.is_dir():
            break
        missing.append(folder)
    return missing


def _close_all(settled: OrderedDict[Path, int]) -> None:
    while settled:
        os.close(settled.popitem()[1])
