"""Running jobs on this machine: a child for each, watched from outside, harvested when it is dead.

The walls are built in `jail`, the processes handled in `child`, the result judged in `outcome`.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from handiwork.errors import IsolationUnavailable
from handiwork.model import MIB, Isolation, Level, Limits, Outcome
from handiwork.sandbox import cgroups, hints, libraries, outcome, walls, watch
from handiwork.sandbox.child import Child, Verdict
from handiwork.sandbox.harvest import harvest
from handiwork.sandbox.interpreter import ONE_THREAD, WarmInterpreter
from handiwork.sandbox.jail import WORK
from handiwork.sandbox.readset import read_set
from handiwork.sandbox.sandbox import Input, Job, Places, Run

WORK_FILES = 20_000
TMP_BYTES = 64 * MIB
JOB_UID = 2_000_000_000
_JOB_UIDS = 1_000_000
_NOBODY = 65534
_CORES = 1.0
_OUTPUT_SECONDS = 2.0
_FULL_ENVIRONMENT = {"HOME": "/tmp", "TMPDIR": "/tmp", "MPLCONFIGDIR": "/tmp/.matplotlib"}  # noqa: S108  # the jail's

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a deployment asks of its sandbox. `failpoint` names a wall that must fail; only tests set it."""

    level: Level | Literal["auto"] = "auto"
    allowed_imports: frozenset[str] = frozenset()
    concurrency: int = 2
    failpoint: str | None = None


