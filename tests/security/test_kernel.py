"""Part D: processes and rights. The kernel is asked from outside what a job has become."""
# ruff: noqa: E501  # probes are programs, a line each

import asyncio
import contextlib
import fcntl
import os
import platform
import signal
import socket
import time
from pathlib import Path

import pytest
from jails import (
    SHORT,
    Host,
    Jail,
    bystander,
    descendants,
    facts_of,
    held,
    interpreters,
    job_processes,
    namespace,
    no_process_is_left,
    outside,
    settled,
    threads_of,
)

from handiwork.model import Limits

NS_GET_PARENT = 0xB702

COLUMN = {"x86_64": 0, "aarch64": 1}[platform.machine()]
FORK_BOMBS = {
    "fork": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "clone": "import ctypes\nlibc = ctypes.CDLL(None)\nwhile True: libc.syscall(56, 17, 0, 0, 0, 0)",
    "vfork": "import ctypes\nlibc = ctypes.CDLL(None)\nwhile True:\n    if libc.fork() == 0: libc.vfork()",
    "clone to the keeper": "import ctypes\nlibc = ctypes.CDLL(None)\nwhile True: libc.syscall(56, 0x8000 | 17, 0, 0, 0, 0)",
    "threads": "import threading, time\nwhile True:\n    try: threading.Thread(target=time.sleep, args=(60,)).start()\n"
    "    except RuntimeError: pass",
}  # fmt: skip


def tasks_of_jobs() -> int:
    return sum(threads_of(pid) for pid in job_processes())


@pytest.mark.parametrize("bomb", FORK_BOMBS.values(), ids=FORK_BOMBS)
async def test_a_fork_bomb_stays_small_and_a_neighbour_is_served(jail: Jail, bomb: str) -> None:
    limits = Limits(wall_seconds=1.5, processes=20)
    for _ in range(2):  # from the second job on children are made ahead, and what they need is learned once
        await jail.run("pass")
    await settled(jail)
    bombing = asyncio.ensure_future(jail.run(bomb, limits=limits))
    most = 0
    while not bombing.done():
        most = max(most, await asyncio.to_thread(tasks_of_jobs))
        if most > 20 and not (most > 400):
            break
        await asyncio.sleep(0.05)
    neighbour = await asyncio.wait_for(jail.run("print('served')"), 10)
    ended = await asyncio.wait_for(bombing, 10)

    assert neighbour.stdout == "served\n"
    assert ended.status in ("timed_out", "failed", "out_of_memory", "killed")
    assert most < 20 + 10, "the job's processes and threads, its keeper, and room for one neighbour"
    assert await no_process_is_left()


@pytest.mark.levels("full")  # `unprivileged` refuses to fork at all
async def test_children_up_to_the_limit_are_allowed(jail: Jail) -> None:
    execution = await jail.run("""
import multiprocessing
if __name__ == '__main__':
    with multiprocessing.get_context('fork').Pool(4) as pool: print(pool.map(abs, [-1, -2]))
""")

    assert execution.stdout == "[1, 2]\n", execution.stderr


@pytest.mark.levels("unprivileged")  # where no namespace ends them together
async def test_a_job_has_no_children_but_threads(jail: Jail) -> None:
    execution = await jail.run("""
import os, threading
answer = []
thread = threading.Thread(target=answer.append, args=(1,)); thread.start(); thread.join()
try: os.fork()
except PermissionError: print('refused', answer)
""")

    assert execution.stdout == "refused [1]\n"


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(3): os.close(descriptor)
        open('pid', 'w').write(str(os.getpid()))
        time.sleep(20)
        os._exit(0)
    os._exit(0)
