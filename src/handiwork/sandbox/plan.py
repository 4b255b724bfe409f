"""What is told to a child: the plan by which its walls are built, and the order that it carries out.

Both are plain data for the wire; nothing is done here.
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from handiwork.model import MIB, Level, Limits
from handiwork.sandbox.interpreter import ONE_THREAD
from handiwork.sandbox.readset import ReadSet
from handiwork.sandbox.sandbox import Job
from handiwork.sandbox.workspace import Place

WORK = "/job"
WORK_FILES = 20_000
TMP_BYTES = 64 * MIB
ADDRESS_BYTES = 1024 * MIB  # libraries that a job maps, and the stacks of its threads
JOB_UID = 2_000_000_000
_JOB_UIDS = 1_000_000
_NOBODY = 65534
_CAP_KILL, _CAP_SETUID, _CAP_SYS_ADMIN = 5, 7, 21
_IN_THE_JAIL = {"HOME": "/tmp", "TMPDIR": "/tmp", "MPLCONFIGDIR": "/tmp/.matplotlib"}  # noqa: S108  # its own /tmp


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all children of one sandbox have in common. `failpoint` names a wall that must fail."""

    level: Level
    root: Path
    readable: ReadSet
    is_grouped: bool
    failpoint: str | None = None


def work_bytes(limits: Limits) -> int:
    """How large the working folder is: room for files that the program deletes again."""
    return max(64 * MIB, 4 * limits.output_bytes)


def plan(ground: Ground, limits: Limits, place: Place, *, is_warm: bool = False) -> dict[str, Any]:
    """Return the plan of a child. As root it names an ordinary user of the host for the job, a new one each time.

    One that is warm gets the memory that jobs commonly need before it is ready.
    """
    uid = _job_uid(ground)
    if uid is not None and ground.level != "full":
        os.chown(place.work, uid, uid)
    return {
        "level": ground.level,
        "root": str(ground.root),
        "binds": ground.readable.binds,
        "links": ground.readable.links,
        "inputs": str(place.inputs),
        "work": str(place.work),
        "work_bytes": work_bytes(limits),
        "work_files": WORK_FILES,
        "tmp_bytes": TMP_BYTES,
        "job_uid": uid,
        "mounts_first": _may(_CAP_SYS_ADMIN),
        "is_watched": not ground.is_grouped,
        "failpoint": ground.failpoint,
        "folder": _folder(ground.level, place),
        "environment": _environment(ground.level, place),
        "is_warm": is_warm,
    }


def is_usual(ground: Ground, limits: Limits, usual: Limits) -> bool:
    """Whether a child with the limits `usual` can be used for these: all but the size of its root is set later."""
    return ground.level != "full" or work_bytes(limits) == work_bytes(usual)


def order(job: Job, level: Level, place: Place, *, allowed_imports: Sequence[str], is_grouped: bool) -> dict[str, Any]:
    """Return the order for a child that is ready."""
    return {
        "code": job.code,
        "name": job.name,
        "check": job.is_checked,
        "allowed_imports": allowed_imports,
        "folder": _folder(level, place),
        "inputs": [given.name for given in job.inputs],
        "limits": {
            "memory_bytes": job.limits.memory_bytes,
            "work_bytes": work_bytes(job.limits),
            # Shared memory that is dropped but not freed is seen by no sum of mapped pages.
            "address_bytes": None if is_grouped else job.limits.memory_bytes + ADDRESS_BYTES,
            # A control group gives one processor; without it threads add up on all of them.
            "cpu_seconds": (int(job.limits.wall_seconds) + 2) * (1 if is_grouped else os.cpu_count() or 1),
            # Counted for the namespace alone only at `full`; elsewhere it would count the user's other processes.
            "processes": job.limits.processes + 1 if level == "full" else None,
        },
    }


def _folder(level: Level, place: Place) -> str:
    return WORK if level == "full" else str(place.work)


def _environment(level: Level, place: Place) -> dict[str, str]:
    folder = _folder(level, place)
    in_place = {"HOME": folder, "TMPDIR": f"{folder}/.tmp", "MPLCONFIGDIR": f"{folder}/.tmp/matplotlib"}
    own = _IN_THE_JAIL if level == "full" else in_place
    return {"LANG": "C.UTF-8", "TZ": "UTC", "MPLBACKEND": "Agg", "PATH": "", **ONE_THREAD, **own}


def given_names(job: Job, level: Level) -> frozenset[str]:
    """The names in the working folder that the supervisor put there, and scratch space that is no output."""
    scratch = () if level == "full" else (".tmp",)
    return frozenset({"inputs", *scratch, *(given.name for given in job.inputs)})


def _job_uid(ground: Ground) -> int | None:
    if os.geteuid() != 0 or ground.level == "none" or not _may(_CAP_SETUID) or not _may(_CAP_KILL):
        return None  # nobody may be what this process cannot end
    # The root of most containers has no right to mount, and must change its user before it makes its namespaces.
    is_early = ground.level == "unprivileged" or not _may(_CAP_SYS_ADMIN)
    if is_early and not all(_is_open_to_all(Path(source)) for source, _place in ground.readable.binds):
        return None
    return _mapped_uid(JOB_UID + secrets.randbelow(_JOB_UIDS))


@cache
def _may(capability: int) -> bool:
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> capability & 1)


def _mapped_uid(wanted: int) -> int | None:
    for uid in (wanted, _NOBODY):
        if any(first <= uid < first + count for first, _outside, count in _user_ids()):
            return uid
    return None


@cache
def _user_ids() -> tuple[tuple[int, ...], ...]:
    lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    return tuple(tuple(map(int, line.split())) for line in lines)


def _is_open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents) if folder.is_dir())
