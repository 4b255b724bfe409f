"""Content on its way into a blob: a nameless file until `commit` gives it its name. Whose it is, is not known here.

Where the file system has them, drafts are nameless files: a process that dies leaves nothing, and there is no second
name to remove. Elsewhere a draft has a name in the drafts' folder, which `owners` sweeps after a crash. Why a link and
no rename: a rename that replaces nothing (`renameat2`) is not everywhere, was no faster where measured, and leaves
the draft of a process that was killed.

The calls block; `local_blobs` makes them one after the other, in one thread or in several.
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from handiwork.store.blobs import CHUNK_BYTES
from handiwork.store.file_operations import FileOperations
from handiwork.store.folders import Folders, make_folders
from handiwork.store.syncs import Ended

PUBLISH_ATTEMPTS = 3
MOST_AHEAD = 4


@dataclass(slots=True, kw_only=True)
class Place:
    """Where drafts are made and published. `has_nameless` is None until it was tried."""

    folder: Path
    folders: Folders
    files: FileOperations
    new_name: Callable[[], str]
    has_nameless: bool | None = field(default=None, init=False)
    _ahead: deque[int] = field(default_factory=deque[int], init=False)
    _is_closed: bool = field(default=False, init=False)

    def nameless(self) -> int:
        """Return the descriptor of a nameless file, one that was made ahead if there is one."""
        try:
            return self._ahead.popleft()
        except IndexError:
            return self.files.create_nameless(self.folder)

    def make_ahead(self) -> None:
        """Make a nameless file for a later draft, unless there are enough.

        To make a file can take longer than to write it: a file system that has just removed many looks at each of them
        before it takes a new one.
        """
        if self._is_closed or not self.has_nameless or len(self._ahead) >= MOST_AHEAD:
            return
        # Whoever needs one and has none finds out for himself.
        with contextlib.suppress(OSError, NotImplementedError):
            self._ahead.append(self.files.create_nameless(self.folder))

    def close(self) -> None:
        self._is_closed = True
        self.folders.close()
        with contextlib.suppress(IndexError):
            while True:
                os.close(self._ahead.popleft())

    def prepare(self) -> None:
        """Make the folder of the drafts, and find out whether files can be made without a name and get one later."""
        self.folders.settle_root()
        if not self.folder.is_dir():
            make_folders(self.folder, self.files)
        if self.has_nameless is None:
            self.has_nameless = self._try_nameless()

    def _try_nameless(self) -> bool:
        trial = self.folder / self.new_name()
        try:
            descriptor = self.files.create_nameless(self.folder)
            try:
                self.files.publish_nameless(descriptor, trial)
            finally:
                os.close(descriptor)
            self.files.remove(trial)
        except NotImplementedError:
            return False
        finally:
            with contextlib.suppress(OSError):
                trial.unlink()
        return True


class Draft:
    """One `put`: written, then committed, or withdrawn at any time."""

    def __init__(self, place: Place) -> None:
        self._place, self._files = place, place.files
        self._descriptor: int | None = None
        self._name: Path | None = None
        self._target: Path | None = None
        self._is_published = False

    def write(self, *parts: bytes | bytearray) -> None:
        descriptor = self._begun()
        for part in parts:
            for start in range(0, len(part), CHUNK_BYTES):
                piece = memoryview(part)[start : start + CHUNK_BYTES]
                while piece:
                    piece = piece[self._files.write(descriptor, piece) :]

    def commit(self, target: Path) -> None:
        """Make what was written durable under the name `target`. `FileExistsError` when the name is taken."""
        self._place.folders.settle(target.parent, self._named(target))
        self.end()

    def begin_to_commit(self, target: Path, ended: Ended) -> None:
        """Do as `commit`, but have the disk waited for in other threads.

        One of them calls `ended`, or this one before it returns: with None, and then `end` has to be called, or with
        what has gone wrong, and then `withdraw`.
        """
        self._place.folders.begin_to_settle(target.parent, self._named(target), ended=ended)

    def end(self) -> None:
        """Let go of what is durable now."""
        self._close()
        self._forget_name()

    def withdraw(self) -> None:
        """Remove what was written, as far as the system lets us; the error that led here is the one that counts."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            self._forget_name()
        if self._target is None:
            return
        if self._is_published:
            with contextlib.suppress(OSError):
                self._target.unlink()
        # The folders of version and artifact, unless something else is in them; a writer that meets this copes.
        with contextlib.suppress(OSError):
            self._target.parent.rmdir()
            self._target.parent.parent.rmdir()

    def _named(self, target: Path) -> int:
        """Give it its name and return its descriptor.

        The name comes first, so that file and folders can be synced together. Until all of them are, nobody has heard
        of it: what a crash leaves under it is an orphan like any other.
        """
        descriptor = self._begun()
        self._target = target
        self._place.folders.make(target.parent)
        self._publish(descriptor, target)
        return descriptor

    def _begun(self) -> int:
        if self._descriptor is None:
            try:
                self._begin()
            except FileNotFoundError:
                # The folder of the drafts, which is made when it is first needed and may be removed by anybody.
                self._place.prepare()
                self._begin()
        assert self._descriptor is not None
        return self._descriptor

    def _begin(self) -> None:
        if self._place.has_nameless is None:
            self._place.prepare()
        if self._place.has_nameless:
            self._descriptor = self._place.nameless()
        else:
            self._name = self._place.folder / self._place.new_name()
            self._descriptor = self._files.create(self._name)

    def _publish(self, descriptor: int, target: Path) -> None:
        for attempt in range(1, PUBLISH_ATTEMPTS + 1):
            try:
                if attempt > 1:
                    self._place.folders.make(target.parent)
                if self._name is None:
                    self._files.publish_nameless(descriptor, target)
                else:
                    self._files.publish(self._name, target)
            except FileNotFoundError:
                # Someone removed the folder between the two calls.
                if attempt == PUBLISH_ATTEMPTS:
                    raise
            else:
                self._is_published = True
                return

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _forget_name(self) -> None:
        if self._name is not None:
            self._name.unlink(missing_ok=True)
