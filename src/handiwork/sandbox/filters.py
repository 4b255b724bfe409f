"""The system calls that a job may make, as a seccomp program for x86-64 and aarch64.

An allow-list: whatever is not named here answers ENOSYS, today's unknown numbers included. It installs
nothing itself. Runs inside the warm interpreter, so it imports the standard library only.
"""

import errno
import functools
import platform
import struct

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
PRETEND = 0x00050000  # the call is skipped and answers success

CLONE_THREAD = 0x00010000
_CLONE_NAMESPACES = 0x7E020080
_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_SET, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# Number on x86-64, on aarch64; None where the machine has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # reading and writing
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70), "preadv2": (327, 286),
    "pwritev2": (328, 287), "lseek": (8, 62), "sendfile": (40, 71), "copy_file_range": (326, 285),
    "fsync": (74, 82), "fdatasync": (75, 83), "fallocate": (285, 47), "truncate": (76, 45),
    "ftruncate": (77, 46), "fadvise64": (221, 223), "flock": (73, 32), "fcntl": (72, 25), "ioctl": (16, 29),
    # names and folders
    "open": (2, None), "openat": (257, 56), "creat": (85, None), "close": (3, 57), "close_range": (436, 436),
    "stat": (4, None), "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "statfs": (137, 43), "fstatfs": (138, 44), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "readlink": (89, None), "readlinkat": (267, 78), "getdents": (78, None),
    "getdents64": (217, 61), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "mkdir": (83, None),
    "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None), "unlinkat": (263, 35),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None),
    "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None),
    "mknodat": (259, 33), "umask": (95, 166), "chmod": (90, None), "fchmod": (91, 52),
    "fchmodat": (268, 53), "fchmodat2": (452, 452), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88),
    # descriptors and waiting
    "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59),
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441), "eventfd": (284, None),
    "eventfd2": (290, 19),
    # memory
    "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233),
    "brk": (12, 214), "msync": (26, 227), "mincore": (27, 232), "membarrier": (324, 283),
    # processes, threads, signals
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "exit": (60, 93), "exit_group": (231, 94),
    "wait4": (61, 260), "waitid": (247, 95), "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getgroups": (115, 158),
    "getresuid": (118, 148), "getresgid": (120, 150), "getpgrp": (111, None), "getpgid": (121, 155),
    "setpgid": (109, 154), "getsid": (124, 156), "setsid": (112, 157), "getpriority": (140, 141),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126), "getcpu": (309, 168), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigsuspend": (130, 133),
    "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "pause": (34, None), "alarm": (37, None), "setitimer": (38, 103),
    "getitimer": (36, 102), "futex": (202, 98), "futex_waitv": (449, 449), "set_tid_address": (218, 96),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "rseq": (334, 293),
    "arch_prctl": (158, None), "prctl": (157, 167), "prlimit64": (302, 261), "getrlimit": (97, 163),
    "setrlimit": (160, 164), "getrusage": (98, 165),
    # time and facts
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153),
    "uname": (63, 160), "sysinfo": (99, 179), "getrandom": (318, 278),
    # pairs of connected sockets, which asyncio and multiprocessing need
    "socketpair": (53, 199), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211),
    "recvmsg": (47, 212), "shutdown": (48, 210), "getsockopt": (55, 209), "getsockname": (51, 204),
    "getpeername": (52, 205),
    # answered, never carried out
    "socket": (41, 198), "execve": (59, 221), "execveat": (322, 281), "clone3": (435, 435),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "getxattr": (191, 8),
    "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11), "llistxattr": (195, 12),
    "flistxattr": (196, 13), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "setpriority": (141, 140), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "setsockopt": (54, 208), "setuid": (105, 146), "setgid": (106, 144), "setgroups": (116, 159),
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
}  # fmt: skip

# What libraries meet in ordinary work gets the answer that they know how to handle.
_ANSWERS = {
    "socket": errno.EAFNOSUPPORT,
    "execve": errno.EPERM,
    "execveat": errno.EPERM,
    "clone3": errno.ENOSYS,  # libc falls back to clone, whose flags a filter can see
    "setpriority": errno.EPERM,
    "sched_setaffinity": errno.EPERM,
    "sched_setscheduler": errno.EPERM,
    "setsockopt": errno.EPERM,  # it would load a packet filter into the kernel
    "setuid": errno.EPERM,
    "setgid": errno.EPERM,
    "setgroups": errno.EPERM,
    "chown": errno.EPERM,
    "lchown": errno.EPERM,
    "fchown": errno.EPERM,
    "fchownat": errno.EPERM,
} | {name: errno.EOPNOTSUPP for name in _NUMBERS if name.endswith("xattr")}

