"""Running jobs on this machine: a child for each, watched from outside, harvested when it is dead.

The walls are built in `jail`, the processes handled in `child`, the result judged in `outcome`.
"""

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from handiwork.errors import IsolationUnavailable, SandboxBroken, StorageFull
from handiwork.model import Isolation, Level, Limits, Outcome
from handiwork.sandbox import cgroups, hints, libraries, outcome, walls, watch
from handiwork.sandbox.child import Child, Verdict
from handiwork.sandbox.harvest import Harvest, harvest
from handiwork.sandbox.interpreter import WarmInterpreter
from handiwork.sandbox.plan import WORK_FILES, Ground, given_names, order, plan, work_bytes
from handiwork.sandbox.readset import read_set
from handiwork.sandbox.sandbox import Job, Places, Run
from handiwork.sandbox.workspace import Place, Workspace
from handiwork.tasks import to_the_end

_CORES = 1.0
_OUTPUT_SECONDS = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a deployment asks of its sandbox. `failpoint` names a wall that must fail; only tests set it."""

    level: Level | Literal["auto"] = "auto"
    allowed_imports: frozenset[str] = frozenset()
    concurrency: int = 2
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


@dataclass(slots=True, kw_only=True)
class _Held:
    """What one job has of this machine, to be given back whatever happens."""

    place: Place
    child: Child | None = None
    group: cgroups.Group | None = None

    async def release(self) -> None:
        try:
            if self.child is not None:
                await self.child.discard()
        finally:
            if self.group is not None:
                self.group.remove()
            await self.place.remove()


class LocalSandbox:
    """The sandbox of this machine; use it as an async context manager."""

    def __init__(self, policy: Policy, places: Places) -> None:
        self._policy = policy
        self._interpreter = WarmInterpreter(fonts=places.fonts, cache=places.cache / "matplotlib")
        self._fonts = places.fonts
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
        await self._interpreter.aclose()
        if self._workspace is not None:
            await asyncio.to_thread(self._workspace.close)

    @property
    def libraries(self) -> Mapping[str, str]:
        return libraries.installed()

    async def probe(self) -> Isolation:
        base = await self._started()
        held = _Held(place=base.workspace.new_place(base.level))
        try:
            held.child = await self._fork(base.ground, Limits(), held.place)
            return _isolation(base, held.child)
        finally:
            await to_the_end(held.release())

    @contextlib.asynccontextmanager
    async def run(self, job: Job) -> AsyncGenerator[Run]:
        base = await self._started()
        async with self._slots:
            with _host_errors():
                held = _Held(place=base.workspace.new_place(base.level))
            try:
                with _host_errors():
                    await held.place.fill(job.inputs)
                    held.child = await self._fork(base.ground, job.limits, held.place)
                    if base.groups is not None:
                        held.group = cgroups.make(base.groups, job.limits, cores=_CORES)
                        held.group.take(held.child.pid)
                    run = await self._carry_out(job, base, held.child, held.group, held.place)
                yield run
            finally:
                await to_the_end(held.release())

    async def _carry_out(self, job: Job, base: _Base, child: Child, group: cgroups.Group | None, place: Place) -> Run:
        watcher = await _watcher(job.limits, base, child)
        began = time.perf_counter()
        await child.order(self._order(job, base, place))
        verdict, stop = await _await_end(child, watcher, wall_seconds=job.limits.wall_seconds)
        duration = time.perf_counter() - began
        cpu_seconds = verdict.cpu_seconds if verdict is not None else watch.cpu_seconds(child.pid)
        await child.end()
        surroundings = hints.Surroundings(
            limits=job.limits, inputs=tuple(given.name for given in job.inputs), libraries=libraries.installed()
        )
        was_oom_killed = group is not None and group.kills() > 0
        judged = outcome.judge(verdict, stop=stop, was_oom_killed=was_oom_killed, surroundings=surroundings)
        # A program that was stopped may have been in the middle of a file.
        ended_by_itself = judged.status in ("succeeded", "failed")
        gathered = await asyncio.to_thread(_harvested, child.folder, job, base.level)
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
            cpu_ms=cpu_seconds * 1000,
            peak_memory_bytes=_peak_bytes(group, watcher, verdict),
            isolation=_isolation(base, child),
            refused=gathered.refused if ended_by_itself else (),
        )
        return Run(outcome=result, outputs=gathered.outputs if ended_by_itself else ())

    async def _started(self) -> _Base:
        async with self._starting:
            if self._base is None:
                self._base = await self._start()
            return self._base

    async def _start(self) -> _Base:
        asked = self._policy.level
        walls.demand_platform(asked)
        # Before any process of ours is in the group, which must be moved out of it where it is version 2.
        groups = await asyncio.to_thread(_writable_groups)
        await self._interpreter.start()
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
            module_paths=self._interpreter.module_paths,
            library_folders=self._interpreter.library_folders,
            fonts=self._fonts,
        )
        ground = Ground(
            level=level,
            root=workspace.root,
            readable=readable,
            is_grouped=is_grouped,
            failpoint=self._policy.failpoint,
        )
        held = _Held(place=workspace.new_place(level))
        try:
            held.child = await self._fork(ground, Limits(), held.place)
        finally:
            await to_the_end(held.release())
        return ground

    def _order(self, job: Job, base: _Base, place: Place) -> dict[str, Any]:
        return order(job, base.level, place, allowed_imports=self._allowed, is_grouped=base.groups is not None)

    async def _fork(self, ground: Ground, limits: Limits, place: Place) -> Child:
        """Fork on demand; children made ahead of demand will be taken from their pool here."""
        return await Child.fork(self._interpreter, plan(ground, limits, place), stdout_bytes=limits.stdout_bytes)


@contextlib.contextmanager
def _host_errors() -> Generator[None]:
    """Tell what this machine refuses as an error of ours."""
    try:
        yield
    except OSError as refused:
        if refused.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("the temporary folder") from refused
        raise SandboxBroken(str(refused)) from refused


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
    child: Child, watcher: watch.Watcher, *, wall_seconds: float
) -> tuple[Verdict | None, outcome.Stop | None]:
    """Wait for the verdict, the deadline, or a limit that only the supervisor sees."""
    verdict = asyncio.ensure_future(child.verdict())
    looking = asyncio.ensure_future(watcher.look())
    try:
        await asyncio.wait({verdict, looking}, timeout=wall_seconds, return_when=asyncio.FIRST_COMPLETED)
        if verdict.done():
            return verdict.result(), None
        return None, (looking.result() if looking.done() else "timed_out")
    finally:
        for task in (verdict, looking):
            task.cancel()
        await asyncio.gather(verdict, looking, return_exceptions=True)


def _writable_groups() -> cgroups.Hierarchies | None:
    try:
        membership = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        return None
    found = cgroups.find(membership=membership)
    if found is None:
        return None
    cgroups.sweep(found)
    try:
        cgroups.make(found, Limits(), cores=_CORES).remove()
    except OSError:
        return None
    return found