os.wait()
while not os.path.exists('pid') or not open('pid').read(): time.sleep(0.01)
"""


@pytest.mark.levels("full")  # `unprivileged` refuses to fork at all
async def test_a_daemon_dies_with_its_run(jail: Jail, host: Host) -> None:
    outside(DAEMON, folder=host.folder)
    daemon = int((host.folder / "pid").read_text(encoding="ascii"))
    os.kill(daemon, signal.SIGKILL)  # raises if the control's daemon had not outlived its parent

    execution = await jail.run(DAEMON)

    assert execution.ok, execution.stderr
    assert await no_process_is_left()


STUBBORN = {
    "39 ignored signals": "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nwhile True: pass",
    "39 blocked signals": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    "39 the GIL held in C": "x = 3 ** (10 ** 9)",
    "39 nothing stops it": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "40 stopped": "import os, signal\nwhile True: os.kill(os.getpid(), signal.SIGSTOP)",
    "70 a regular expression": "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
    "66 asleep": "import time; time.sleep(600)",
    "88 swallowed alarms": "import signal, time\nsignal.signal(signal.SIGALRM, lambda *a: None)\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\nwhile True: time.sleep(1)",
    "88 a wish to sleep backwards": "import time\ntry: time.sleep(-1)\nexcept ValueError: time.sleep(600)",
    "11 never ending at exit": "import atexit, time\natexit.register(time.sleep, 600)",
    "11 a thread that stays": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()",
    "11 a finalizer that stays": "import time\nclass L:\n    def __del__(self, sleep=time.sleep): sleep(600)\nl = L()",
}


@pytest.mark.parametrize("program", STUBBORN.values(), ids=STUBBORN)
async def test_nothing_outlives_the_wall_clock(jail: Jail, program: str) -> None:
    began = time.monotonic()
    execution = await jail.run(program, limits=Limits(wall_seconds=0.7))
    took = time.monotonic() - began

    assert (execution.status, execution.outcome.signal) == ("timed_out", "SIGKILL")
    assert took < 0.7 + 1.0 + 1.0
    assert execution.outcome.duration_ms < 1_700
    assert await no_process_is_left()


async def test_signals_reach_nobody_else(jail: Jail) -> None:
    with bystander() as other:
        interpreter = interpreters()[-1]
        victims = [other.pid, interpreter, os.getpid(), os.getppid(), 1]
        program = f"""
import ctypes, os, signal
libc = ctypes.CDLL(None)
for victim in {victims!r} + [os.getppid(), -1, 0 if {jail.level == "unprivileged"} else -1]:
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGINT, signal.SIGCHLD):
        for way in (os.kill, os.killpg, lambda pid, n: libc.syscall({(234, 131)[COLUMN]}, pid, pid, n),
                    lambda pid, n: libc.syscall({(200, 130)[COLUMN]}, pid, n)):
            try: way(victim, number)
            except (OSError, OverflowError): pass
print('survived')
"""
        await settled(jail)
        before = set(descendants())
        execution = await jail.run(program, limits=SHORT)
        assert execution.stdout in ("survived\n", "")
        assert other.poll() is None
        assert facts_of(other.pid)["State"].startswith("S")
        assert len(before - set(descendants())) <= 2, "its own process and its keeper"
        assert {other.pid, interpreter} <= set(descendants())
        assert (await jail.run("print('served')")).stdout == "served\n"
        outside(f"import os; os.kill({other.pid}, 9)", folder=jail.data)
        assert other.wait(5) == -signal.SIGKILL, "control: who is not in the jail can signal it"


async def test_no_other_process_can_be_traced_or_read(jail: Jail, tmp_path: Path) -> None:
    with bystander() as victim:
        program = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
print(libc.ptrace(0x4206, {victim.pid}, None, None))
print(open('/proc/{victim.pid}/status').read().split('TracerPid:')[1].split()[0])
"""
        control = outside(program, folder=tmp_path).stdout.split()
        assert control[0] == "0"
        assert int(control[1]) > 0

        async with held(jail, program.partition("print(open")[0]):
            assert facts_of(victim.pid)["TracerPid"] == "0"


