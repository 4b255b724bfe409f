"""Running jobs on this machine: a child for each, watched from outside, harvested when it is dead.

The walls are built in `jail`, the processes handled in `child`, the result judged in `outcome`.
"""

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from handiwork.errors import IsolationUnavailable, SandboxBroken, StorageFull
from handiwork.model import Isolation, Level, Limits, Outcome
from handiwork.sandbox import cgroups, hints, libraries, outcome, walls, watch
from handiwork.sandbox.child import Child, ChildGone, Verdict
from handiwork.sandbox.harvest import Harvest, harvest
from handiwork.sandbox.interpreter import WarmInterpreter
from handiwork.sandbox.plan import WORK_FILES, Ground, given_names, is_usual, order, plan, work_bytes
from handiwork.sandbox.readset import read_set
from handiwork.sandbox.ready import Held, ReadyChildren
from handiwork.sandbox.renewal import Renewal
from handiwork.sandbox.sandbox import Job, Places, Run
from handiwork.sandbox.workspace import Place, Workspace
from handiwork.tasks import in_thread, to_the_end

RENEW_AFTER_JOBS = 1000
RENEW_AFTER_SECONDS = 3600.0
_CORES = 1.0
_OUTPUT_SECONDS = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a deployment asks of its sandbox.

    `concurrency` jobs run at a time. `ready` children are kept ready for jobs with the `usual` limits. The warm
    interpreter is renewed after so many jobs or so long, and with it what all its children have in common: the secret
    of string hashes and the addresses of memory. `failpoint` names a wall that must fail; only tests set it.
    """

    level: Level | Literal["auto"] = "auto"
    allowed_imports: frozenset[str] = frozenset()
    concurrency: int = 2
    ready: int = 2
    usual: Limits = field(default_factory=Limits)
    renew_after_jobs: int = RENEW_AFTER_JOBS
    renew_after_seconds: float = RENEW_AFTER_SECONDS
    failpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What is known once the sandbox has started."""

    ground: Ground
    workspace: Workspace
    groups: cgroups.Hierarchies | None

    @property
    def level(self) -> Level:
        return self.ground.level


