"""The warm interpreter: imports the libraries once and forks a jailed child for each job.

Started by path with `-I` and an empty environment; it never sees a job, a secret or a request, and imports
nothing of Handiwork but its own neighbours in this folder.
"""

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import sys
import types
from typing import Any, NoReturn


def _neighbours_only() -> None:
    """Let `handiwork.sandbox` mean this folder alone: no other module of Handiwork can be imported here."""
    package, room = types.ModuleType("handiwork"), types.ModuleType("handiwork.sandbox")
    package.__path__ = []
    room.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules |= {"handiwork": package, "handiwork.sandbox": room}


if __name__ == "__main__":
    _neighbours_only()

from handiwork.sandbox import (  # noqa: E402  # once the path is settled
    canvas,
    capture,
    filters,
    fonts,
    frames,
    jail,
    keeper,
    kernel,
    preload,
    program,
    signals,
    warmth,
)

_KEEP_PATHS = ("site-packages", "dist-packages")
_LENT = 3  # to a child: its channel, standard output and standard error


def main() -> None:
    supervisor = socket.socket(fileno=int(sys.argv[1]))
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    standard = os.path.dirname(os.__file__)
    sys.path[:] = [p for p in sys.path if p.startswith(standard) or os.path.basename(p) in _KEEP_PATHS]
    sys.dont_write_bytecode = True
    loaded = preload.warm_up(fonts=sys.argv[2:])
    fonts.keep(preload.draw)
    canvas.draw_when_asked()
    capture.install()
    signals.install()
    for is_watched in (False, True):
        filters.program(alone=None, is_watched=is_watched)  # once, and not in each child
    gc.collect()
    gc.freeze()
    frames.send(
        supervisor,
        {"loaded": loaded, "paths": sys.path, "libraries": _mapped(), "threads": len(os.listdir("/proc/self/task"))},
    )
    _serve(supervisor)


def _serve(supervisor: socket.socket) -> None:
    """Fork a child for every request until the supervisor goes or has enough, and stay until the last has ended."""
    ranges: warmth.Ranges | None = None
    wake, woken = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, keeper.noticed)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the supervisor's to answer
    poll = select.poll()
    poll.register(supervisor, select.POLLIN)
    poll.register(wake, select.POLLIN)
    wards = keeper.Wards(poll)
    home = _home()
    is_asked = True
    while is_asked or wards:
        ready = {descriptor for descriptor, _events in poll.poll()}
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            wards.reap()
        wards.abandon(ready)
        if supervisor.fileno() in ready:
            request = frames.receive(supervisor)
            if request is None:
                is_asked = False
                poll.unregister(supervisor)
                continue
            plan, descriptors = request
            if plan["is_warm"] and ranges is None:
                warmth.take_large_pages()
                ranges = warmth.learn(lambda: program.rehearse(warmth.COMMON_WORK))
            plan["ranges"] = ranges if plan["is_warm"] else None
            plan["is_born_inside"] = home is not None and jail.can_be_born_inside(plan)
            _fork(plan, descriptors, wards, home)
    _outlive_children()


def _home() -> "int | None":
    """A descriptor of the process namespace that this process comes back to when a child was born in another."""
    home = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        kernel.bear_children_in(home)
    except OSError:  # an ordinary user, or a container that forbids it
        os.close(home)
        return None
    return home