GREEDY = """
import ctypes, os, resource
libc = ctypes.CDLL(None, use_errno=True)
def ways():
    yield lambda: os.nice(-20)
    yield lambda: os.setpriority(os.PRIO_PROCESS, 0, -20)
    yield lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    yield lambda: os.sched_setaffinity(0, {0})
    yield lambda: libc.mlockall(3)
    yield lambda: libc.syscall(251, 1, 0, 1 << 13)
    yield lambda: os.setuid(0)
    yield lambda: os.setgid(0)
    yield lambda: os.setgroups([0])
    yield lambda: os.setresuid(0, 0, 0)
    yield lambda: libc.capset(ctypes.create_string_buffer(b'\\x22\\x05\\x08\\x20' + bytes(4)), b'\\xff' * 24)
    yield lambda: libc.prctl(28, 0)
    yield lambda: libc.prctl(47, 2, 21, 0, 0)
    yield lambda: libc.unshare(0x10000000)
    yield lambda: libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)
    yield lambda: os.setpgid(0, os.getppid())
    for kind in (resource.RLIMIT_DATA, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE,
                 resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_MEMLOCK, resource.RLIMIT_MSGQUEUE):
        yield lambda kind=kind: resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for way in ways():
    try: way()
    except (OSError, ValueError, AttributeError): pass
"""


def parent_namespace(pid: int) -> int | None:
    """The user namespace in which that of `pid` was made, where this process may know it."""
    with Path(f"/proc/{pid}/ns/user").open("rb") as own, contextlib.suppress(PermissionError):
        parent = fcntl.ioctl(own, NS_GET_PARENT)
        try:
            return os.fstat(parent).st_ino
        finally:
            os.close(parent)
    return None


