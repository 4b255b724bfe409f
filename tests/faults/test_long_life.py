"""A sandbox that has had a thousand jobs, good ones and bad ones, is as it was: nothing of them adds up."""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from handiwork.model import MIB, Level, Limits, Status
from handiwork.sandbox.local import LocalSandbox, Policy
from handiwork.sandbox.sandbox import Input, Job, Places
from security.jails import descendants, eventually, open_descriptors

RUNS = 1000
TOGETHER, READY = 3, 2
JOBS: dict[str, tuple[str, set[Status]]] = {
    "nothing": ("pass", {"succeeded"}),
    "files": ("for n in range(20): open(f'f{n}.txt', 'w').write('x' * 1000)", {"succeeded"}),
    "chart": ("import matplotlib.pyplot as plt; plt.bar([1], [1]); plt.savefig('a.png')", {"succeeded"}),
    "input": ("print(open('given.txt').read())", {"succeeded"}),
    "error": ("1 / 0", {"failed"}),
    "crash": ("import ctypes; ctypes.string_at(0)", {"killed"}),
    "end": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", {"killed"}),
    "time": ("while True: pass", {"timed_out"}),
    "memory": ("held = [bytes(10**6) for _ in range(10**6)]", {"out_of_memory"}),
    "output": ("open('big', 'wb').write(bytes(20 * 10**6))", {"output_too_large", "failed"}),
    "daemons": (
        "import os\nfor _ in range(5):\n    if os.fork() == 0: import time; time.sleep(60)",
        {"succeeded", "failed"},
    ),
}  # fmt: skip
WEIGHTS = {"nothing": 30, "files": 15, "chart": 10, "input": 15, "error": 10, "daemons": 6}


async def content() -> AsyncGenerator[bytes]:
    yield b"given"


def standing(sandbox: LocalSandbox) -> dict[str, int]:
    """What a sandbox has of this machine, counted."""
    processes = descendants()
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return {
        "processes": len(processes),
        "mounts": len(mounts),
        "groups": sum(1 for _ in Path("/sys/fs/cgroup").glob(f"**/handiwork-{os.getpid()}-*")),
        "descriptors": len(open_descriptors()),
        # Its own: other processes of this machine may have sandboxes, too.
        "folders": 0 if sandbox._workspace is None else sum(1 for _ in sandbox._workspace.root.parent.iterdir()),
        "ready": sandbox.ready,
    }


def memory_of(pids: list[int]) -> int:
    """The proportional memory without that of files: it grows too when others end who had the same libraries mapped."""
    found = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            found += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    assert found, "control: the kernel tells it"
    return found


async def at_rest(sandbox: LocalSandbox) -> dict[str, int]:
    """Count once as many children are ready as may be and nothing is being cleared any more."""
    counted: dict[str, int] = {}

    def is_still() -> bool:
        nonlocal counted
        before, counted = counted, standing(sandbox)
        return counted == before and sandbox.ready == sandbox.most_ready and not sandbox._clearing

    assert await eventually(is_still, within=30)
    return counted


@pytest.mark.timeout(600)
@pytest.mark.parametrize("level", ["full", "unprivileged"])
async def test_a_thousand_jobs_leave_everything_as_it_was(level: Level, tmp_path: Path) -> None:
    chance = random.Random(20261121)
    names = chance.choices(list(JOBS), weights=[WEIGHTS.get(name, 3) for name in JOBS], k=RUNS)
    policy = Policy(level=level, concurrency=TOGETHER, ready=READY, renew_after_jobs=400)
    wrong: list[tuple[str, Status]] = []

    async with LocalSandbox(policy, Places(cache=tmp_path)) as sandbox:

        async def work(queue: list[str]) -> None:
            while queue:
                name = queue.pop()
                code, expected = JOBS[name]
                inputs = (Input(name="given.txt", chunks=content),) if name == "input" else ()
                limits = Limits(wall_seconds=0.5 if name == "time" else 10, memory_bytes=256 * MIB)
                async with sandbox.run(Job(code=code, limits=limits, inputs=inputs, is_checked=False)) as run:
                    if run.outcome.status not in expected:
                        wrong.append((name, run.outcome.status))

        async def idle() -> dict[str, int]:
            # A child that is made while a job runs stays plain. These are made while none does, and hold more.
            for _child in range(READY):
                await at_rest(sandbox)
                await work(["nothing"])
            return await at_rest(sandbox)

        sandbox.expect_jobs()
        await asyncio.gather(*(work(list(JOBS)) for _ in range(TOGETHER)))
        before = await idle()
        memory = memory_of([os.getpid(), *descendants()])
        await asyncio.gather(*(work(names[place::TOGETHER]) for place in range(TOGETHER)))
        after = await idle()
        grown = memory_of([os.getpid(), *descendants()]) - memory

    assert wrong == []
    assert after == before
    assert grown < 32 * MIB