class LocalSandbox:
    """The sandbox of this machine; use it as an async context manager."""

    def __init__(self, policy: Policy, places: Places) -> None:
        self._policy = policy
        self._fonts = places.fonts
        self._ready = ReadyChildren(self._made_ahead, size=policy.ready, give_up=self._give_up)
        self._interpreters = Renewal(
            lambda: WarmInterpreter(fonts=places.fonts, cache=places.cache / "matplotlib"),
            after_jobs=policy.renew_after_jobs,
            after_seconds=policy.renew_after_seconds,
            taken_over=self._ready.renew,
        )
        self._is_expecting = False
        self._jobs = self._running = 0
        self._clearing: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(policy.concurrency)
        self._starting = asyncio.Lock()
        self._base: _Base | None = None
        self._workspace: Workspace | None = None
        self._allowed = sorted(policy.allowed_imports or libraries.allowed_imports())
        self.fell_back: IsolationUnavailable | None = None
        """Why `auto` took the weaker level, if it did."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        # Whatever one of them raises, and whoever stops waiting: all the others are closed too.
        async with contextlib.AsyncExitStack() as closing:
            if self._workspace is not None:
                closing.push_async_callback(in_thread, self._workspace.close)
            closing.push_async_callback(lambda: to_the_end(self._interpreters.current.aclose()))
            closing.push_async_callback(self._cleared)
            closing.push_async_callback(lambda: to_the_end(self._ready.close()))
            closing.push_async_callback(self._interpreters.close)

    @property
    def libraries(self) -> Mapping[str, str]:
        return libraries.installed()

    async def probe(self) -> Isolation:
        base = await self._started()
        async with self._child_on(base.ground, base.workspace) as child:
            return _isolation(base, child)

    @property
    def ready(self) -> int:
        """How many children wait for a job."""
        return self._ready.waiting

    @property
    def most_ready(self) -> int:
        return self._policy.ready

    def expect_jobs(self) -> None:
        """Make children ahead of demand from now on; before that, only when a second job has come."""
        self._is_expecting = True
        if self._base is not None:
            self._ready.begin()

    @contextlib.asynccontextmanager
    async def run(self, job: Job) -> AsyncGenerator[Run]:
        base = await self._started()
        async with self._slots:
            self._running += 1
            try:
                held, run = await self._carried_out(job, base)
                try:
                    yield run
                finally:
                    await to_the_end(self._given_back(held))
            finally:
                self._running -= 1
                if not self._running and (self._is_expecting or self._jobs > 1):
                    self._ready.begin()

    async def _carried_out(self, job: Job, base: _Base) -> tuple[Held, Run]:
        """Do a job in a child that is ready; one that died meanwhile has done nothing, so another one is made."""
        try:
            return await self._done_in(await self._taken(base, job.limits), job, base)
        except ChildGone:
            pass
        try:
            return await self._done_in(await self._made(base, job.limits), job, base)
        except ChildGone as gone:
            raise SandboxBroken("two children died before they had their job") from gone

    async def _done_in(self, held: Held, job: Job, base: _Base) -> tuple[Held, Run]:
        try:
            with _host_errors():
                if held.group is not None and job.limits != self._policy.usual:
                    await in_thread(held.group.limit, job.limits)
                await held.place.fill(job.inputs)
                assert held.child is not None
                return held, await self._carry_out(job, base, held.child, held.group, held.place)
        except BaseException:
            await to_the_end(self._given_back(held))
            raise

    async def _taken(self, base: _Base, limits: Limits) -> Held:
        """Return a child for a job: one that is ready, or one made on demand."""
        self._jobs += 1
        self._interpreters.count_job()
        if not is_usual(base.ground, limits, self._policy.usual):
            return await self._made(base, limits)
        return await self._ready.take() or await self._made(base, limits)

    async def _made_ahead(self) -> Held:
        base = await self._started()
        # On a machine that is busy the time is better spent on those who wait.
        return await self._made(base, self._policy.usual, is_warm=not self._running)

    async def _made(self, base: _Base, limits: Limits, *, is_warm: bool = False) -> Held:
        # Whoever waits may be cancelled at any time: what is made is noted where it is made.
        held = Held(place=base.workspace.new_place())
        try:
            with _host_errors():
                await in_thread(held.place.make, base.level)
                held.child = await self._fork(base.ground, limits, held.place, is_warm=is_warm)
                if base.groups is not None:
                    await in_thread(_put_into_group, held, held.child.pid, base.groups, limits)
        except BaseException:
            await to_the_end(held.release())
            raise
        return held

    async def _given_back(self, held: Held) -> None:
        """End the job's processes now; what they leave is removed while others go on."""
        try:
            if held.child is not None and not held.child.has_ended:
                await held.end()
        finally:
            self._give_up(held)

    def _give_up(self, held: Held) -> None:
        """End and remove it while others go on."""
        clearing = asyncio.create_task(held.release())
        self._clearing.add(clearing)
        clearing.add_done_callback(self._note_cleared)

    async def _cleared(self) -> None:
        if self._clearing:
            await to_the_end(asyncio.wait(set(self._clearing)))

    def _note_cleared(self, clearing: "asyncio.Task[None]") -> None:
        self._clearing.discard(clearing)
        if not clearing.cancelled() and (failure := clearing.exception()) is not None:
            log.warning("What a job has left could not be removed: %s", failure)

    async def _carry_out(self, job: Job, base: _Base, child: Child, group: cgroups.Group | None, place: Place) -> Run:
        watcher = await _watcher(job.limits, base, child)
        if job.on_output is not None:
            child.listen(job.on_output)
        began = time.perf_counter()
        await child.order(self._order(job, base, place), stdout_bytes=job.limits.stdout_bytes)
        verdict, stop = await _await_end(child, watcher, group, wall_seconds=job.limits.wall_seconds)
        duration = time.perf_counter() - began
        cpu_seconds = verdict.cpu_seconds if verdict is not None else watch.cpu_seconds(child.pid)
        if not child.has_ended:
            await child.end()
        was_oom_killed = group is not None and group.kills() > 0
        if stop is None and not was_oom_killed and child.was_killed_before_it_began(verdict):
            raise ChildGone
        surroundings = hints.Surroundings(
            limits=job.limits, inputs=tuple(given.name for given in job.inputs), libraries=libraries.installed()
        )
        judged = outcome.judge(verdict, stop=stop, was_oom_killed=was_oom_killed, surroundings=surroundings)
        # A program that was stopped may have been in the middle of a file.
        ended_by_itself = judged.status in ("succeeded", "failed")
        gathered = await in_thread(_harvested, child.folder, job, base.level)
        if ended_by_itself and gathered.is_too_large:
            judged = outcome.too_large(judged, job.limits, gathered)
        result = Outcome(
            status=judged.status,
            exit_code=judged.exit_code,
            signal=judged.signal,
            stdout=await child.stdout.text(within=_OUTPUT_SECONDS),
            stderr=await child.stderr.text(within=_OUTPUT_SECONDS),
            stdout_truncated=child.stdout.is_truncated,
            stderr_truncated=child.stderr.is_truncated,
            error=judged.error,
            violations=judged.violations,
            duration_ms=duration * 1000,
            cpu_ms=max(0.0, cpu_seconds - child.idle_cpu_seconds) * 1000,
            peak_memory_bytes=_peak_bytes(group, watcher, verdict),
            isolation=_isolation(base, child),
            refused=gathered.refused if ended_by_itself else (),
        )
        return Run(outcome=result, outputs=gathered.outputs if ended_by_itself else ())

    async def _started(self) -> _Base:
        async with self._starting:
            if self._base is None:
                self._base = await self._start()
                if self._is_expecting:
                    self._ready.begin()
            return self._base

    async def _start(self) -> _Base:
        asked = self._policy.level
        walls.demand_platform(asked)
        # Before any process of ours is in the group, which must be moved out of it where it is version 2.
        groups = await asyncio.to_thread(cgroups.writable, cores=_CORES)
        await self._interpreters.current.start()
        with _host_errors():
            self._workspace = self._workspace or await asyncio.to_thread(Workspace)
        if asked == "none":
            log.warning("isolation is `none`: programs run with all rights of this user and can reach everything")
        if asked != "auto":
            ground = await self._proved(asked, self._workspace, is_grouped=groups is not None)
        else:
            try:
                ground = await self._proved("full", self._workspace, is_grouped=groups is not None)
            except IsolationUnavailable as missing:
                self.fell_back = missing
                log.warning(
                    "isolation `full` is not to be had (wall `%s`: %s); `unprivileged` is used",
                    missing.wall,
                    missing.why,
                )
                ground = await self._proved("unprivileged", self._workspace, is_grouped=groups is not None)
        return _Base(ground=ground, workspace=self._workspace, groups=groups)

    async def _proved(self, level: Level, workspace: Workspace, *, is_grouped: bool) -> Ground:
        """Return the ground of a level once a first child has stood on it."""
        readable = read_set(
            module_paths=self._interpreters.current.module_paths,
            library_folders=self._interpreters.current.library_folders,
            fonts=self._fonts,
        )
        ground = Ground(
            level=level,
            root=workspace.root,
            readable=readable,
            is_grouped=is_grouped,
            failpoint=self._policy.failpoint,
        )
        async with self._child_on(ground, workspace):
            return ground

    @contextlib.asynccontextmanager
    async def _child_on(self, ground: Ground, workspace: Workspace) -> AsyncGenerator[Child]:
        held = Held(place=workspace.new_place())
        try:
            await in_thread(held.place.make, ground.level)
            held.child = await self._fork(ground, self._policy.usual, held.place)
            yield held.child
        finally:
            await to_the_end(held.release())

    def _order(self, job: Job, base: _Base, place: Place) -> dict[str, Any]:
        return order(job, base.level, place, allowed_imports=self._allowed, is_grouped=base.groups is not None)

    async def _fork(self, ground: Ground, limits: Limits, place: Place, *, is_warm: bool = False) -> Child:
        planned = plan(ground, limits, place, is_warm=is_warm)
        return await Child.fork(self._interpreters.current, planned, stdout_bytes=limits.stdout_bytes)


