"""Watching a job from outside where no control group does: memory of its processes, size of its folder.

Measures and reports; ending the job is the caller's.
"""

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SECONDS = 0.05
_MOST_PROCESSES = 4096


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Looks at one job until it passes a limit; None as limit means that it need not be looked at."""

    pid: int
    folder: int
    memory_bytes: int | None
    folder_bytes: int | None
    most_files: int
    peak_bytes: int = 0
    _base_bytes: int = 0

    async def begin(self) -> None:
        """Measure the preloaded interpreter; call it before the job gets its order."""
        if self.memory_bytes is not None:
            self._base_bytes = await asyncio.to_thread(memory_bytes, self.pid)

    async def look(self) -> Literal["out_of_memory", "output_too_large"]:
        """Return the limit that was passed; with nothing to look at, wait for ever."""
        if self.memory_bytes is None and self.folder_bytes is None:
            await asyncio.get_running_loop().create_future()
        while True:
            await asyncio.sleep(SECONDS)
            if self.memory_bytes is not None and await self._used_bytes() > self.memory_bytes:
                return "out_of_memory"
            if self.folder_bytes is not None:
                size, entries = await asyncio.to_thread(folder_bytes, self.folder, most_files=self.most_files)
                if size > self.folder_bytes or entries > self.most_files:
                    return "output_too_large"

    async def _used_bytes(self) -> int:
        files = filesystem_bytes(self.folder) if self.folder_bytes is None else 0
        used = await asyncio.to_thread(memory_bytes, self.pid) - self._base_bytes + files
        self.peak_bytes = max(self.peak_bytes, used)
        return used


def memory_bytes(pid: int) -> int:
    """The proportional memory of `pid` and all that descends from it."""
    return sum(map(_pss, _tree(pid)))


def folder_bytes(folder: int, *, most_files: int) -> tuple[int, int]:
    """Bytes on disk and entries below the descriptor `folder`; counting ends soon after `most_files`."""
    size = entries = 0
    waiting = [os.dup(folder)]
    while waiting:
        descriptor = waiting.pop()
        with contextlib.suppress(OSError):
            for name in os.listdir(descriptor):  # noqa: PTH208  # by descriptor
                entries += 1
                if entries > most_files:
                    break
                with contextlib.suppress(OSError):
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    size += status.st_blocks * 512
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor))
        os.close(descriptor)
        if entries > most_files:
            break
    for descriptor in waiting:
        os.close(descriptor)
    return size, entries


def filesystem_bytes(folder: int) -> int:
    """Bytes in use on the file system of `folder`, for a folder that is a memory file system of its own."""
    facts = os.fstatvfs(folder)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


def _tree(pid: int) -> Iterator[int]:
    waiting, seen = [pid], 0
    while waiting and (seen := seen + 1) < _MOST_PROCESSES:
        current = waiting.pop()
        yield current
        with contextlib.suppress(OSError, ValueError):
            for task in Path(f"/proc/{current}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
