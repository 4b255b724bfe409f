"""One control group for each job: memory with swap, processes, CPU; version 2, and version 1 where the host has it.

Groups are siblings under the supervisor's own, made where it may write. What the limits are is not decided here.
"""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from handiwork.errors import SandboxBroken
from handiwork.ids import BASE36, nanoid
from handiwork.model import MIB, Limits

PREFIX = "handiwork-"
# What a job copies of the preloaded interpreter is not its own; and rlimits, which name the line, come first.
COPIES_BYTES = 32 * MIB
_PERIOD_MICROSECONDS = 100_000
_UNLIMITED_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchies:
    """The folders under which groups can be made: one for version 2, up to three for version 1."""

    version: int
    memory: Path
    pids: Path | None
    cpu: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The group of one job."""

    version: int
    memory: Path
    folders: tuple[Path, ...]

    def limit(self, limits: Limits) -> None:
        """Hold the group to other limits than those that it was made with."""
        if self.version == 2:
            files = _files_2(limits, 0.0)
            _set(self.memory, {**files["memory"], **files["pids"]})
            return
        # Memory with swap may never be less than memory alone, whichever way both go.
        _set(self.memory, {"?memory.memsw.limit_in_bytes": "-1", **_files_1(limits, 0.0)["memory"]})
        for folder in self.folders:
            if (folder / "pids.max").exists():
                _set(folder, _files_1(limits, 0.0)["pids"])

    def take(self, pid: int) -> None:
        """Move a process into the group; what it forks from now on belongs to it. One that died is `SandboxBroken`."""
        try:
            for folder in self.folders:
                (folder / "cgroup.procs").write_text(str(pid), encoding="ascii")
        except ProcessLookupError as gone:
            raise SandboxBroken(f"process {pid} died before it had its job") from gone

    def kills(self) -> int:
        """How many processes the kernel ended because the group was over its memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        with contextlib.suppress(OSError, ValueError):
            for line in (self.memory / name).read_text(encoding="ascii").splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value)
        return 0

    def tasks(self) -> int | None:
        """How many processes and threads are in the group, also those that are leaving; None where nobody counts."""
        for folder in self.folders:
            with contextlib.suppress(OSError, ValueError):
                return int((folder / "pids.current").read_text(encoding="ascii"))
        return None

    def peak_bytes(self) -> int:
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        with contextlib.suppress(OSError, ValueError):
            return int((self.memory / name).read_text(encoding="ascii"))
        return 0

    def remove(self) -> None:
        """End what is left in the group and remove it; pages that it still holds do not keep it."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()
                continue
            for pid in _processes(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                folder.rmdir()


def find(*, membership: str, root: Path = _UNLIMITED_ROOT) -> Hierarchies | None:
    """Return where groups can be made, or None. `membership` is the text of `/proc/self/cgroup`."""
    places = dict(_places(membership))
    return _version_2(places, root) or _version_1(places, root)


def writable(*, cores: float) -> Hierarchies | None:
    """Return where this process can make groups that hold a job, or None; what was left there by others is removed."""
    try:
        membership = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        return None
    found = find(membership=membership)
    if found is None:
        return None
    sweep(found)
    try:
        make(found, Limits(), cores=cores).remove()
    except OSError:
        return None
    return found


def memory_limit(*, membership: str, root: Path = _UNLIMITED_ROOT) -> int | None:
    """Return how many bytes the group of this process and all above it may have, or None."""
    places = dict(_places(membership))
    found: list[int] = []
    if "memory" in places:
        for folder in _upwards(root / "memory", places["memory"]):
            with contextlib.suppress(OSError, ValueError, StopIteration):
                lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
                # It takes the groups above into account.
                found.append(
                    int(next(line for line in lines if line.startswith("hierarchical_memory_limit")).split()[1])
                )
                break
    for folder in _upwards(root, places.get("", "/")):
        with contextlib.suppress(OSError, ValueError):
            found.append(int((folder / "memory.max").read_text(encoding="ascii")))
    return min(found) if found else None


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    # Inside a container the path of the host may not exist, and the mount itself is the container's group.
    folder = mount / path.lstrip("/")
    while folder != mount:
        yield folder
        folder = folder.parent
    yield mount


def make(hierarchies: Hierarchies, limits: Limits, *, cores: float) -> Group:
    """Make a group that holds a job to its limits; `cores` may be used at once."""
    name = f"{PREFIX}{os.getpid()}-{nanoid(12, alphabet=BASE36)}"
    pairs = _files_2(limits, cores) if hierarchies.version == 2 else _files_1(limits, cores)
    places = {"memory": hierarchies.memory, "pids": hierarchies.pids, "cpu": hierarchies.cpu}
    group = Group(
        version=hierarchies.version,
        memory=hierarchies.memory / name,
        folders=tuple(dict.fromkeys(place / name for place in places.values() if place is not None)),
    )
    try:
        for folder in group.folders:
            folder.mkdir()
        for controller, files in pairs.items():
            if (place := places[controller]) is not None:
                _set(place / name, files)
    except OSError:
        group.remove()
        raise
    return group


def sweep(hierarchies: Hierarchies) -> None:
    """Remove the groups without a process that supervisors have left which are gone."""
    for place in {hierarchies.memory, hierarchies.pids, hierarchies.cpu} - {None}:
        for folder in place.glob(f"{PREFIX}*") if place else ():
            # A living supervisor may have made its group a moment ago and not yet filled it.
            owner = folder.name.removeprefix(PREFIX).partition("-")[0]
            if not Path("/proc", owner).exists() and not _processes(folder):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _set(folder: Path, files: Mapping[str, str]) -> None:
    for file, value in files.items():
        optional = file.startswith("?")
        try:
            (folder / file.lstrip("?")).write_text(value, encoding="ascii")
        except OSError:
            if not optional:
                raise


def _files_2(limits: Limits, cores: float) -> dict[str, dict[str, str]]:
    return {
        "memory": {"memory.max": str(limits.memory_bytes + COPIES_BYTES), "?memory.swap.max": "0"},
        "pids": {"pids.max": str(limits.processes)},
        "cpu": {"?cpu.max": f"{int(cores * _PERIOD_MICROSECONDS)} {_PERIOD_MICROSECONDS}"},
    }


def _files_1(limits: Limits, cores: float) -> dict[str, dict[str, str]]:
    memory = str(limits.memory_bytes + COPIES_BYTES)
    return {
        # Absent where the kernel does not account for swap, and then swap is not used for the group.
        "memory": {"memory.limit_in_bytes": memory, "?memory.memsw.limit_in_bytes": memory, "?memory.swappiness": "0"},
        "pids": {"pids.max": str(limits.processes)},
        "cpu": {"?cpu.cfs_quota_us": str(int(cores * _PERIOD_MICROSECONDS))},
    }


def _places(membership: str) -> Iterator[tuple[str, str]]:
    for line in membership.splitlines():
        _number, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _version_1(places: Mapping[str, str], root: Path) -> Hierarchies | None:
    found = {c: _own(root, c, places[c]) for c in ("memory", "pids", "cpu") if c in places}
    memory = found.get("memory")
    if memory is None:
        return None
    return Hierarchies(version=1, memory=memory, pids=found.get("pids"), cpu=found.get("cpu"))


def _own(root: Path, controller: str, path: str) -> Path | None:
    # Inside a container the path of the host may not exist, and the mount itself is the container's group.
    for mount in (root / controller, root / "cpu,cpuacct" if controller == "cpu" else root / controller):
        for folder in (mount / path.lstrip("/"), mount):
            if (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK):
                return folder
    return None


def _version_2(places: Mapping[str, str], root: Path) -> Hierarchies | None:
    if "" not in places:
        return None
    mount = root / "unified" if (root / "unified").is_dir() else root
    joined = mount / places[""].lstrip("/")
    # A sandbox that was here before has moved this process into a leaf.
    for own in (joined.parent if joined.name == f"{PREFIX}supervisor" else joined, mount):
        enabled = own / "cgroup.subtree_control"
        if not os.access(own, os.W_OK) or not os.access(enabled, os.W_OK):
            continue
        offered = _words(own / "cgroup.controllers")
        if "memory" in offered and "pids" in offered and _enable(own, offered):
            return Hierarchies(version=2, memory=own, pids=own, cpu=own if "cpu" in offered else None)
    return None


def _enable(own: Path, offered: set[str]) -> bool:
    """Hand the controllers down; a group with processes of its own must first move them into a leaf."""
    wanted = {"memory", "pids", "cpu"} & offered
    control = own / "cgroup.subtree_control"
    missing = " ".join(f"+{controller}" for controller in sorted(wanted - _words(control)))
    if not missing:
        return True
    with contextlib.suppress(OSError):
        control.write_text(missing, encoding="ascii")
        return True
    if set(_processes(own)) - {os.getpid()}:
        return False
    try:
        leaf = own / f"{PREFIX}supervisor"
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        control.write_text(missing, encoding="ascii")
    except OSError:
        return False
    return True


def _words(file: Path) -> set[str]:
    with contextlib.suppress(OSError):
        return set(file.read_text(encoding="ascii").split())
    return set()


def _processes(folder: Path) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        return [int(pid) for pid in (folder / "cgroup.procs").read_text(encoding="ascii").split()]
    return []
