"""Part D, the calls themselves: what the filter does not name answers as if the kernel did not know it."""

import json
import platform
import signal
from pathlib import Path

import pytest
from jails import Host, Jail, outside

from handiwork.sandbox import filters

EPERM, ENOTTY, ENOSYS, EAFNOSUPPORT = 1, 25, 38, 97
COLUMN = {"x86_64": 0, "aarch64": 1}[platform.machine()]

# Number on x86-64 and on aarch64 of calls that no job may make; None where the machine has none.
FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "seccomp": (317, 277), "personality": (135, 92),
    "modify_ldt": (154, None), "vmsplice": (278, 75), "splice": (275, 76), "tee": (276, 77), "acct": (163, 89),
    "quotactl": (179, 60), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "syslog": (103, 116),
    "iopl": (172, None), "ioperm": (173, None), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "kcmp": (312, 272), "chroot": (161, 51),
    "pivot_root": (155, 41), "mount": (165, 40), "umount2": (166, 39), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "inotify_init1": (294, 26), "inotify_add_watch": (254, 27), "unshare": (272, 97), "setns": (308, 268),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "setresuid": (117, 147), "setresgid": (119, 149),
    "setreuid": (113, 145), "setfsuid": (122, 151), "capset": (126, 91), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "mlockall": (151, 230), "mlock": (149, 228), "mlock2": (325, 284),
    "ioprio_set": (251, 30), "sched_setattr": (314, 274), "sched_setparam": (142, 118), "mbind": (237, 235),
    "set_mempolicy": (238, 237), "migrate_pages": (256, 238), "move_pages": (279, 239), "shmget": (29, 194),
    "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "timer_create": (222, 107),
    "timerfd_create": (283, 85), "signalfd4": (289, 74), "io_setup": (206, 0), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendmmsg": (307, 269), "recvmmsg": (299, 243),
    "lookup_dcookie": (212, 18), "readahead": (187, 213), "openat2": (437, 437), "pkey_mprotect": (329, 288),
    "landlock_create_ruleset": (444, 444), "landlock_restrict_self": (446, 446), "clone3": (435, 435),
    "execve": (59, 221), "execveat": (322, 281), "setuid": (105, 146), "setgid": (106, 144), "setgroups": (116, 159),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "setpriority": (141, 140),
    "quotactl_fd": (443, 443), "set_mempolicy_home_node": (450, 450), "lsm_set_self_attr": (460, 460),
}  # fmt: skip
PROBE = """
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
answers = {}
for name, number in %s.items():
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
    answers[name] = ctypes.get_errno() if result == -1 else 0
print(json.dumps(answers))
"""


async def answers_in(jail: Jail, numbers: dict[str, int]) -> dict[str, int]:
    execution = await jail.run(PROBE % json.dumps(numbers))
    assert execution.ok, (execution.outcome.signal, execution.stderr)
    return json.loads(execution.stdout)


async def test_every_dangerous_call_and_every_unknown_one_is_refused(jail: Jail, tmp_path: Path) -> None:
    numbers = {name: number for name, both in FORBIDDEN.items() if (number := both[COLUMN]) is not None}
    # With these arguments the kernel itself refuses nearly all; what counts is that it was asked.
    control = json.loads(outside(PROBE % json.dumps(numbers), folder=tmp_path).stdout)
    assert sum(answer != ENOSYS for answer in control.values()) > 0.85 * len(numbers), control

    answers = await answers_in(jail, numbers | {"unknown": 9999, "last": 2**30 - 1, "negative": -1})

    assert {name: answer for name, answer in answers.items() if answer not in (EPERM, ENOSYS)} == {}


async def test_no_number_beside_the_list_reaches_the_kernel(jail: Jail) -> None:
    # The kernel lets its own two helpers of tracing past every filter; they end whoever else calls them.
    tracing = {335, 336} if platform.machine() == "x86_64" else set[int]()
    table = filters._NUMBERS  # pyright: ignore[reportPrivateUsage]  # the list itself is what is tested
    listed = {both[COLUMN] for both in table.values()} | tracing
    numbers = {str(number): number for number in range(1024) if number not in listed}

    answers = await answers_in(jail, numbers)

    assert len(answers) > 800
    assert set(answers.values()) == {ENOSYS}
    for number in tracing:
        assert (await jail.run(PROBE % {"x": number})).outcome.signal in ("SIGILL", None)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86-64 alone has two more ways to number its calls")
