"""Linux system calls that Python's standard library does not offer, through ctypes alone.

Thin and without policy: which walls to build is decided in `jail`. Runs inside the warm interpreter, so
it imports the standard library only.
"""

import ctypes
import errno
import os
import platform
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
AT_RECURSIVE = 0x8000
AT_FDCWD = -100

MADV_POPULATE_READ, MADV_POPULATE_WRITE = 22, 23  # since Linux 5.14
MADV_COLLAPSE = 25  # since Linux 6.1

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
# NOROOT, NO_SETUID_FIXUP, KEEP_CAPS off and NO_CAP_AMBIENT_RAISE, each with its lock.
SECUREBITS = 0b11101111

_NUMBERS = {  # name: (x86-64, aarch64)
    "pivot_root": (155, 41),
    "capset": (126, 91),
    "close_range": (436, 436),
    "mount_setattr": (442, 442),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
_COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine())
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _call(name: str, *arguments: object) -> int:
    if _COLUMN is None:
        raise OSError(errno.ENOSYS, f"{name}: no system call table for {platform.machine()}")
    return _checked(_libc.syscall(ctypes.c_long(_NUMBERS[name][_COLUMN]), *arguments), name)


def fork_inside(home: int) -> int:
    """Do as `os.fork` does, with the child as the first process of a new namespace; `home` is our own.

    Raises `RuntimeError` in the parent where it does not come home: what it forked then would be born in there too.
    """
    unshare(CLONE_NEWPID)
    pid = -1
    try:
        pid = os.fork()
        return pid
    finally:
        if pid:
            try:
                bear_children_in(home)
            except OSError as refused:
                raise RuntimeError("no way back to the own process namespace") from refused


def bear_children_in(namespace: int) -> None:
    """Let the children of this process be in the process namespace `namespace`, a descriptor."""
    _checked(_libc.setns(ctypes.c_int(namespace), ctypes.c_int(CLONE_NEWPID)), "setns")


def leave_at(number: int) -> None:
    """Let this process leave when the signal comes, with its number as exit code and without a line of Python."""
    _libc.signal(ctypes.c_int(number), ctypes.cast(_libc._exit, ctypes.c_void_p))


def unshare(flags: int) -> None:
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def prctl(option: int, *arguments: int) -> int:
    return _checked(_libc.prctl(option, *(*arguments, 0, 0, 0, 0)[:4]), "prctl")


def mount(source: str, target: str, *, kind: str = "", flags: int = 0, options: str = "") -> None:
    outcome = _libc.mount(
        os.fsencode(source), os.fsencode(target), os.fsencode(kind), ctypes.c_ulong(flags), os.fsencode(options)
    )
    _checked(outcome, f"mount {target}")


def advise(address: int, length: int, advice: int) -> None:
    """Tell the kernel about memory of this process: `madvise`."""
    _checked(_libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(length), ctypes.c_int(advice)), "madvise")


