"""Children that wait for jobs: taken when they live, replaced when they do not, renewed without a gap."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from rooms import LEVELS, descendants, eventually

from handiwork.errors import SandboxBroken
from handiwork.model import MIB, Isolation, Level, Limits, Outcome
from handiwork.sandbox.interpreter import WarmInterpreter
from handiwork.sandbox.local import RENEW_AFTER_JOBS, LocalSandbox, Policy
from handiwork.sandbox.sandbox import Job, Places

LONG = "import time; print('begun'); time.sleep(8); print('to the end')"
WHO = "import os; print(os.getpid(), hash('x'))"


@contextlib.asynccontextmanager
async def opened(
    folder: Path, *, level: Level = "full", renew_after_jobs: int = RENEW_AFTER_JOBS
) -> AsyncGenerator[LocalSandbox]:
    """A sandbox that keeps two children ready."""
    policy = Policy(level=level, ready=2, renew_after_jobs=renew_after_jobs)
    async with LocalSandbox(policy, Places(cache=folder)) as sandbox:
        sandbox.expect_jobs()
        await sandbox.probe()
        assert await eventually(lambda: sandbox.ready == 2, within=20)
        yield sandbox


async def done(sandbox: LocalSandbox, code: str, limits: Limits | None = None) -> Outcome:
    return await finished(sandbox, Job(code=code, is_checked=False, limits=limits or Limits()))


async def finished(sandbox: LocalSandbox, job: Job) -> Outcome:
    async with sandbox.run(job) as run:
        return run.outcome


def waiting(sandbox: LocalSandbox) -> list[int]:
    """The processes of the children that wait."""
    children = [held.child for held in sandbox._ready._waiting]
    return [pid for child in children if child is not None for pid in (child.pid, child.keeper_pid)]


@pytest.mark.parametrize("level", LEVELS)
async def test_a_job_gets_a_child_that_was_there_before_it(level: Level, tmp_path: Path) -> None:
    async with opened(tmp_path, level=level) as sandbox:
        before = set(waiting(sandbox))
        outcome = await done(sandbox, WHO)
        assert outcome.status == "succeeded"
        assert outcome.isolation == await sandbox.probe()
        used = before - set(waiting(sandbox))
        assert len(before) == 2 * len(used), "one of the two was used"
        assert await eventually(lambda: sandbox.ready == 2), "and another one made"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("victim", [0, 1], ids=["job", "keeper"])
async def test_a_child_that_dies_while_it_waits_costs_nobody_anything(
    level: Level, victim: int, tmp_path: Path
) -> None:
    async with opened(tmp_path, level=level) as sandbox:
        for pid in (killed := waiting(sandbox)[victim::2]):
            os.kill(pid, signal.SIGKILL)
        assert await eventually(lambda: not descendants() & set(killed))
        outcomes = [await done(sandbox, "print('served')") for _ in range(3)]
        assert [outcome.stdout for outcome in outcomes] == ["served\n"] * 3


@pytest.mark.parametrize("level", LEVELS)
async def test_a_job_whose_child_dies_in_the_moment_of_its_order_runs_in_another(level: Level, tmp_path: Path) -> None:
    async with opened(tmp_path, level=level) as sandbox:
        for pid in waiting(sandbox)[0::2]:
            os.kill(pid, signal.SIGKILL)  # it takes the kernel some milliseconds to tell
        outcomes = [await done(sandbox, "print('served')") for _ in range(3)]
        assert [outcome.stdout for outcome in outcomes] == ["served\n"] * 3


async def test_a_job_whose_keeper_dies_in_that_moment_runs_in_another_or_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as sandbox:
        for pid in waiting(sandbox)[1::2]:
            os.kill(pid, signal.SIGKILL)
        outcomes = [await done_or_told(sandbox, "print('served')") for _ in range(4)]
        assert {outcome for outcome in outcomes if outcome != "served\n"} <= {TOLD}
        assert outcomes[-1] == "served\n"


async def test_a_dead_interpreter_is_replaced_and_its_children_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as sandbox:
        process = sandbox._interpreters.current._process
        assert process is not None
        process.kill()
        outcomes = [await done_or_told(sandbox, "print('served')") for _ in range(4)]
        assert set(outcomes[:2]) <= {"served\n", TOLD}, "the two that waited have heard of it, or not yet"
        assert outcomes[2:] == ["served\n"] * 2
        assert await eventually(lambda: sandbox.ready == 2, within=20)


TOLD = "the process that kept the program was ended from outside, and the program with it"


async def done_or_told(sandbox: LocalSandbox, code: str) -> str:
    try:
        return (await done(sandbox, code)).stdout
    except SandboxBroken as broken:
        return broken.problem


async def test_an_interpreter_that_is_started_again_can_be_retired_meanwhile(tmp_path: Path) -> None:
    interpreter = WarmInterpreter(fonts=(), cache=tmp_path)
    await interpreter.start()
    process = interpreter._process
    assert process is not None
    process.kill()
    assert await eventually(lambda: process.poll() is not None)

    starting = asyncio.ensure_future(interpreter.start())
    assert await eventually(lambda: interpreter._process not in (None, process))
    await asyncio.wait_for(asyncio.gather(starting, interpreter.retire()), 40)

    assert interpreter._process is None


async def test_the_interpreter_is_renewed_without_a_gap(tmp_path: Path) -> None:
    async with opened(tmp_path, renew_after_jobs=3) as sandbox:
        first = sandbox._interpreters.current
        outcomes = [await done(sandbox, WHO) for _ in range(3)]
        while sandbox._interpreters.current is first:
            # The other one is being started, which takes longer than a few jobs.
            outcomes.append(await done(sandbox, WHO))
        assert len(outcomes) > 4, "jobs went on meanwhile"
        assert {outcome.status for outcome in outcomes} == {"succeeded"}
        first_hash, second_hash = (outcome.stdout.split()[1] for outcome in outcomes[:2])
        assert first_hash == second_hash
        async with asyncio.timeout(20):
            while (await done(sandbox, WHO)).stdout.split()[1] == first_hash:
                pass  # until the secret of hashes is another one


async def test_a_job_that_runs_outlives_the_interpreter_that_forked_it(tmp_path: Path) -> None:
    async with opened(tmp_path, renew_after_jobs=2) as sandbox:
        first = sandbox._interpreters.current
        process = first._process
        assert process is not None
        spoken = asyncio.Event()
        job = Job(code=LONG, is_checked=False, on_output=lambda piece: spoken.set())
        long = asyncio.create_task(finished(sandbox, job))
        await asyncio.wait_for(spoken.wait(), 10)
        await done(sandbox, "pass")
        assert await eventually(lambda: sandbox._interpreters.current is not first, within=20)
        assert not long.done(), "control: it runs yet"
        assert (await long).stdout == "begun\nto the end\n"
        assert await eventually(lambda: process.pid not in descendants(), within=20), "it has gone with its last child"


@pytest.mark.parametrize("level", LEVELS)
async def test_limits_that_are_not_the_usual_ones_hold_in_a_ready_child_too(level: Level, tmp_path: Path) -> None:
    greedy = "held = bytearray(100 * 2**20)\nprint(len(held))"
    async with opened(tmp_path, level=level) as sandbox:
        assert (await done(sandbox, greedy)).stdout == f"{100 * MIB}\n", "control: the usual ones allow it"
        for _ in range(2):
            tight = await done(sandbox, greedy, Limits(memory_bytes=64 * MIB))
            assert tight.status == "out_of_memory"
        wide = await done(sandbox, "held = bytearray(600 * 2**20)\nprint('had')", Limits(memory_bytes=800 * MIB))
        assert wide.stdout == "had\n"
        cut = await done(sandbox, "print('x' * 5000)", Limits(stdout_bytes=100))
        assert (len(cut.stdout), cut.stdout_truncated) == (100, True)


async def test_a_larger_output_gets_a_child_made_for_it(tmp_path: Path) -> None:
    big = "open('big.bin', 'wb').write(bytes(100 * 2**20)); print('written')"
    async with opened(tmp_path) as sandbox:
        before = waiting(sandbox)
        outcome = await done(sandbox, big, Limits(output_bytes=120 * MIB, file_bytes=120 * MIB))
        assert outcome.stdout == "written\n", outcome.stderr
        assert waiting(sandbox) == before, "those that wait are too small for it"


async def test_what_a_child_did_before_its_job_is_not_counted_as_the_jobs(tmp_path: Path) -> None:
    async with opened(tmp_path) as sandbox:
        outcome = await done(sandbox, "print(1 + 1)")
        assert 0 < outcome.cpu_ms < 60
        assert outcome.peak_memory_bytes < 48 * MIB


async def test_without_an_isolation_that_stands_nothing_waits(tmp_path: Path) -> None:
    async with LocalSandbox(Policy(level="full", failpoint="landlock"), Places(cache=tmp_path)) as sandbox:
        sandbox.expect_jobs()
        with pytest.raises(Exception, match="landlock"):
            await sandbox.probe()
        assert sandbox.ready == 0


async def test_closing_leaves_no_child(tmp_path: Path) -> None:
    before = descendants()
    async with opened(tmp_path) as sandbox:
        isolation: Isolation = await sandbox.probe()
        assert isolation.level == "full"
        assert descendants() - before
    assert await eventually(lambda: not descendants() - before)
