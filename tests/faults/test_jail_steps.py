"""What happens when a wall cannot stand, or a part of the sandbox dies: no line of the program runs unconfined."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from handiwork.errors import IsolationUnavailable, SandboxBroken
from handiwork.model import Level
from handiwork.sandbox import child
from handiwork.sandbox.local import LocalSandbox, Policy
from handiwork.sandbox.sandbox import Job, Places
from handiwork.sandbox.walls import REQUIRED
from security.jails import (
    Jail,
    descendants,
    eventually,
    held_for_jobs,
    interpreters,
    job_processes,
    open_descriptors,
    open_jail,
    settled,
)

pytestmark = pytest.mark.linux
LEVELS: tuple[Level, ...] = ("full", "unprivileged")
AS_ROOT = ("unprivilegedUser",) if os.geteuid() == 0 else ()
STEPS = [(level, wall) for level in LEVELS for wall in (*REQUIRED[level], *(AS_ROOT if level == "full" else ()))]
CANARY = "print('ran'); open('canary.txt', 'w').write('ran'); open({marker!r}, 'w').close()"


@asynccontextmanager
async def jail_at(level: Level, data: Path, **artifacts: object) -> AsyncGenerator[tuple[Jail, Callable[[], int]]]:
    """A jail, and what tells its interpreter among those of jails that other tests keep open."""
    others = set(interpreters())
    async with open_jail(level, data, **artifacts) as jail:
        try:
            await jail.session.engine.isolation()
        except IsolationUnavailable as missing:
            pytest.skip(f"gap: {missing} {missing.hint}")
        yield jail, lambda: next(pid for pid in interpreters() if pid not in others)


@pytest.mark.parametrize(("level", "wall"), STEPS, ids=lambda value: str(value))
async def test_without_any_one_wall_no_program_runs(level: Level, wall: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    policy = Policy(level=level, failpoint=wall)
    async with LocalSandbox(policy, Places(cache=tmp_path)) as sandbox:
        with pytest.raises(IsolationUnavailable) as refused:
            async with sandbox.run(Job(code=CANARY.format(marker=str(marker)), is_checked=False)):
                pytest.fail("a program ran without a wall")
        assert await eventually(lambda: job_processes() == [])

    assert (refused.value.wall, refused.value.level) == (wall, level)
    assert refused.value.hint
    assert not marker.exists()


@pytest.mark.parametrize("level", ["full", "unprivileged", "none"])
async def test_with_every_wall_the_same_program_runs(level: Level, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    job = Job(code=CANARY.format(marker=str(marker)), is_checked=False)
    async with LocalSandbox(Policy(level=level), Places(cache=tmp_path)) as sandbox, sandbox.run(job) as run:
        assert run.outcome.stdout == "ran\n"
        assert run.outcome.isolation is not None
        assert [wall for wall in REQUIRED[level] if not run.outcome.isolation.walls[wall]] == []

    assert marker.exists() == (level == "none"), "control: without walls it reaches the host"


async def test_auto_takes_the_weaker_level_only_when_the_stronger_fails_and_says_so(tmp_path: Path) -> None:
    async with LocalSandbox(Policy(level="auto", failpoint="privateRoot"), Places(cache=tmp_path)) as sandbox:
        async with sandbox.run(Job(code="print('ran')")) as run:
            assert run.outcome.isolation is not None
            assert (run.outcome.isolation.level, run.outcome.stdout) == ("unprivileged", "ran\n")
        assert sandbox.fell_back is not None
        assert sandbox.fell_back.wall == "privateRoot"

    async with LocalSandbox(Policy(level="auto", failpoint="seccomp"), Places(cache=tmp_path)) as sandbox:
        with pytest.raises(IsolationUnavailable):
            await sandbox.probe()


@pytest.mark.parametrize("level", LEVELS)
async def test_children_that_are_killed_while_their_walls_are_built_run_nothing(level: Level, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    async with jail_at(level, tmp_path, ready_children=0) as (jail, interpreter):
        outcomes = [await killed_early(jail, interpreter(), marker) for _ in range(25)]

        assert any(isinstance(outcome, SandboxBroken) for outcome in outcomes), outcomes
        assert [o for o in outcomes if not isinstance(o, (str, SandboxBroken, IsolationUnavailable))] == []
        assert not marker.exists()
        assert (await jail.run("print('served')")).stdout == "served\n"


async def killed_early(jail: Jail, interpreter: int, marker: Path) -> str | BaseException:
    """Kill every process of a run as soon as there is one; return its error, or its status if it came to one."""
    run = asyncio.ensure_future(jail.run(CANARY.format(marker=str(marker)) + "\nimport time; time.sleep(60)"))
    assert await eventually(lambda: bool(descendants(interpreter)) or run.done())
    for pid in descendants(interpreter):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await asyncio.wait([run], timeout=20)
    assert await eventually(lambda: not descendants(interpreter))
    return run.exception() or run.result().status


@pytest.mark.parametrize("level", LEVELS)
async def test_a_dead_interpreter_is_replaced_by_the_next_run(level: Level, tmp_path: Path) -> None:
    async with jail_at(level, tmp_path) as (jail, interpreter):
        first = await jail.run("print(hash('x'), id(object))")
        before = interpreter()
        os.kill(before, signal.SIGKILL)
        assert await eventually(lambda: before not in descendants() or _is_dead(before))

        second = await asyncio.wait_for(jail.run("print(hash('x'), id(object))"), 30)
        after = interpreter()

        assert second.ok
        assert after != before
        assert first.stdout.split()[0] != second.stdout.split()[0], "another hash secret"
        assert first.stdout.split()[1] != second.stdout.split()[1], "another layout of memory"


def _is_dead(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return True


@pytest.mark.parametrize("level", LEVELS)
async def test_a_run_survives_or_is_told_when_the_interpreter_dies_under_it(level: Level, tmp_path: Path) -> None:
    async with jail_at(level, tmp_path) as (jail, interpreter):
        before = interpreter()
        run = asyncio.ensure_future(jail.run("import time; time.sleep(1); open('out.txt', 'w').write('x')"))
        assert await eventually(lambda: len(job_processes()) >= (1 if level == "full" else 2))
        of_the_job = job_processes()
        os.kill(before, signal.SIGKILL)

        await asyncio.wait([run], timeout=20)
        error = run.exception()
        assert isinstance(error, SandboxBroken) or run.result().status in ("succeeded", "killed", "lost")
        assert await eventually(
            lambda: not any(Path(f"/proc/{pid}").exists() and not _is_dead(pid) for pid in of_the_job)
        )
        assert (await asyncio.wait_for(jail.run("print('served')"), 30)).stdout == "served\n"


@pytest.mark.parametrize("level", LEVELS)
async def test_jobs_go_on_when_their_interpreter_is_asked_no_more(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jail_at(level, tmp_path, ready_children=0) as (jail, interpreter):
        await jail.run("print('warm')")
        stuck = interpreter()
        run = asyncio.ensure_future(jail.run("import time; time.sleep(2); print('to the end'); exit(3)"))
        assert await eventually(lambda: bool(job_processes()))
        os.kill(stuck, signal.SIGSTOP)
        try:
            monkeypatch.setattr(child, "READY_SECONDS", 0.5)
            with pytest.raises(SandboxBroken, match="not ready within"):
                await jail.run("print('never')")
        finally:
            monkeypatch.undo()
            os.kill(stuck, signal.SIGCONT)
        assert (await jail.run("print('served')")).stdout == "served\n"

        ended = await asyncio.wait_for(run, 20)
        assert (ended.stdout, ended.outcome.exit_code) == ("to the end\n", 3)
        assert await eventually(lambda: _is_dead(stuck)), "it went with its last job"


@pytest.mark.parametrize("level", LEVELS)
async def test_a_run_that_is_cancelled_leaves_nothing(level: Level, tmp_path: Path) -> None:
    async with jail_at(level, tmp_path) as (jail, _interpreter):
        for wait_for in (0, 1) if level == "full" else (0, 1, 2):  # elsewhere a job has a keeper beside it
            run = asyncio.ensure_future(jail.run("import time; time.sleep(60)"))
            assert await eventually(lambda least=wait_for: len(job_processes()) >= least)
            run.cancel()
            await asyncio.wait([run], timeout=10)
            assert run.cancelled()
            assert await eventually(lambda: job_processes() == [])
        assert (await jail.run("print('served')")).stdout == "served\n"


COMING_HOME = """
import os, sys
from handiwork.sandbox import kernel
home = os.open(sys.argv[1], os.O_RDONLY)
try:
    pid = kernel.fork_inside(home)
    if pid == 0: os._exit(0)
    print(os.readlink("/proc/self/ns/pid") == os.readlink("/proc/self/ns/pid_for_children"), os.waitpid(pid, 0)[1])
