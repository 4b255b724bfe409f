"""Whether a job has left, seen from outside before its parent is told.

When a process leaves, Linux first takes its memory away, then tells its parent. For a short job of a large interpreter
freeing that memory takes longer than the job. From the moment when it has none, a process cannot run another line, and
its exit code stands. Where the kernel also says that it is the only task of its control group, nothing is left that
could touch the job's files. All this is read from the kernel; what a job says about itself is no part of it.
"""

import os
import select
from collections.abc import Callable
from pathlib import Path

_EXIT_CODE, _CODE_START = 49, 23  # places in /proc/PID/stat behind the name
_USER, _SYSTEM, _USER_OF_CHILDREN, _SYSTEM_OF_CHILDREN = 11, 12, 13, 14
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Departure:
    """Looks whether the process `pid` has left; close it when done."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        # As long as it tells of no end, the number is that of this process.
        self.process = os.pidfd_open(pid)
        try:
            # To whom the kernel does not tell where the code lies, it does not tell the exit code either, and says 0.
            self.can_be_seen = int(_stat(self._proc)[_CODE_START]) > 1
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self.process >= 0:
            os.close(self.process)
            self.process = -1

    def cpu_seconds(self, tasks: Callable[[], int | None]) -> float | None:
        """Return the processor time of a process that has left by itself and successfully; None of any other.

        `tasks` counts those of its control group: it must be the only one, and still be there when that was counted.
        """
        try:
            if int((self._proc / "statm").read_text(encoding="ascii").split()[0]) or tasks() != 1:
                return None
            facts = _stat(self._proc)
            of_its_thread = int((self._proc / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            return None
        if int(facts[_EXIT_CODE]) or self._is_over():
            return None
        return max(of_its_thread, _seconds(facts, _USER, _SYSTEM)) + _seconds(
            facts, _USER_OF_CHILDREN, _SYSTEM_OF_CHILDREN
        )

    def _is_over(self) -> bool:
        poll = select.poll()
        poll.register(self.process, select.POLLIN)
        return bool(poll.poll(0))


def _stat(process: Path) -> list[str]:
    return (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _seconds(facts: list[str], *places: int) -> float:
    return sum(int(facts[place]) for place in places) / _TICKS_PER_SECOND