def unmount(target: str) -> None:
    _checked(_libc.umount2(os.fsencode(target), ctypes.c_int(MNT_DETACH)), f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    _call("pivot_root", ctypes.c_char_p(os.fsencode(new)), ctypes.c_char_p(os.fsencode(old)))


def seal_mount(target: str, flags: int) -> None:
    """Add `flags` (`MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC`) to a mount and to all mounts below it."""
    attributes = ctypes.create_string_buffer(struct.pack("<QQQQ", flags & 0xF, 0, 0, 0))
    path = ctypes.c_char_p(os.fsencode(target))
    try:
        _call("mount_setattr", AT_FDCWD, path, AT_RECURSIVE, attributes, ctypes.c_size_t(32))
    except OSError as refused:
        if refused.errno != errno.ENOSYS:
            raise
        # Before Linux 5.12: a remount must repeat the flags that stand, or a user namespace refuses it.
        standing = os.statvfs(target).f_flag & (0xF | 1024 | 2048 | 4096)
        mount("", target, flags=MS_REMOUNT | MS_BIND | flags | standing)


def close_all_but(kept: "set[int]") -> None:
    """Close every descriptor from 3 on that is not in `kept`."""
    start = 3
    for descriptor in [*sorted(d for d in kept if d >= start), 0x7FFFFFFF]:
        if descriptor > start:
            _call("close_range", ctypes.c_uint(start), ctypes.c_uint(descriptor - 1), ctypes.c_uint(0))
        start = descriptor + 1


def drop_capabilities() -> None:
    """Empty every capability set, for good."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as refused:
            if refused.errno == errno.EINVAL:  # past the last capability of this kernel
                break
            if refused.errno != errno.EPERM:  # without CAP_SETPCAP the set cannot be lowered, nor used
                raise
    try:
        prctl(PR_SET_SECUREBITS, SECUREBITS)
    except OSError as refused:
        if refused.errno != errno.EPERM:
            raise
    header = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0))
    _call("capset", header, ctypes.create_string_buffer(24))


def filter_system_calls(program: bytes) -> None:
    """Install a seccomp filter; `no_new_privs` must be set."""
    code = ctypes.create_string_buffer(program, len(program))
    descriptor = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    holder = ctypes.create_string_buffer(descriptor, len(descriptor))
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(holder))


LANDLOCK_EXECUTE = 1 << 0
LANDLOCK_WRITE_FILE = 1 << 1
LANDLOCK_READ_FILE = 1 << 2
LANDLOCK_READ_DIR = 1 << 3
LANDLOCK_REMOVE = 1 << 4 | 1 << 5
LANDLOCK_MAKE_CHAR = 1 << 6
LANDLOCK_MAKE_DIR = 1 << 7
LANDLOCK_MAKE_REG = 1 << 8
LANDLOCK_MAKE_SOCK = 1 << 9
LANDLOCK_MAKE_FIFO = 1 << 10
LANDLOCK_MAKE_BLOCK = 1 << 11
LANDLOCK_MAKE_SYM = 1 << 12
LANDLOCK_REFER = 1 << 13
LANDLOCK_TRUNCATE = 1 << 14
LANDLOCK_IOCTL_DEV = 1 << 15
LANDLOCK_READ = LANDLOCK_READ_FILE | LANDLOCK_READ_DIR
LANDLOCK_CHANGE = (
    LANDLOCK_READ
    | LANDLOCK_WRITE_FILE
    | LANDLOCK_REMOVE
    | LANDLOCK_MAKE_DIR
    | LANDLOCK_MAKE_REG
    | LANDLOCK_MAKE_FIFO
    | LANDLOCK_MAKE_SYM
    | LANDLOCK_REFER
    | LANDLOCK_TRUNCATE
)
_LANDLOCK_ON_FILES = (
    LANDLOCK_EXECUTE | LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_TRUNCATE | LANDLOCK_IOCTL_DEV
)


def landlock_version() -> int:
    """Return the kernel's Landlock ABI, or raise `OSError` where there is none."""
    return _call("landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint(1))


def restrict_paths(rules: "dict[str, int]") -> None:
    """Deny every file, TCP port, foreign abstract socket and foreign signal but what `rules` grants by path."""
    version = landlock_version()
    known = 0x1FFF
    for needed, right in ((2, LANDLOCK_REFER), (3, LANDLOCK_TRUNCATE), (5, LANDLOCK_IOCTL_DEV)):
        known |= right if version >= needed else 0
    attributes = struct.pack("<QQQ", known, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    ruleset = _call("landlock_create_ruleset", buffer, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for path, rights in rules.items():
            _grant(ruleset, path, rights & known)
        _call("landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _grant(ruleset: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            rights &= _LANDLOCK_ON_FILES
        rule = ctypes.create_string_buffer(struct.pack("<Qi", rights, place), 12)
        _call("landlock_add_rule", ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0))
    finally:
        os.close(place)