except RuntimeError as lost:
    print(lost)
"""


@pytest.mark.root
@pytest.mark.parametrize(("home", "said"), [("pid", "True 0"), ("uts", "no way back to the own process namespace")])
async def test_an_interpreter_that_cannot_come_home_forks_no_more(home: str, said: str) -> None:
    command = [sys.executable, "-c", COMING_HOME, f"/proc/self/ns/{home}"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    told, _nothing = await asyncio.wait_for(process.communicate(), 20)
    assert told.decode().strip() == said


@pytest.mark.parametrize("level", LEVELS)
async def test_an_interpreter_that_is_short_of_descriptors_keeps_the_jobs_it_has(level: Level, tmp_path: Path) -> None:
    async with jail_at(level, tmp_path, ready_children=0) as (jail, interpreter):
        await jail.run("print('warm')")
        before = interpreter()
        run = asyncio.ensure_future(jail.run("import time; time.sleep(2); print('to the end'); exit(3)"))
        assert await eventually(lambda: bool(job_processes()))
        usual = resource.prlimit(before, resource.RLIMIT_NOFILE)
        for spare in range(8):
            resource.prlimit(before, resource.RLIMIT_NOFILE, (len(open_descriptors(before)) + spare, usual[1]))
            with contextlib.suppress(SandboxBroken):
                assert (await jail.run("print('served')")).stdout == "served\n"
        resource.prlimit(before, resource.RLIMIT_NOFILE, usual)

        ended = await asyncio.wait_for(run, 20)
        assert (ended.stdout, ended.outcome.exit_code, interpreter()) == ("to the end\n", 3, before)
        assert (await jail.run("print('served')")).stdout == "served\n"


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
import handiwork
from handiwork.settings import Artifacts, Settings
async def main():
    data = Path(sys.argv[1])
    settings = Settings(artifacts=Artifacts(isolation=sys.argv[2]), cache=data / 'cache')
    async with handiwork.open(data, settings=settings) as engine:
        session = engine.session('s')
        long = {fork} + "import time\\nopen('made.txt', 'w').write('x')\\ntime.sleep(25)"
        print('ready', flush=True)
        await session.run(long, check=False)
asyncio.run(main())
"""


