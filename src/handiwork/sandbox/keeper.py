"""The keeper: parent of the job, pid 1 of its namespace, measures how it ended.

It runs none of the job's code and the job holds none of its descriptors. Runs inside the warm interpreter,
so it imports the standard library only.
"""

import contextlib
import mmap
import os
import resource
import select
import signal
import socket
from typing import Any, NoReturn

from handiwork.sandbox import frames

REPORT_BYTES = 256 * 1024


def keep(channel: socket.socket, job: int, *, started: int, report: mmap.mmap, level: str) -> NoReturn:
    """Wait until the job ends or the supervisor goes, say what came of it, and leave with every process of it."""
    for output in (1, 2):
        os.dup2(0, output)  # they are the job's: their end is the end of the job
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(started, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, noticed)
    poll = select.poll()
    poll.register(channel, select.POLLRDHUP | select.POLLHUP)
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
        with contextlib.suppress(OSError):  # the supervisor may be gone, and then nobody asks
            frames.send(channel, _verdict(status, started, report))
    os._exit(0)


def noticed(_number: int, _frame: object) -> None:
    """A handler must exist, or pid 1 never hears of its children."""


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
    if level == "full":
        # The kernel would end the namespace with this process too; but now it is known before the verdict is told.
        if job is None:
            _end_all()
        return
    # At `unprivileged` the job has no children.
    if job is not None:  # the number of one that was collected may be another's by now
        with contextlib.suppress(ProcessLookupError):
            os.kill(job, signal.SIGKILL)
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


def _end_all() -> None:
    """Leave nobody but this process in the namespace, whose pid 1 it is."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _children() -> "list[int]":
    own = os.getpid()
    try:
        with open(f"/proc/{own}/task/{own}/children", encoding="ascii") as listing:
            return [int(pid) for pid in listing.read().split()]
    except OSError:
        return []


def _verdict(status: int, started: int, report: mmap.mmap) -> "dict[str, Any]":
    try:
        began = os.read(started, 1) == b"S"
    except BlockingIOError:
        began = False
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    length = int.from_bytes(report[:4], "big")
    words = report[4 : 4 + min(length, REPORT_BYTES - 4)]
    return {
        "status": status,
        "began": began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
        "report": words.decode("utf-8", "replace"),
    }