class LocalSandbox:
    """The sandbox of this machine; use it as an async context manager."""

    def __init__(self, policy: Policy, places: Places) -> None:
        self._policy = policy
        self._interpreter = WarmInterpreter(fonts=places.fonts, cache=places.cache / "matplotlib")
        self._fonts = places.fonts
        self._slots = asyncio.Semaphore(policy.concurrency)
        self._level: Level | None = None
        self._starting = asyncio.Lock()
        self._scratch: Path | None = None
        self._groups: cgroups.Hierarchies | None = None
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
        if self._scratch is not None:
            await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)

    @property
    def libraries(self) -> Mapping[str, str]:
        return libraries.installed()

    async def probe(self) -> Isolation:
        level = await self._settled_level()
        child = await self._fork(level, Limits())
        try:
            return self._isolation(level, child)
        finally:
            await child.discard()

    @contextlib.asynccontextmanager
    async def run(self, job: Job) -> AsyncIterator[Run]:
        level = await self._settled_level()
        async with self._slots:
            place = self._new_place(level, job.limits)
            try:
                await _fill(place / "inputs", job.inputs)
                child = await self._fork(level, job.limits, place)
                try:
                    yield await self._carry_out(job, level, child)
                finally:
                    await child.discard()
            finally:
                await asyncio.to_thread(_remove, place)

    async def _carry_out(self, job: Job, level: Level, child: Child) -> Run:
        group = cgroups.make(self._groups, job.limits, cores=_CORES) if self._groups is not None else None
        try:
            if group is not None:
                group.take(child.pid)
            began = time.perf_counter()
            await child.order(self._order(job, level, child, memory_by_group=group is not None))
            verdict, stop, seen = await _await_end(child, job.limits, level=level, is_grouped=group is not None)
            duration = time.perf_counter() - began
            await child.end()
            was_oom_killed = group is not None and group.kills() > 0
            peak = group.peak_bytes() if group is not None else seen
        finally:
            await child.end()
            if group is not None:
                group.remove()
        surroundings = hints.Surroundings(
            limits=job.limits, inputs=tuple(i.name for i in job.inputs), libraries=libraries.installed()
        )
        judged = outcome.judge(verdict, stop=stop, was_oom_killed=was_oom_killed, surroundings=surroundings)
        # A program that was stopped may have been in the middle of a file.
        ended_by_itself = judged.status in ("succeeded", "failed")
        given = frozenset({"inputs", ".tmp", *(i.name for i in job.inputs)})
        gathered = await asyncio.to_thread(
            harvest, child.folder, limits=job.limits, given=given, plotly=libraries.plotly_script()
        )
        if ended_by_itself and gathered.is_too_large:
            judged = outcome.too_large(judged, job.limits, gathered.total_bytes)
        return Run(
            outcome=Outcome(
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
                cpu_ms=(verdict.cpu_seconds if verdict else 0.0) * 1000,
                peak_memory_bytes=peak,
                isolation=self._isolation(level, child),
                refused=gathered.refused if ended_by_itself else (),
            ),
            outputs=gathered.outputs if ended_by_itself else (),
        )

    async def _settled_level(self) -> Level:
        async with self._starting:
            if self._level is None:
                self._level = await self._settle()
            return self._level

    async def _settle(self) -> Level:
        asked = self._policy.level
        walls.demand_platform(asked)
        self._scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="handiwork-"))
        self._scratch.chmod(0o711)  # a job's user passes through to its own folder and can list nothing
        (self._scratch / "root").mkdir()
        self._groups = _writable_groups()
        await self._interpreter.start()
        if asked == "none":
            log.warning("isolation is `none`: programs run with all rights of this user and can reach everything")
        if asked != "auto":
            await self._try(asked)
            return asked
        try:
            await self._try("full")
        except IsolationUnavailable as missing:
            self.fell_back = missing
            log.warning("isolation `full` is not to be had (%s); `unprivileged` is used", missing)
            await self._try("unprivileged")
            return "unprivileged"
        return "full"

    async def _try(self, level: Level) -> None:
        child = await self._fork(level, Limits())
        await child.discard()

    async def _fork(self, level: Level, limits: Limits, place: Path | None = None) -> Child:
        """Fork on demand; children made ahead of demand will be taken from their pool here."""
        own = place or self._new_place(level, limits)
        try:
            return await Child.fork(self._interpreter, self._plan(level, limits, own), stdout_bytes=limits.stdout_bytes)
        finally:
            if place is None:
                await asyncio.to_thread(_remove, own)

    def _new_place(self, level: Level, limits: Limits) -> Path:
        assert self._scratch is not None
        place = self._scratch / secrets.token_hex(16)
        place.mkdir(mode=0o711)
        place.chmod(0o711)
        (place / "inputs").mkdir()
        (place / "inputs").chmod(0o755)
        if level != "full":
            (place / "work").mkdir(mode=0o700)
            (place / "work" / "inputs").symlink_to(place / "inputs")
        return place

    def _plan(self, level: Level, limits: Limits, place: Path) -> dict[str, Any]:
        assert self._scratch is not None
        readable = read_set(
            module_paths=self._interpreter.module_paths,
            library_folders=self._interpreter.library_folders,
            fonts=self._fonts,
        )
        work = place / "work"
        uid = _job_uid(level, readable.binds)
        if uid is not None and level != "full":
            os.chown(work, uid, uid)
        return {
            "level": level,
            "root": str(self._scratch / "root"),
            "binds": readable.binds,
            "links": readable.links,
            "inputs": str(place / "inputs"),
            "work": str(work),
            "work_bytes": work_bytes(limits),
            "work_files": WORK_FILES,
            "tmp_bytes": TMP_BYTES,
            "job_uid": uid,
            "failpoint": self._policy.failpoint,
        }

    def _order(self, job: Job, level: Level, child: Child, *, memory_by_group: bool) -> dict[str, Any]:
        folder = WORK if level == "full" else str(Path(os.readlink(f"/proc/self/fd/{child.folder}")))  # noqa: PTH115
        own = {"HOME": folder, "TMPDIR": f"{folder}/.tmp", "MPLCONFIGDIR": f"{folder}/.tmp/matplotlib"}
        environment = {"LANG": "C.UTF-8", "TZ": "UTC", "MPLBACKEND": "Agg", "PATH": "", **ONE_THREAD}
        return {
            "code": job.code,
            "name": job.name,
            "check": job.is_checked,
            "allowed_imports": self._allowed,
            "folder": folder,
            "inputs": [given.name for given in job.inputs],
            "environment": environment | (_FULL_ENVIRONMENT if level == "full" else own),
            "watched": not memory_by_group,
            "limits": {
                "memory_bytes": job.limits.memory_bytes,
                "work_bytes": work_bytes(job.limits),
                "cpu_seconds": int(job.limits.wall_seconds) + 2,
                # Counted for the namespace alone only at `full`; elsewhere it would count the user's other processes.
                "processes": job.limits.processes + 1 if level == "full" else None,
            },
        }

    def _isolation(self, level: Level, child: Child) -> Isolation:
        return Isolation(level=level, memory_by="cgroup" if self._groups is not None else "watch", walls=child.walls)


