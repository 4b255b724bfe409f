"""Folders of the host for jobs: where the root is mounted, where inputs wait, where the lower levels work.

Only names and rights are handled here; what is in the folders is the job's.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from handiwork.model import Level
from handiwork.sandbox import trees
from handiwork.sandbox.sandbox import Input

_PREFIX = "handiwork-jobs-"
_LOCK = "lock"
_GRACE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folders of one job. `work` exists at the lower levels only; at `full` it is a memory file system."""

    folder: Path

    @property
    def inputs(self) -> Path:
        return self.folder / "inputs"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def make(self, level: Level) -> None:
        for folder, mode in ((self.folder, 0o711), (self.inputs, 0o755)):
            folder.mkdir()
            folder.chmod(mode)
        if level != "full":
            self.work.mkdir(mode=0o700)
            (self.work / "inputs").symlink_to(self.inputs)

    async def fill(self, inputs: Sequence[Input]) -> None:
        """Put the inputs where the job can read them and nobody can change them."""
        for given in inputs:
            path = self.inputs / given.name
            with path.open("xb") as file:
                async for chunk in given.chunks():
                    await asyncio.to_thread(file.write, chunk)
            path.chmod(0o444)

    def remove(self) -> None:
        trees.remove(self.folder)


class Workspace:
    """The folder that holds the places of one sandbox. Those that a killed process left are removed on the way."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = _locked(self._folder)
        _sweep(before=self._folder.stat().st_mtime - _GRACE_SECONDS)
        # A job's user passes through to its own place and can list nothing.
        self._folder.chmod(0o711)
        self.root.mkdir()

    @property
    def root(self) -> Path:
        """An empty folder; each job mounts its own root over it, in a mount namespace of its own."""
        return self._folder / "root"

    def new_place(self) -> Place:
        """Return a place of its own; nothing of it exists yet."""
        return Place(folder=self._folder / secrets.token_hex(16))

    def close(self) -> None:
        _remove(self._folder)
        os.close(self._lock)


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(*, before: float) -> None:
    """Remove the folders of sandboxes whose process is gone: those that nobody holds locked for a while."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            facts = folder.stat(follow_symlinks=False)
            if facts.st_uid != os.geteuid() or facts.st_mtime > before or not (folder / _LOCK).exists():
                continue
            lock = _locked(folder)
            _remove(folder)
            os.close(lock)


def _remove(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name != _LOCK:  # the lock goes last: what is left without it would never be swept
            trees.remove(entry)
    trees.remove(folder)
