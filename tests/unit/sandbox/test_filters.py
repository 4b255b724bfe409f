import errno
import signal
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from handiwork.sandbox import filters

ALLOW, KILL = "allow", "kill"
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = pytest.mark.parametrize("machine", ARCHITECTURES)
ALONE = pytest.mark.parametrize("alone", [None, 4242])

# Number on x86-64 and on aarch64, from the kernel's tables; None where there is no such call.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "openat": (257, 56), "mmap": (9, 222), "futex": (202, 98),
    "exit_group": (231, 94), "clock_gettime": (228, 113), "getrandom": (318, 278), "unlinkat": (263, 35),
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "clone3": (435, 435), "kill": (62, 129),
    "tgkill": (234, 131), "tkill": (200, 130), "execve": (59, 221), "execveat": (322, 281),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept4": (288, 242), "prctl": (157, 167), "ioctl": (16, 29), "fcntl": (72, 25),
    "prlimit64": (302, 261), "mknodat": (259, 33), "mknod": (133, None), "chmod": (90, None),
    "fchmodat": (268, 53), "utimensat": (280, 88), "chown": (92, None), "fchownat": (260, 54),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "userfaultfd": (323, 282), "init_module": (175, 105),
    "finit_module": (313, 273), "kexec_load": (246, 104), "reboot": (169, 142), "swapon": (167, 224),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "sethostname": (170, 161),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "quotactl": (179, 60), "acct": (163, 89), "syslog": (103, 116),
    "seccomp": (317, 277), "personality": (135, 92), "iopl": (172, None), "ioperm": (173, None),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "shmget": (29, 194), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180), "timer_create": (222, 107), "signalfd4": (289, 74),
    "splice": (275, 76), "vmsplice": (278, 75), "tee": (276, 77), "setuid": (105, 146),
    "setresuid": (117, 147), "capset": (126, 91), "mlockall": (151, 230), "remap_file_pages": (216, 234),
    "kcmp": (312, 272), "landlock_restrict_self": (446, 446), "move_mount": (429, 429),
    "fsopen": (430, 430), "open_tree": (428, 428), "mount_setattr": (442, 442), "mbind": (237, 235),
    "migrate_pages": (256, 238), "lookup_dcookie": (212, 18), "nfsservctl": (180, 42),
    "uselib": (134, None), "modify_ldt": (154, None), "setxattr": (188, 5), "getxattr": (191, 8),
}  # fmt: skip


def exists(machine: str, name: str) -> bool:
    return NUMBERS[name][list(ARCHITECTURES).index(machine)] is not None


def on_machines_with(names: Iterable[str]) -> pytest.MarkDecorator:
    pairs = [(machine, name) for machine in ARCHITECTURES for name in names if exists(machine, name)]
    return pytest.mark.parametrize(("machine", "name"), pairs)


@dataclass(frozen=True, slots=True)
class Call:
    """One system call as the filter sees it."""

    number: int
    architecture: int
    arguments: tuple[int, ...] = ()

    @property
    def data(self) -> bytes:
        padded = (*self.arguments, *(0,) * (6 - len(self.arguments)))
        return struct.pack("<iIQ6Q", self.number, self.architecture, 0, *padded)


def interpret(program: bytes, data: bytes) -> int:
    """Run a filter as the kernel does, with the instructions that ours may use."""
    code = list(struct.iter_unpack("<HBBI", program))
    accumulator = at = 0
    for _step in range(len(code) + 1):
        operation, yes, no, value = code[at]
        at += 1
        match operation:
            case 0x20:
                assert value % 4 == 0
                assert value <= len(data) - 4
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x45:
                at += yes if accumulator & value else no
            case 0x06:
                return value
            case _:
                raise AssertionError(f"operation {operation:#x}")
    raise AssertionError("the filter does not end")


def answer(machine: str, name: str, *arguments: int, alone: int | None = None) -> str | int:
    """What a call gets: `allow`, `kill`, an errno, or 0 for a call that is skipped."""
    number = NUMBERS[name][list(ARCHITECTURES).index(machine)]
    assert number is not None
    return answer_of(machine, Call(number, ARCHITECTURES[machine], arguments), alone=alone)


def answer_of(machine: str, call: Call, *, alone: int | None = None) -> str | int:
    value = interpret(filters.program(alone=alone, machine=machine), call.data)
    if value == 0x7FFF0000:
        return ALLOW
    if value == 0x80000000:
        return KILL
    assert value >> 16 == 5
    return value & 0xFFFF