async def test_no_right_and_no_limit_can_be_gained(jail: Jail) -> None:
    async with held(jail, GREEDY) as job:
        facts = facts_of(job)
        limits = Path(f"/proc/{job}/limits").read_text(encoding="ascii")
        schedule = Path(f"/proc/{job}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        inside = parent_namespace(job)
    own = facts_of(os.getpid())

    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(facts[field], 16) == 0
    assert int(facts["CapBnd"], 16) == 0 or os.geteuid() != 0
    assert int(own["CapEff"], 16) != 0 or os.geteuid() != 0, "control: this process has capabilities"
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert jail.level != "full" or "0" not in facts["Uid"].split()
    assert facts["Cpus_allowed"] == own["Cpus_allowed"]
    assert int(facts["VmLck"].split()[0]) == 0
    assert (int(schedule[16]), int(schedule[38])) == (0, 0), "nice and scheduling policy"
    assert int(schedule[4]) == 0, "no controlling terminal"
    rows = {line[:25].strip(): line[25:].split()[:2] for line in limits.splitlines()[1:]}
    assert rows["Max core file size"] == ["0", "0"]
    assert rows["Max open files"] == ["512", "512"]
    assert all("unlimited" not in rows[name] for name in ("Max data size", "Max file size", "Max cpu time"))
    assert jail.level != "full" or "unlimited" not in rows["Max processes"]
    assert jail.level != "full" or inside == namespace(os.getpid(), "user"), "no namespace of its own making"


ELF = {  # exits with 42
    "x86_64": ("3e00", "bf2a000000b83c0000000f05"),
    "aarch64": ("b700", "400580d2a80b80d2010000d4"),
}
PROGRAM_MAKER = f"""
import ctypes, os, struct, subprocess, sys
machine, code = {ELF[platform.machine()]!r}
code = bytes.fromhex(code)
image = bytes.fromhex('7f454c46020101000000000000000000' '0200' + machine) + struct.pack('<IQQQIHHHHHH', 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
image += struct.pack('<IIQQQQQQ', 1, 5, 0, 0x400000, 0x400000, 120 + len(code), 120 + len(code), 4096) + code
open('tiny', 'wb').write(image); os.chmod('tiny', 0o755)
libc = ctypes.CDLL(None, use_errno=True)
"""
STARTS = {
    "49 execv": "os.execv('./tiny', ['tiny'])",
    "49 a descriptor": "os.execve(os.open('tiny', os.O_RDONLY), ['tiny'], {})",
    "49 execveat": f"""
argv = (ctypes.c_char_p * 2)(b'tiny', None)
libc.syscall({(322, 281)[COLUMN]}, os.open('tiny', os.O_RDONLY), b'', argv, argv, 0x1000)""",
    "49 memfd": "f = os.memfd_create('x'); os.write(f, image); os.execve(f, ['tiny'], {})",
    "49 in /dev/shm": "open('/dev/shm/tiny', 'wb').write(image); os.chmod('/dev/shm/tiny', 0o755)\n"
    "os.execv('/dev/shm/tiny', ['tiny'])",
    "50 subprocess": "sys.exit(subprocess.call(['./tiny']))",
    "50 posix_spawn": "sys.exit(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn('./tiny', ['tiny'], {}), 0)[1]))",
    "50 the shell": "sys.exit(os.waitstatus_to_exitcode(os.system('./tiny')))",
    "50 a first line": "open('script', 'w').write('#!' + os.path.abspath('tiny')); os.chmod('script', 0o755)\n"
    "os.execv('./script', ['script'])",
    "49 the interpreter itself": "os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(42)'])",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
async def test_no_program_can_be_started(jail: Jail, tmp_path: Path, start: str) -> None:
    control = outside(PROGRAM_MAKER + start, folder=tmp_path)
    Path("/dev/shm/tiny").unlink(missing_ok=True)
    assert control.returncode == 42, f"control: it starts outside ({control.stderr[-300:]})"

    execution = await jail.run(PROGRAM_MAKER + start)

    assert execution.outcome.exit_code != 42
    assert await no_process_is_left()


PLACES_OF_THE_KERNEL = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sysrq-trigger",
    "/proc/self/oom_score_adj",
    "/proc/self/uid_map",
    "/proc/self/mem",
    "/proc/self/clear_refs",
    "/sys/kernel/uevent_helper",
    "/sys/power/state",
    "/sys/fs/cgroup/memory/cgroup.procs",
    "/sys/fs/cgroup/cgroup.procs",
    "/proc/kcore",
    "/proc/kallsyms",
)


async def test_nothing_of_the_kernel_can_be_opened_and_the_group_is_not_left(jail: Jail) -> None:
    there = [path for path in PLACES_OF_THE_KERNEL if os.access(path, os.R_OK | os.W_OK)]
    assert len(there) >= 3 or os.geteuid() != 0, "control: this process could"
    pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii")
    program = f"""
import os
for path in {PLACES_OF_THE_KERNEL!r}:
    for flags in (os.O_RDONLY, os.O_WRONLY):
        try: descriptor = os.open(path, flags)
        except OSError: continue
        print('opened', path)
"""
    execution = await jail.run(program)
    async with held(jail, program) as job:
        group = Path(f"/proc/{job}/cgroup").read_text(encoding="ascii")

    assert "opened" not in execution.stdout
    assert Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii") == pattern
    assert execution.outcome.isolation is not None
    assert ("handiwork-" in group) == (execution.outcome.isolation.memory_by == "cgroup")


async def test_the_host_keeps_its_name_mounts_and_clock(jail: Jail, tmp_path: Path) -> None:
    before = (socket.gethostname(), Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    clock = time.time() - time.monotonic()

    await jail.run("""
import ctypes, os, time, socket
libc = ctypes.CDLL(None)
libc.sethostname(b'taken', 5)
libc.mount(b'none', b'.', b'tmpfs', 0, None)
libc.umount2(b'/tmp', 2)
for way in (lambda: time.clock_settime(0, 0), lambda: socket.sethostname('taken')):
    try: way()
    except OSError: pass
""")

    assert (socket.gethostname(), Path("/proc/self/mountinfo").read_text(encoding="utf-8")) == before
    assert abs(time.time() - time.monotonic() - clock) < 5


@pytest.mark.levels("full")  # at `unprivileged` the host's name is the host's
async def test_a_job_does_not_learn_the_name_of_the_host(jail: Jail) -> None:
    execution = await jail.run("import os, socket; print(os.uname().nodename, socket.gethostname())")

    assert execution.stdout == "handiwork handiwork\n"
    assert socket.gethostname() != "handiwork", "control: this machine has another name"
