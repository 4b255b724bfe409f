"""The keeper of jobs: their parent, which measures how they ended, and ends them when nobody waits any more.

It runs none of a job's code and a job holds none of its descriptors. As root the warm interpreter keeps the jobs that
are the first process of a namespace, and with that process the kernel ends the others; elsewhere each job has a keeper
of its own. What a job says is not for its keeper: the next job begins with a copy of all that the keeper has in memory.
Runs inside the warm interpreter, so it imports the standard library only.
"""

import contextlib
import mmap
import os
import resource
import select
import signal
import socket
from typing import NoReturn

from handiwork.sandbox import frames

REPORT_BYTES = 256 * 1024
_GONE = select.POLLRDHUP | select.POLLHUP


class Notes:
    """What a job leaves with the supervisor: that it began, and its own words about a failure.

    Nobody can write to the first but our own lines before the program; the second is the job's.
    """

    def __init__(self) -> None:
        self._report = os.memfd_create("report")
        os.ftruncate(self._report, REPORT_BYTES)
        self._began, self.beginning = os.pipe()

    @property
    def of_the_supervisor(self) -> "list[int]":
        """The descriptors by which it reads both."""
        return [self._report, self._began]

    def of_the_job(self) -> mmap.mmap:
        """Return, in the job, where its words go; what it can write to beside that is `beginning`."""
        return mmap.mmap(self._report, REPORT_BYTES)

    def close(self) -> None:
        for descriptor in (self._report, self._began, self.beginning):
            os.close(descriptor)


def words(report: int) -> str:
    """Read, in the supervisor, what a job has written into its report; it may be anything."""
    length = int.from_bytes(os.pread(report, 4, 0), "big")
    return os.pread(report, min(length, REPORT_BYTES - 4), 4).decode("utf-8", "replace")


class Wards:
    """The jobs that one process keeps, each of them the first process of its namespace."""

    def __init__(self, poll: "select.poll") -> None:
        self._poll = poll
        self._jobs: dict[int, socket.socket] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def take(self, pid: int, channel: socket.socket) -> None:
        """Keep a job; `channel` leads to whoever waits for it."""
        self._jobs[pid] = channel
        self._poll.register(channel, _GONE)

    def abandon(self, ready: "set[int]") -> None:
        """End the jobs for which nobody waits any more, by the descriptors of their channels."""
        for pid, channel in self._jobs.items():
            if channel.fileno() in ready:
                self._poll.unregister(channel)
                os.kill(pid, signal.SIGKILL)  # not collected, so the number is still its own

    def reap(self) -> None:
        """Collect whoever has ended, and tell of each job what came of it."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if not pid:
                    return
                if pid in self._jobs:
                    with self._jobs.pop(pid) as channel:
                        with contextlib.suppress(KeyError):
                            self._poll.unregister(channel)
                        _tell(channel, status, usage)


def keep(channel: socket.socket, job: int, *, level: str) -> NoReturn:
    """Wait until the job ends or the supervisor goes, say what came of it, and leave with every process of it."""
    for output in (1, 2):
        os.dup2(0, output)  # they are the job's: their end is the end of the job
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, noticed)
    poll = select.poll()
    poll.register(channel, _GONE)
    poll.register(wake, select.POLLIN)
    status = _reap(job)
    while status is None:
        happened = {descriptor for descriptor, _events in poll.poll()}
        if channel.fileno() in happened:
            break
        os.read(wake, 4096)
        status = _reap(job)
    _end_the_rest(job if status is None else None, level)
    if status is not None:
        _tell(channel, status, resource.getrusage(resource.RUSAGE_CHILDREN))
    os._exit(0)


def noticed(_number: int, _frame: object) -> None:
    """A handler must exist, or nobody is woken when a child ends."""


def _reap(job: int) -> "int | None":
    """Collect every dead child; return the job's wait status once it is among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if pid == job:
            return status


def _end_the_rest(job: "int | None", level: str) -> None:
    if job is not None:  # the number of one that was collected may be another's by now
        with contextlib.suppress(ProcessLookupError):
            os.kill(job, signal.SIGKILL)
    if level == "full":  # it was the first process of its namespace, and the last to leave it
        if job is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(job, 0)
        return
    for _round in range(100):
        children = _children()
        if not children:
            return
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> "list[int]":
    own = os.getpid()
    try:
        with open(f"/proc/{own}/task/{own}/children", encoding="ascii") as listing:
            return [int(pid) for pid in listing.read().split()]
    except OSError:
        return []


def _tell(channel: socket.socket, status: int, usage: resource.struct_rusage) -> None:
    """Say what came of the job: so little that there is always room for it, and nobody waits."""
    verdict: frames.Message = {
        "status": status,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }
    with contextlib.suppress(OSError):  # the supervisor may be gone, and then nobody asks
        frames.send(channel, verdict)