ORDINARY = ("read", "write", "openat", "mmap", "futex", "exit_group", "clock_gettime", "getrandom", "unlinkat")
UNKNOWN = (
    "connect", "bind", "listen", "accept4", "ptrace", "process_vm_readv", "process_vm_writev", "mount", "umount2",
    "pivot_root", "chroot", "unshare", "setns", "bpf", "perf_event_open", "keyctl", "add_key", "request_key",
    "io_uring_setup", "io_uring_enter", "userfaultfd", "init_module", "finit_module", "kexec_load", "reboot",
    "swapon", "clock_settime", "open_by_handle_at", "name_to_handle_at", "pidfd_open", "pidfd_getfd",
    "pidfd_send_signal", "memfd_create", "memfd_secret", "quotactl", "acct", "syslog", "seccomp", "personality",
    "iopl", "ioperm", "inotify_init1", "fanotify_init", "shmget", "msgget", "semget", "mq_open", "timer_create",
    "signalfd4", "splice", "vmsplice", "tee", "setresuid", "capset", "mlockall", "remap_file_pages", "kcmp",
    "landlock_restrict_self", "move_mount", "fsopen", "open_tree", "mount_setattr", "mbind", "migrate_pages",
    "lookup_dcookie", "nfsservctl", "uselib", "modify_ldt", "settimeofday", "sethostname",
)  # fmt: skip
ANSWERED = {
    "socket": errno.EAFNOSUPPORT,
    "execve": errno.EPERM,
    "execveat": errno.EPERM,
    "clone3": errno.ENOSYS,
    "setuid": errno.EPERM,
    "chown": errno.EPERM,
    "fchownat": errno.EPERM,
    "setxattr": errno.EOPNOTSUPP,
    "getxattr": errno.EOPNOTSUPP,
}


@on_machines_with(ORDINARY)
@ALONE
def test_ordinary_calls_pass(machine: str, alone: int | None, name: str) -> None:
    assert answer(machine, name, alone=alone) == ALLOW


@on_machines_with(UNKNOWN)
@ALONE
def test_what_is_not_named_does_not_exist(machine: str, alone: int | None, name: str) -> None:
    assert answer(machine, name, alone=alone) == errno.ENOSYS


@on_machines_with(ANSWERED)
@ALONE
def test_what_libraries_try_gets_the_answer_that_they_know(machine: str, alone: int | None, name: str) -> None:
    assert answer(machine, name, alone=alone) == ANSWERED[name]


@MACHINES
def test_numbers_that_no_kernel_has_yet_do_not_exist(machine: str) -> None:
    for number in (*range(470, 1024), 2**31 - 1, -1, -(2**31)):
        assert answer_of(machine, Call(number, ARCHITECTURES[machine])) == errno.ENOSYS, number


@MACHINES
def test_calls_of_another_architecture_end_the_process(machine: str) -> None:
    others = {0x40000003, 0x40000028, *ARCHITECTURES.values()} - {ARCHITECTURES[machine]}  # i386, arm and the other
    for other in others:
        assert answer_of(machine, Call(0, other)) == KILL


def test_the_second_set_of_numbers_on_x86_64_does_not_exist() -> None:
    for number in (0, 1, 56, 59, 257, 520):
        assert answer_of("x86_64", Call(0x40000000 + number, ARCHITECTURES["x86_64"])) == errno.ENOSYS


def test_another_machine_gets_no_filter_and_so_no_job() -> None:
    with pytest.raises(OSError, match="riscv64"):
        filters.program(alone=None, machine="riscv64")


@MACHINES
@ALONE
def test_a_filter_fits_the_kernel(machine: str, alone: int | None) -> None:
    size = len(filters.program(alone=alone, machine=machine))
    assert size % 8 == 0
    assert 100 < size // 8 <= 4096


@MACHINES
@ALONE
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((1, 1, 0), ALLOW),
        ((1, 1 | 0o2000000, 0), ALLOW),  # close-on-exec
        ((1, 1 | 0o4000, 0), ALLOW),  # non-blocking
        ((1, 2, 0), errno.EPERM),  # datagrams
        ((1, 3, 0), errno.EPERM),
        ((1, 5, 0), errno.EPERM),
        ((2, 1, 0), errno.EAFNOSUPPORT),
        ((10, 1, 0), errno.EAFNOSUPPORT),
        ((16, 3, 0), errno.EAFNOSUPPORT),
        ((40, 1, 0), errno.EAFNOSUPPORT),
        ((1 | 1 << 32, 1, 0), ALLOW),  # the kernel drops the upper half too
        ((2 | 1 << 32, 1, 0), errno.EAFNOSUPPORT),
    ],
)
def test_only_pairs_of_connected_streams_can_be_made(
    machine: str, alone: int | None, arguments: tuple[int, ...], expected: str | int
) -> None:
    assert answer(machine, "socketpair", *arguments, alone=alone) == expected