def _outlive_children() -> None:
    """Collect the keepers that have a job yet; each of them knows by itself when nobody waits for it any more."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _fork(plan: "dict[str, Any]", descriptors: "list[int]", wards: keeper.Wards, home: "int | None") -> None:
    if len(descriptors) < _LENT:  # there was no room for all of them; who lent them sees that they are closed
        for descriptor in descriptors:
            os.close(descriptor)
        return
    channel = socket.socket(fileno=descriptors[0])
    outputs = descriptors[1:]
    try:
        # What is mapped already does not count against the job. Asked here, where no page is copied for it.
        base = _mapped_bytes()
        pid = kernel.fork_inside(home) if plan["is_born_inside"] and home is not None else os.fork()
    except OSError as refused:
        with channel, contextlib.suppress(OSError):  # maybe nobody waits any more
            frames.send(channel, {"failed": "fork", "number": refused.errno, "why": str(refused)})
        for output in outputs:
            os.close(output)
        return
    if pid:
        for output in outputs:
            os.close(output)
        if plan["is_born_inside"]:
            wards.take(pid, channel)
        else:
            channel.close()
        return
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in zip((null, *outputs), range(3), strict=True):
            os.dup2(source, target)
        kernel.close_all_but({channel.fileno()})
        _child(plan, channel, base=base)
    finally:
        os._exit(70)


def _child(plan: "dict[str, Any]", channel: socket.socket, *, base: program.Base) -> NoReturn:
    """Build the walls and become the job, or the keeper of one; every failure is told and ends the child."""
    walls = jail.Walls(plan["failpoint"])
    try:
        notes = keeper.Notes()
        if plan["level"] == "full":
            jail.enclose(plan, walls)
            _hand_out(jail.WORK, notes, channel)
            jail.disarm(walls)
            jail.guard_paths(jail.rules_of_root(), walls)
        else:
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
            _hand_out(plan["work"], notes, channel)
        frames.send(channel, {"keeper": True})
        if not plan["is_born_inside"] and (job := os.fork()):
            if plan["level"] == "full":
                jail.filter_calls(walls, alone=None, is_watched=plan["is_watched"])
            notes.close()
            keeper.keep(channel, job, level=plan["level"])
        _job(plan, walls, channel, notes, base=base)
    except jail.WallFailed as failed:
        frames.send(channel, {"failed": failed.wall, "number": failed.number, "why": failed.why})
    except (OSError, ValueError) as failed:
        frames.send(channel, {"failed": "set-up", "number": 0, "why": str(failed)})
    os._exit(70)


def _hand_out(folder: str, notes: keeper.Notes, channel: socket.socket) -> None:
    work = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    frames.send(channel, {"work": True}, [work, *notes.of_the_supervisor])
    os.close(work)


def _job(
    plan: "dict[str, Any]", walls: jail.Walls, channel: socket.socket, notes: keeper.Notes, *, base: program.Base
) -> NoReturn:
    report = notes.of_the_job()
    os.setsid()
    with walls.build("cleanDescriptors"):
        kernel.close_all_but({channel.fileno(), notes.beginning})
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if plan["level"] == "full":
        jail.filter_calls(walls, alone=None, is_watched=plan["is_watched"])
    else:
        _walls_in_place(plan, walls)
    with walls.build("limits"):
        program.limit_fixed()
    program.settle(plan["folder"], plan["environment"])
    if plan["ranges"] is not None:
        plan["ranges"].populate()
    so_far = resource.getrusage(resource.RUSAGE_SELF)
    told = {"resident_bytes": so_far.ru_maxrss * 1024, "cpu_seconds": so_far.ru_utime + so_far.ru_stime}
    frames.send(channel, {"ready": True, "walls": walls.standing, **told})
    order = frames.receive(channel)
    channel.close()
    if order is None:
        os._exit(70)
    plan.clear()  # the program can look into these frames
    program.run(order[0], report=report, beginning=notes.beginning, base=base)


def _walls_in_place(plan: "dict[str, Any]", walls: jail.Walls) -> None:
    """The walls of the lower levels, where the job stays in the host's namespaces."""
    os.chdir(plan["work"])
    if plan["level"] == "none":
        return
    if plan["job_uid"] is not None:
        jail.become(plan["job_uid"], walls)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user clears it
    jail.disarm(walls)
    jail.guard_paths(jail.rules_of_host(plan), walls)
    jail.filter_calls(walls, alone=os.getpid(), is_watched=plan["is_watched"])


def _mapped_bytes() -> program.Base:
    with open("/proc/self/statm", encoding="ascii") as counts:
        pages = counts.read().split()
    return program.Base(data=int(pages[5]) * resource.getpagesize(), address=int(pages[0]) * resource.getpagesize())


def _mapped() -> "list[str]":
    """The folders of every shared library that is loaded, for the read-only view of the child."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split(maxsplit=5)[5].strip() for line in maps if "/" in line}
    return sorted({os.path.dirname(path) for path in paths if ".so" in os.path.basename(path)})


if __name__ == "__main__":
    main()
