"""How much of this machine there is for jobs: processors and memory, as this process may use them.

What is done with it is decided where the sandbox is put together.
"""

import contextlib
import os
import sys
from pathlib import Path

from handiwork.model import MIB
from handiwork.sandbox import cgroups

# What a job takes beyond its own limit, and what one that waits for a job holds.
BESIDE_A_JOB_BYTES = 128 * MIB
READY_BYTES = 64 * MIB
# At most this part of the memory for children that only wait.
_PART_FOR_READY = 8


def processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def memory_bytes() -> int | None:
    """How much memory this process and its children may have in all; None where nobody says."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")]
    with contextlib.suppress(OSError):
        limit = cgroups.memory_limit(membership=Path("/proc/self/cgroup").read_text(encoding="utf-8"))
        found += [limit] if limit is not None else []
    return min(found) if found else None


def concurrency(job_bytes: int, *, cores: int | None = None, memory: int | None = None) -> int:
    """How many jobs with so much memory each may run at a time: one for each processor, at least two, if they fit."""
    cores = processors() if cores is None else cores
    memory = memory_bytes() if memory is None else memory
    wanted = max(2, cores)
    return wanted if memory is None else max(1, min(wanted, memory // (job_bytes + BESIDE_A_JOB_BYTES)))


def ready(concurrency: int, *, memory: int | None = None) -> int:
    """How many children are kept ready: one for each job that may run, if there is memory for it."""
    memory = memory_bytes() if memory is None else memory
    return concurrency if memory is None else min(concurrency, memory // (_PART_FOR_READY * READY_BYTES))