@pytest.mark.parametrize("level", LEVELS)
async def test_nothing_outlives_a_supervisor_that_is_killed(level: Level, tmp_path: Path) -> None:
    fork = "'import os\\nfor _ in range(3): os.fork()\\n'" if level == "full" else "''"
    expected = 8 if level == "full" else 2
    command = [sys.executable, "-c", SUPERVISOR.format(fork=fork), str(tmp_path), level]
    with subprocess.Popen(command) as supervisor:  # noqa: ASYNC220  # it only starts here, and is killed below
        try:
            assert await eventually(lambda: len(job_processes(supervisor.pid)) >= expected, within=30)
            assert await eventually(lambda: bool(_groups_of(supervisor.pid)) or not _groups_exist())
            below = [*descendants(supervisor.pid)]
            groups = _groups_of(supervisor.pid)
            folders = _folders_of(supervisor.pid)
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").count("handiwork-jobs-")
            assert folders, "control: it has a folder"
        finally:
            supervisor.send_signal(signal.SIGKILL)
    assert await eventually(lambda: all(_is_dead(pid) for pid in below)), "every process of it is gone"

    assert mounts == 0
    assert [g for g in groups if (g / "cgroup.procs").read_text(encoding="ascii")] == []
    os.utime(folders[0], (0, 0))
    async with jail_at(level, tmp_path / "next") as (jail, _interpreter):
        assert (await jail.run("print('served')")).stdout == "served\n"
    assert [f for f in folders if f.exists()] == [], "the next start removes its folder"
    assert [g for g in groups if g.exists()] == [], "and its control groups"