NAMESPACES = (0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
THREAD = 0x003D0F00  # what libc passes for a thread


@MACHINES
@pytest.mark.parametrize("flag", NAMESPACES)
def test_no_namespace_can_be_made(machine: str, flag: int) -> None:
    for flags in (flag, flag | signal.SIGCHLD, flag | THREAD):
        assert answer(machine, "clone", flags) == errno.EPERM
        assert answer(machine, "clone", flags, alone=7) == errno.EPERM


@MACHINES
def test_processes_can_be_forked_where_the_job_has_a_namespace_of_its_own(machine: str) -> None:
    assert answer(machine, "clone", signal.SIGCHLD) == ALLOW
    assert answer(machine, "clone", signal.SIGCHLD, alone=7) == errno.EPERM


def test_fork_is_refused_to_a_job_that_must_stay_alone() -> None:
    for name in ("fork", "vfork"):
        assert answer("x86_64", name) == ALLOW
        assert answer("x86_64", name, alone=7) == errno.EPERM


@MACHINES
@ALONE
def test_threads_can_be_started(machine: str, alone: int | None) -> None:
    assert answer(machine, "clone", THREAD, alone=alone) == ALLOW


@on_machines_with(("kill", "tgkill"))
def test_a_job_that_is_alone_signals_itself_only(machine: str, name: str) -> None:
    assert answer(machine, name, 4242, 9, alone=4242) == ALLOW
    for other in (1, 0, 4243, 2**32 - 1, 2**32 - 4242):
        assert answer(machine, name, other, 9, alone=4242) == errno.EPERM
        assert answer(machine, name, other, 9) == ALLOW  # where only its own processes exist
    assert answer(machine, "tkill", 4242, 9, alone=4242) == errno.EPERM


MANY_USES: tuple[tuple[str, tuple[int, ...], str | int], ...] = (
    ("prctl", (15,), ALLOW),  # set name
    ("prctl", (38, 0), errno.EPERM),  # set no_new_privs
    ("prctl", (4, 1), errno.EPERM),  # set dumpable
    ("prctl", (1, 0), errno.EPERM),  # set death signal
    ("prctl", (22, 2), errno.EPERM),  # seccomp
    ("prctl", (24, 0), errno.EPERM),  # drop a bound
    ("prctl", (35, 1), errno.EPERM),  # memory map
    ("prctl", (36, 1), errno.EPERM),  # subreaper
    ("ioctl", (1, 0x5401), ALLOW),  # terminal mode
    ("ioctl", (1, 0x5413), ALLOW),  # window size
    ("ioctl", (0, 0x5412), errno.ENOTTY),  # push input into a terminal
    ("ioctl", (0, 0x540E), errno.ENOTTY),  # take a terminal
    ("ioctl", (0, 0x541C), errno.ENOTTY),  # console
    ("ioctl", (0, 0x5412 | 1 << 32), errno.ENOTTY),
    ("fcntl", (1, 2), ALLOW),
    ("fcntl", (1, 3), ALLOW),
    ("fcntl", (1, 1030), ALLOW),
    ("fcntl", (1, 8), errno.EPERM),  # owner
    ("fcntl", (1, 10), errno.EPERM),  # signal
    ("fcntl", (1, 15), errno.EPERM),  # owner, extended
    ("fcntl", (1, 1024), errno.EPERM),  # lease
    ("fcntl", (1, 1026), errno.EPERM),  # notify
    ("prlimit64", (0, 7), ALLOW),
    ("prlimit64", (1, 7), errno.EPERM),
    ("mknodat", (0, 0, 0o010600), ALLOW),
    ("mknodat", (0, 0, 0o100600), ALLOW),
    ("mknodat", (0, 0, 0o020666), errno.EPERM),  # character device
    ("mknodat", (0, 0, 0o060666), errno.EPERM),  # block device
    ("mknodat", (0, 0, 0o140666), errno.EPERM),  # socket
    ("mknod", (0, 0o020666), errno.EPERM),
    ("mknod", (0, 0o600), ALLOW),
)


@pytest.mark.parametrize(
    ("machine", "name", "arguments", "expected"),
    [(machine, *use) for machine in ARCHITECTURES for use in MANY_USES if exists(machine, use[0])],
)
@ALONE
def test_a_call_of_many_uses_has_the_harmless_ones(
    machine: str, alone: int | None, name: str, arguments: tuple[int, ...], expected: str | int
) -> None:
    assert answer(machine, name, *arguments, alone=alone) == expected


@on_machines_with(("chmod", "fchmodat", "utimensat"))
def test_modes_and_times_are_only_pretended_where_files_of_the_host_are_in_sight(machine: str, name: str) -> None:
    assert answer(machine, name) == ALLOW
    assert answer(machine, name, alone=7) == 0


def test_without_a_name_the_filter_is_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for machine in ARCHITECTURES:
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert filters.program(alone=None) == filters.program(alone=None, machine=machine)
