"""Watching a job from outside where no control group does: memory and threads of its processes, size of its folder.

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

from handiwork.sandbox.trees import open_folder
from handiwork.tasks import in_thread

SECONDS = 0.05
_MOST_PROCESSES = 4096
_DEEPEST = 100
# How often a program may write over what its folder can hold before it only wears out the disk.
_REWRITES = 16
_SCRATCH = ("/job", "/tmp", "/dev/shm")  # noqa: S108  # in the job's own root


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Looks at one job until it passes a limit; None as limit means that it need not be looked at."""

    pid: int
    folder: int
    memory_bytes: int | None
    folder_bytes: int | None
    most_files: int
    most_threads: int | None
    peak_bytes: int = 0
    _base_bytes: int = 0

    async def begin(self) -> None:
        """Measure the preloaded interpreter; call it before the job gets its order."""
        if self.memory_bytes is not None:
            self._base_bytes = await in_thread(memory_bytes, self.pid)

    async def look(self) -> Literal["out_of_memory", "output_too_large", "killed"]:
        """Return what ends the job; with nothing to look at, wait for ever."""
        if self.memory_bytes is None and self.folder_bytes is None:
            await asyncio.get_running_loop().create_future()
        while True:
            await asyncio.sleep(SECONDS)
            if (passed := await in_thread(self._passed)) is not None:
                return passed

    def _passed(self) -> Literal["out_of_memory", "output_too_large", "killed"] | None:
        if self.memory_bytes is not None:
            # The job's own file systems are memory too.
            used = memory_bytes(self.pid) - self._base_bytes + (scratch_bytes(self.pid) if not self.folder_bytes else 0)
            self.peak_bytes = max(self.peak_bytes, used)
            if used > self.memory_bytes:
                return "out_of_memory"
        if self.most_threads is not None and threads(self.pid) > self.most_threads:
            return "killed"
        if self.folder_bytes is not None:
            size, entries = folder_bytes(self.folder, most_files=self.most_files)
            held, written = unlinked_bytes(self.pid), written_bytes(self.pid)
            if size + held > self.folder_bytes or written > _REWRITES * self.folder_bytes or entries > self.most_files:
                return "output_too_large"
        return None


def memory_bytes(pid: int) -> int:
    """The proportional memory of `pid` and all that descends from it, with its page tables."""
    return sum(_pss(each) + _field(each, "VmPTE") * 1024 for each in _tree(pid))


def cpu_seconds(pid: int) -> float:
    """Processor time of `pid` and of what it has collected."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def threads(pid: int) -> int:
    return sum(_field(each, "Threads") for each in _tree(pid))


def scratch_bytes(pid: int) -> int:
    """Bytes in the memory file systems of a job with a root of its own."""
    total = 0
    for folder in _SCRATCH:
        with contextlib.suppress(OSError):
            facts = os.statvfs(f"/proc/{pid}/root{folder}")
            total += (facts.f_blocks - facts.f_bfree) * facts.f_frsize
    return total


def folder_bytes(folder: int, *, most_files: int) -> tuple[int, int]:
    """Bytes on disk and entries below the descriptor `folder`; counting ends soon after `most_files`.

    A tree deeper than any program needs counts as too many entries: walking it would cost more than making it.
    """
    size = entries = 0
    waiting = [""]
    while waiting and entries <= most_files:
        base = waiting.pop()
        if base.count("/") > _DEEPEST:
            return size, most_files + 1
        with contextlib.suppress(OSError):
            descriptor = open_folder(folder, base)
            try:
                for name in os.listdir(descriptor):  # noqa: PTH208  # by descriptor
                    entries += 1
                    with contextlib.suppress(OSError):
                        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                        size += status.st_blocks * 512
                        if stat.S_ISDIR(status.st_mode):
                            waiting.append(f"{base}{name}/")
            finally:
                os.close(descriptor)
    return size, entries


def unlinked_bytes(pid: int) -> int:
    """Bytes of files that a process holds open and that have no name any more."""
    total = 0
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                status = descriptor.stat()
                total += status.st_blocks * 512 if stat.S_ISREG(status.st_mode) and status.st_nlink == 0 else 0
    return total


def written_bytes(pid: int) -> int:
    """Bytes that a process has sent to a disk so far, whatever became of them."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
    return 0


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


def _field(pid: int, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return 0