@contextlib.contextmanager
def _host_errors() -> Generator[None]:
    """Tell what this machine refuses as an error of ours."""
    try:
        yield
    except OSError as refused:
        if refused.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("the temporary folder") from refused
        raise SandboxBroken(str(refused)) from refused


def _put_into_group(held: Held, pid: int, groups: cgroups.Hierarchies, limits: Limits) -> None:
    held.group = cgroups.make(groups, limits, cores=_CORES)
    held.group.take(pid)


def _harvested(folder: int, job: Job, level: Level) -> Harvest:
    return harvest(folder, limits=job.limits, given=given_names(job, level), plotly=libraries.plotly_script())


def _isolation(base: _Base, child: Child) -> Isolation:
    return Isolation(level=base.level, memory_by="watch" if base.groups is None else "cgroup", walls=child.walls)


def _peak_bytes(group: cgroups.Group | None, watcher: watch.Watcher, verdict: Verdict | None) -> int:
    if group is not None:
        return group.peak_bytes()
    # A job may be over before anyone has looked.
    return max(watcher.peak_bytes, verdict.peak_bytes if verdict is not None else 0)


async def _watcher(limits: Limits, base: _Base, child: Child) -> watch.Watcher:
    """What must be looked at: memory where no group counts it, the folder where it is one of the host."""
    watcher = watch.Watcher(
        pid=child.pid,
        folder=child.folder,
        memory_bytes=limits.memory_bytes if base.groups is None else None,
        folder_bytes=work_bytes(limits) if base.level != "full" else None,
        most_files=WORK_FILES,
        most_threads=limits.processes + 1 if base.groups is None else None,
    )
    await watcher.begin()
    return watcher


async def _await_end(
    child: Child, watcher: watch.Watcher, group: cgroups.Group | None, *, wall_seconds: float
) -> tuple[Verdict | None, outcome.Stop | None]:
    """Wait for the verdict, the deadline, or a limit that only the supervisor sees."""
    verdict = asyncio.ensure_future(child.verdict())
    looking = asyncio.ensure_future(watcher.look())
    leaving = asyncio.ensure_future(child.departure(group))
    tasks = (verdict, leaving, looking)
    try:
        await asyncio.wait(tasks, timeout=wall_seconds, return_when=asyncio.FIRST_COMPLETED)
        for ending in (verdict, leaving):
            if ending.done():
                return ending.result(), None
        return None, (looking.result() if looking.done() else "timed_out")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