def work_bytes(limits: Limits) -> int:
    """How large the working folder is: room for files that the program deletes again."""
    return max(64 * MIB, 4 * limits.output_bytes)


async def _await_end(
    child: Child, limits: Limits, *, level: Level, is_grouped: bool
) -> tuple[Verdict | None, outcome.Stop | None, int]:
    """Wait for the verdict, the deadline or a limit that only the supervisor sees; the third value is peak memory."""
    seen = _Seen()
    verdict = asyncio.ensure_future(child.verdict())
    looking = asyncio.ensure_future(_watch(child, limits, seen, memory=not is_grouped, folder=level != "full"))
    try:
        await asyncio.wait({verdict, looking}, timeout=limits.wall_seconds, return_when=asyncio.FIRST_COMPLETED)
        if verdict.done():
            return verdict.result(), None, seen.peak
        return None, (looking.result() if looking.done() else "timed_out"), seen.peak
    finally:
        for task in (verdict, looking):
            task.cancel()
        await asyncio.gather(verdict, looking, return_exceptions=True)


@dataclass(slots=True)
class _Seen:
    peak: int = 0


async def _watch(child: Child, limits: Limits, seen: _Seen, *, memory: bool, folder: bool) -> outcome.Stop:
    """Look until a limit is passed; with nothing to look at, for ever."""
    if not memory and not folder:
        await asyncio.get_running_loop().create_future()
    base = await asyncio.to_thread(watch.memory_bytes, child.pid)
    while True:
        await asyncio.sleep(watch.SECONDS)
        if memory:
            files = watch.filesystem_bytes(child.folder) if not folder else 0
            used = await asyncio.to_thread(watch.memory_bytes, child.pid) - base + files
            seen.peak = max(seen.peak, used)
            if used > limits.memory_bytes:
                return "out_of_memory"
        if folder:
            size, entries = await asyncio.to_thread(watch.folder_bytes, child.folder, most_files=WORK_FILES)
            if size > work_bytes(limits) or entries > WORK_FILES:
                return "output_too_large"


async def _fill(folder: Path, inputs: tuple[Input, ...]) -> None:
    for given in inputs:
        path = folder / given.name
        with path.open("xb") as file:
            async for chunk in given.chunks():
                await asyncio.to_thread(file.write, chunk)
        path.chmod(0o444)


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)


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


def _job_uid(level: Level, binds: tuple[tuple[str, str], ...]) -> int | None:
    """An ordinary user of the host for the job when this is root, a new one each time; None to stay who we are."""
    if os.geteuid() != 0 or level == "none":
        return None
    if level == "unprivileged" and not all(_is_open_to_all(Path(source)) for source, _place in binds):
        return None
    return _mapped_uid(JOB_UID + secrets.randbelow(_JOB_UIDS))


def _mapped_uid(wanted: int) -> int | None:
    ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    for uid in (wanted, _NOBODY):
        if any(first <= uid < first + count for first, _outside, count in ranges):
            return uid
    return None


def _is_open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents) if folder.is_dir())
