"""The walls around one child: namespaces, a root of its own, no rights, Landlock, seccomp.

Each wall stands or raises `WallFailed`; nothing here decides which level is enough. Runs inside the warm
interpreter, so it imports the standard library only.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Generator
from typing import Any

from handiwork.sandbox import filters, kernel

WORK = "/job"
INSIDE_UID = 1000
_SCRATCH = (kernel.MS_NOSUID, kernel.MS_NODEV, kernel.MS_NOEXEC)
_DEVICES = ("null", "zero", "full", "random", "urandom")


class WallFailed(Exception):
    """A wall does not stand; `wall` names it."""

    def __init__(self, wall: str, number: int, why: str) -> None:
        super().__init__(wall, number, why)
        self.wall, self.number, self.why = wall, number, why


class Walls:
    """Which walls stand so far. `failpoint` names one that must fail, to prove that nothing runs then."""

    def __init__(self, failpoint: "str | None" = None) -> None:
        self.standing: dict[str, bool] = {}
        self._failpoint = failpoint

    @contextlib.contextmanager
    def build(self, name: str) -> Generator[None]:
        try:
            if name == self._failpoint:
                raise OSError(errno.EPERM, "failpoint")  # noqa: TRY301  # fails as the wall itself would
            yield
        except (OSError, ValueError) as refused:
            number = refused.errno if isinstance(refused, OSError) else 0
            raise WallFailed(name, number or 0, str(refused)) from refused
        self.standing[name] = True


def can_be_born_inside(plan: "dict[str, Any]") -> bool:
    """Whether a child may be the first process of its namespace at birth; else it makes it for one that it forks."""
    return plan["level"] == "full" and plan["mounts_first"] and plan["job_uid"] is not None


def enclose(plan: "dict[str, Any]", walls: Walls) -> None:
    """Move this process into namespaces and a root of its own; pid 1 in there is this process, or its first child."""
    own = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    if not plan["mounts_first"] or plan["job_uid"] is None:
        if plan["job_uid"] is not None:
            become(plan["job_uid"], walls)
        _own_user_namespace(own, walls)
        with walls.build("mountNamespace"):
            kernel.unshare(kernel.CLONE_NEWNS)
        with walls.build("privateRoot"):
            _build_root(plan, owner=None)
    else:
        # As root the mounts are made before the rights go: the interpreter may lie where others cannot enter.
        with walls.build("mountNamespace"):
            kernel.unshare(kernel.CLONE_NEWNS)
        with walls.build("privateRoot"):
            _build_root(plan, owner=plan["job_uid"])
        become(plan["job_uid"], walls)
        _own_user_namespace(own, walls)
        with walls.build("mountNamespace"):
            kernel.unshare(kernel.CLONE_NEWNS)
    os.close(own)
    for name, flag in (
        ("networkNamespace", kernel.CLONE_NEWNET),
        ("ipcNamespace", kernel.CLONE_NEWIPC),
        ("utsNamespace", kernel.CLONE_NEWUTS),
        ("cgroupNamespace", kernel.CLONE_NEWCGROUP),
        ("pidNamespace", kernel.CLONE_NEWPID),
    ):
        with walls.build(name):
            if flag != kernel.CLONE_NEWPID or not plan["is_born_inside"]:
                kernel.unshare(flag)
            if flag == kernel.CLONE_NEWUTS:
                socket.sethostname("handiwork")


def become(uid: int, walls: Walls) -> None:
    """Give up root for an ordinary user and group of the host."""
    with walls.build("unprivilegedUser"):
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # a change of user hides /proc/self from its own process


def disarm(walls: Walls) -> None:
    """Drop every capability, for good."""
    with walls.build("capabilities"):
        kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # or the supervisor, as an ordinary user, cannot see its memory
    with walls.build("noNewPrivileges"):
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def guard_paths(rules: "dict[str, int]", walls: Walls) -> None:
    """Apply Landlock."""
    with walls.build("landlock"):
        kernel.restrict_paths(rules)


def filter_calls(walls: Walls, *, alone: "int | None", is_watched: bool) -> None:
    """Apply seccomp; `alone` is the pid of a job that may have no children."""
    with walls.build("seccomp"):
        kernel.filter_system_calls(filters.program(alone=alone, is_watched=is_watched))


def rules_of_root() -> "dict[str, int]":
    scratch = dict.fromkeys((WORK, "/tmp", "/dev/shm"), kernel.LANDLOCK_CHANGE)  # noqa: S108  # the jail's own
    devices = {f"/dev/{name}": kernel.LANDLOCK_READ_FILE | kernel.LANDLOCK_WRITE_FILE for name in _DEVICES}
    return {"/": kernel.LANDLOCK_READ} | scratch | devices


def rules_of_host(plan: "dict[str, Any]") -> "dict[str, int]":
    read = {source: kernel.LANDLOCK_READ for source, _target in plan["binds"]}
    devices = {f"/dev/{name}": kernel.LANDLOCK_READ_FILE | kernel.LANDLOCK_WRITE_FILE for name in _DEVICES}
    work = {plan["work"]: kernel.LANDLOCK_CHANGE, plan["inputs"]: kernel.LANDLOCK_READ}
    return {path: rights for path, rights in (read | devices | work).items() if os.path.exists(path)}


def _own_user_namespace(own: int, walls: Walls) -> None:
    with walls.build("userNamespace"):
        uid, gid = os.geteuid(), os.getegid()
        kernel.unshare(kernel.CLONE_NEWUSER)
        _write(own, "setgroups", "deny")
        _write(own, "uid_map", f"{INSIDE_UID} {uid} 1")
        _write(own, "gid_map", f"{INSIDE_UID} {gid} 1")


def _write(folder: int, name: str, text: str) -> None:
    # By folder descriptor, because /proc may already lie outside this root.
    descriptor = os.open(name, os.O_WRONLY, dir_fd=folder)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _build_root(plan: "dict[str, Any]", *, owner: "int | None") -> None:
    root: str = plan["root"]
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", root, kind="tmpfs", options="mode=755,size=1m,nr_inodes=4096")
    mine = "" if owner is None else f",uid={owner},gid={owner}"
    for folder, size in ((WORK, plan["work_bytes"]), ("/tmp", plan["tmp_bytes"]), ("/dev/shm", plan["tmp_bytes"])):  # noqa: S108
        os.makedirs(root + folder, exist_ok=True)
        options = f"mode=700,size={size},nr_inodes={plan['work_files']}{mine}"
        kernel.mount("tmpfs", root + folder, kind="tmpfs", flags=sum(_SCRATCH), options=options)
    # After the scratch folders, because an interpreter may lie below /tmp.
    for source, target in plan["binds"]:
        _bind(source, root + target)
    for target, to in plan["links"]:
        os.makedirs(os.path.dirname(root + target), exist_ok=True)
        os.symlink(to, root + target)
    _devices(root)
    _bind(plan["inputs"], f"{root}{WORK}/inputs")
    os.makedirs(root + "/mnt", exist_ok=True)
    os.symlink(WORK, root + "/mnt/data")
    kernel.mount("", root, flags=kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | sum(_SCRATCH))
    os.chdir(root)
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "x"):
            pass
    kernel.mount(source, target, flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.seal_mount(target, kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV)


def _devices(root: str) -> None:
    for name in _DEVICES:
        with open(f"{root}/dev/{name}", "x"):
            pass
        kernel.mount(f"/dev/{name}", f"{root}/dev/{name}", flags=kernel.MS_BIND)