def _groups_of(supervisor: int) -> list[Path]:
    jobs = {str(pid) for pid in job_processes(supervisor)}
    found = Path("/sys/fs/cgroup").glob("**/handiwork-*/cgroup.procs")
    return [path.parent for path in found if jobs.intersection(path.read_text(encoding="ascii").split())]


def _groups_exist() -> bool:
    return any(True for _ in Path("/sys/fs/cgroup").glob("**/handiwork-*"))


def _folders_of(supervisor: int) -> list[Path]:
    links = map(Path, open_descriptors(supervisor).values())
    place = Path(tempfile.gettempdir())
    # Those of the sandbox: the store of the process has a folder with a lock too.
    return [link.parent for link in links if link.name == "lock" and link.parent.parent == place]


async def test_what_a_killed_sandbox_left_does_not_stop_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "handiwork-jobs-left"
    left.mkdir()
    (left / "lock").touch()
    monkeypatch.chdir(left)
    for _ in range(1500):
        Path("d").mkdir()
        os.chdir("d")
    monkeypatch.undo()
    os.utime(left, (0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        async with LocalSandbox(Policy(level="unprivileged"), Places(cache=tmp_path)) as sandbox:
            assert (await sandbox.probe()).level == "unprivileged"
        assert not left.exists()
    finally:
        removal = await asyncio.create_subprocess_exec("rm", "-rf", str(left))
        await asyncio.wait_for(removal.wait(), 20)


@pytest.mark.parametrize("level", LEVELS)
async def test_a_cancellation_that_is_told_again_and_again_leaves_nothing(level: Level, tmp_path: Path) -> None:
    groups = {str(each) for each in Path("/sys/fs/cgroup").glob("**/handiwork-*")}
    async with open_jail(level, tmp_path) as jail:
        await jail.run("print('warm')")
        await jail.run("print('and expecting more')")
        await settled(jail)
        before = held_for_jobs()
        for _ in range(3):
            with anyio.move_on_after(0.4):  # it cancels at every wait of the clean-up too
                await jail.run("while True: pass")
        assert await eventually(lambda: held_for_jobs() <= before)
        assert await eventually(lambda: job_processes() == [])
        assert (await jail.run("print('served')")).stdout == "served\n"
    assert {str(each) for each in Path("/sys/fs/cgroup").glob("**/handiwork-*")} <= groups


async def test_a_start_that_was_cancelled_is_done_again_as_a_whole(tmp_path: Path) -> None:
    async with LocalSandbox(Policy(level="full"), Places(cache=tmp_path)) as sandbox:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sandbox.probe(), 0.05)
        async with sandbox.run(Job(code="import numpy, scipy; print('whole')")) as run:
            assert run.outcome.stdout == "whole\n", run.outcome.error


async def test_fonts_may_lie_where_the_jail_has_folders_of_its_own(tmp_path: Path) -> None:
    fonts = Path(tempfile.mkdtemp(dir="/mnt"))
    try:
        async with LocalSandbox(Policy(level="full"), Places(cache=tmp_path, fonts=(fonts,))) as sandbox:
            assert (await sandbox.probe()).level == "full"
    finally:
        fonts.rmdir()