class TestOtherNumberings:
    CREATE = """
import ctypes, mmap, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
page = libc.mmap(None, 4096, 7, 0x62, -1, 0)   # private, anonymous, within 32 bits
path = {marker!r}.encode() + b'\\0'
# push rbx; mov eax, 8 (creat); mov ebx, path; mov ecx, 0o666; int 0x80; pop rbx; ret
words = [struct.pack('<I', word) for word in (8, page + 256, 0o666)]
code = b'\\x53\\xb8' + words[0] + b'\\xbb' + words[1] + b'\\xb9' + words[2]
ctypes.memmove(page, code + b'\\xcd\\x80\\x5b\\xc3', len(code) + 4)
ctypes.memmove(page + 256, path, len(path))
print(ctypes.CFUNCTYPE(ctypes.c_int)(page)())
"""

    async def test_the_32_bit_gate_is_deadly_or_closed(self, jail: Jail, host: Host) -> None:
        control = outside(self.CREATE.format(marker=str(host.marker)), folder=host.folder)
        assert host.reached() or control.returncode == -signal.SIGSEGV, "control: it works, or this kernel has none"

        work = "/job/made" if jail.level == "full" else "made"
        execution = await jail.run(self.CREATE.format(marker=work))

        assert execution.artifacts == ()
        assert execution.outcome.signal in ("SIGSYS", "SIGSEGV")

    async def test_the_x32_numbers_are_unknown(self, jail: Jail) -> None:
        x32 = {f"x{number}": 0x40000000 | number for number in (*range(400), *range(512, 548))}

        assert set((await answers_in(jail, x32)).values()) == {ENOSYS}


# Call by number, its arguments with N for the one that is narrowed, values that are refused, and the answer.
NARROWED: dict[str, tuple[tuple[int, int], str, list[int], int]] = {
    "prctl": ((157, 167), "N, 0, 0, 0, 0", [1, 4, 8, 22, 24, 28, 36, 38, 47, 53, 59, 0x53564D41, 0x59616D61], EPERM),
    "ioctl": ((16, 29), "0, N, 0", [0x5412, 0x541C, 0x540E, 0x5403, 0x8901, 0x5422, 0x1271, 0x4C80], ENOTTY),
    "fcntl": ((72, 25), "0, N, 0", [8, 10, 15, 1024, 1026, 1031, 1033, 1036], EPERM),
    "socketpair": ((53, 199), "N, 1, 0, pair", [2, 10, 16, 17, 38, 40], EAFNOSUPPORT),
    "kinds of socketpair": ((53, 199), "1, N, 0, pair", [2, 3, 5], EPERM),
    "clone": (
        (56, 220),
        "N | 17, 0, 0, 0, 0",
        [0x80, 0x10000000, 0x20000, 0x20000000, 0x40000000, 0x4000000, 0x8000000, 0x2000000],
        EPERM,
    ),
    "prlimit64": ((302, 261), "N, 7, None, pair", [1, 2, 3], EPERM),
}


@pytest.mark.parametrize(("numbers", "arguments", "values", "refusal"), NARROWED.values(), ids=NARROWED)
async def test_a_call_with_many_uses_is_narrowed_to_harmless_ones(
    jail: Jail, numbers: tuple[int, int], arguments: str, values: list[int], refusal: int
) -> None:
    probe = f"""
import ctypes, json
libc = ctypes.CDLL(None, use_errno=True)
pair = (ctypes.c_long * 4)()
def call(number, *given):
    ctypes.set_errno(0)
    result = libc.syscall(number, *[g if g is None or g is pair else ctypes.c_ulong(g) for g in given])
    return ctypes.get_errno() if result == -1 else 'done'
values = {values}
print(json.dumps([call({numbers[COLUMN]}, {arguments}) for N in values + [value | 1 << 40 for value in values]]))
"""
    execution = await jail.run(probe)

    assert execution.ok, execution.stderr
    assert json.loads(execution.stdout) == [refusal] * 2 * len(values)


async def test_the_harmless_uses_are_answered(jail: Jail) -> None:
    execution = await jail.run("""
import ctypes, fcntl, os, resource, socket
libc = ctypes.CDLL(None)
socket.socketpair()
fcntl.fcntl(1, fcntl.F_GETFL)
libc.prctl(15, b'renamed', 0, 0, 0)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], libc.prctl(39, 0, 0, 0, 0), os.isatty(1))
""")

    assert execution.stdout == "512 1 False\n", execution.stderr