_PATH_MODES = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat")
_SAFE_PRCTL = (2, 3, 15, 16, 21, 23, 39)  # get pdeathsig, dumpable; set and get name; get seccomp, bounds, privs
# Terminal size and mode, close-on-exec, non-blocking, bytes waiting: nothing else, least of all TIOCSTI.
_SAFE_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# No owner, no lease, no notification: a descriptor must not be able to send signals.
_SAFE_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
_S_IFIFO, _S_IFREG, _S_IFMT = 0o010000, 0o100000, 0o170000

Instruction = tuple[int, int, int, int]


def program(*, alone: int | None, is_watched: bool = False, machine: str | None = None) -> bytes:
    """Return the filter.

    `alone` is the process id of a job that may have no children and signal only itself. `is_watched` says that
    no control group counts its memory, so that none may be held where looking does not find it.
    """
    return _program(alone, is_watched, machine or platform.machine())


@functools.cache
def _program(alone: int | None, is_watched: bool, machine: str) -> bytes:
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call table for {machine}")
    column, architecture = _ARCHITECTURES[machine]
    code: list[Instruction] = [
        (_LOAD, 0, 0, 4),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, KILL_PROCESS),
        (_LOAD, 0, 0, 0),
    ]
    if machine == "x86_64":  # the x32 numbers reach the same kernel code under other names
        code += [(_JUMP_ABOVE, 0, 1, 0x40000000), _answer(errno.ENOSYS)]
    special = _checks(alone) | (_WATCHED if is_watched else {})
    for name, numbers in _NUMBERS.items():
        if (number := numbers[column]) is None:
            continue
        body = special.get(name) or [_answer(_ANSWERS[name]) if name in _ANSWERS else (_RETURN, 0, 0, ALLOW)]
        code += [(_JUMP_EQUAL, 0, len(body), number), *body]
    code.append(_answer(errno.ENOSYS))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _checks(alone: int | None) -> dict[str, list[Instruction]]:
    checks = {
        "socketpair": _only(0, (1,), errno.EAFNOSUPPORT, then=_only(1, (1,), errno.EPERM, mask=0xF)),
        "prctl": _only(0, _SAFE_PRCTL, errno.EPERM),
        "ioctl": _only(1, _SAFE_IOCTL, errno.ENOTTY),
        "fcntl": _only(1, _SAFE_FCNTL, errno.EPERM),
        "prlimit64": _only(0, (0,), errno.EPERM),
        "clone": _without(0, _CLONE_NAMESPACES, errno.EPERM),
        "mknod": _only(1, (0, _S_IFREG, _S_IFIFO), errno.EPERM, mask=_S_IFMT),
        "mknodat": _only(2, (0, _S_IFREG, _S_IFIFO), errno.EPERM, mask=_S_IFMT),
    }
    if alone is None:
        return checks
    checks["clone"] = [
        *_argument(0),
        (_JUMP_SET, 1, 0, _CLONE_NAMESPACES),
        (_JUMP_SET, 1, 0, CLONE_THREAD),
        _answer(errno.EPERM),
        (_RETURN, 0, 0, ALLOW),
    ]
    checks |= {name: [_answer(errno.EPERM)] for name in ("fork", "vfork", "tkill")}
    # It would take the host's disk faster than anyone can look; libc then writes zeros instead.
    checks["fallocate"] = [_answer(errno.EOPNOTSUPP)]
    checks |= {name: _only(0, (alone,), errno.EPERM) for name in ("kill", "tgkill")}
    # Landlock does not guard modes and times, and the interpreter's own files may belong to the same user.
    checks |= {name: [(_RETURN, 0, 0, PRETEND)] for name in _PATH_MODES}
    return checks


# Shared memory without a name can be held unmapped; with a name it lies in a file system that is counted.
_SHARED_NAMELESS = 0x01 | 0x20


def _answer(number: int) -> Instruction:
    return (_RETURN, 0, 0, 0x00050000 | number)


def _argument(index: int) -> list[Instruction]:
    # The kernel takes these arguments as 32-bit values, so the low half decides.
    return [(_LOAD, 0, 0, 16 + 8 * index)]


def _only(
    index: int, values: tuple[int, ...], refusal: int, *, mask: int | None = None, then: list[Instruction] | None = None
) -> list[Instruction]:
    allowed = then or [(_RETURN, 0, 0, ALLOW)]
    load = _argument(index) + ([(_AND, 0, 0, mask)] if mask is not None else [])
    tests = [(_JUMP_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [*load, *tests, _answer(refusal), *allowed]


def _without(index: int, bits: int, refusal: int) -> list[Instruction]:
    return [*_argument(index), (_JUMP_SET, 0, 1, bits), _answer(refusal), (_RETURN, 0, 0, ALLOW)]


_WATCHED = {
    "mmap": [
        *_argument(3),
        (_AND, 0, 0, _SHARED_NAMELESS),
        (_JUMP_EQUAL, 0, 1, _SHARED_NAMELESS),
        _answer(errno.EPERM),
        (_RETURN, 0, 0, ALLOW),
    ]
}
