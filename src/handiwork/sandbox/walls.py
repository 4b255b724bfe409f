"""The walls of each isolation level, the proof from outside that they stand, and what to do when one fails.

Builds nothing; that is the jail's work inside the child.
"""

import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from handiwork.errors import IsolationUnavailable
from handiwork.model import Level

_IN_PLACE = ("cleanDescriptors", "capabilities", "noNewPrivileges", "landlock", "seccomp", "limits")
_NAMESPACES = MappingProxyType(
    {
        "userNamespace": "user",
        "mountNamespace": "mnt",
        "pidNamespace": "pid",
        "networkNamespace": "net",
        "ipcNamespace": "ipc",
        "utsNamespace": "uts",
        "cgroupNamespace": "cgroup",
    }
)
REQUIRED: Mapping[Level, tuple[str, ...]] = MappingProxyType(
    {
        "full": (*_NAMESPACES, "privateRoot", *_IN_PLACE),
        "unprivileged": _IN_PLACE,
        "none": ("cleanDescriptors", "limits"),
    }
)
ALL = (*REQUIRED["full"], "unprivilegedUser")

_NAMESPACE_FIX = (
    "Allow unprivileged user namespaces (`sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu also "
    "`kernel.apparmor_restrict_unprivileged_userns=0`), or start the container with the profile in "
    "docs/guides/containers.md."
)
_FIXES = MappingProxyType(
    {
        "privateRoot": (
            "Allow mounts in a user namespace, or start the container with the profile in docs/guides/containers.md."
        ),
        "landlock": (
            "Use Linux 5.13 or newer with `landlock` among the `lsm=` modules, and allow its calls in the container."
        ),
        "seccomp": "Use an x86-64 or aarch64 kernel with CONFIG_SECCOMP_FILTER.",
        "fork": "Free memory or raise the process limit of the server.",
        "platform": "Run this on Linux, or point to a worker on Linux.",
        "verified": "Check that /proc is mounted for the server.",
    }
    | dict.fromkeys(_NAMESPACES, _NAMESPACE_FIX)
)


def fix_for(wall: str) -> str:
    return _FIXES.get(wall, "Report this with the output of `handiwork doctor --json`.")


def unavailable(level: str, wall: str, why: str) -> IsolationUnavailable:
    return IsolationUnavailable(level, wall=wall, why=why, fix=fix_for(wall))


def demand_platform(level: str) -> None:
    """Refuse every machine for which there are no walls."""
    if platform.system() != "Linux":
        raise unavailable(level, "platform", f"{platform.system()} has none of the kernel walls")


def prove(pid: int, level: Level, told: Mapping[str, bool]) -> Mapping[str, bool]:
    """Return the walls around `pid`, or raise `IsolationUnavailable`.

    What the child told is not taken on trust where the kernel can be asked: its namespaces, capabilities,
    `no_new_privs` and seccomp mode are read from /proc.
    """
    missing = [wall for wall in REQUIRED[level] if not told.get(wall)]
    if missing:
        raise unavailable(level, missing[0], "it was not built")
    if level != "none":
        _ask_kernel(pid, level)
    return MappingProxyType({wall: bool(told.get(wall)) for wall in ALL})


def _ask_kernel(pid: int, level: Level) -> None:
    try:
        status = dict(_status(pid))
        shared = [wall for wall, name in _NAMESPACES.items() if level == "full" and _same_namespace(pid, name)]
    except OSError as refused:
        raise unavailable(level, "verified", f"/proc/{pid} cannot be read: {refused.strerror}") from refused
    if shared:
        raise unavailable(level, shared[0], "the job shares the namespace of the server")
    for field, value, wall in (
        ("Seccomp", 2, "seccomp"),
        ("NoNewPrivs", 1, "noNewPrivileges"),
        ("CapEff", 0, "capabilities"),
        ("CapPrm", 0, "capabilities"),
    ):
        if int(status.get(field, "-1"), 16) != value:
            raise unavailable(level, wall, f"{field} is {status.get(field, 'not told')}")


def _status(pid: int) -> list[tuple[str, str]]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


def _same_namespace(pid: int, name: str) -> bool:
    return _namespace(str(pid), name) == _own_namespace(os.getpid(), name)


@cache
def _own_namespace(_pid: int, name: str) -> int:
    # A process that has threads stays where it is.
    return _namespace("self", name)


def _namespace(pid: str, name: str) -> int:
    return os.stat(f"/proc/{pid}/ns/{name}").st_ino  # noqa: PTH116  # os.stat follows the namespace link
