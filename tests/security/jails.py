"""What the attack tests stand on: a jail to run probes in, the same probe outside, and looks at the host.

Nothing is asserted here; every look is taken by the test process, never by the job.
"""

import asyncio
import gc
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import handiwork
from handiwork.executions.runs import InputReference
from handiwork.model import MIB, Execution, Level, Limits
from handiwork.sandbox.local import LocalSandbox
from handiwork.sandbox.ready import Held, ReadyChildren
from handiwork.session import Session
from handiwork.settings import Artifacts, Maximum, Settings

BOUND_SECONDS = 5.0
SHORT = Limits(wall_seconds=3, memory_bytes=256 * MIB, processes=32)


Gap = Callable[[bool, str], None]
"""Marks the running test as one that is known to fail, where the condition holds; a pass is then a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jail:
    """One engine at one level."""

    session: Session
    level: Level
    data: Path

    async def run(
        self, code: str, *, inputs: Sequence[InputReference] = (), limits: Limits | None = None, name: str = "main.py"
    ) -> Execution:
        """Run a probe without the check, which is no wall."""
        return await self.session.run(code, check=False, inputs=inputs, limits=limits, name=name)

    async def files(self, execution: Execution) -> dict[str, bytes]:
        return {artifact.name: await self.session.read(artifact.id) for artifact in execution.artifacts}

    async def said(self, execution: Execution) -> str:
        """All that came out of a run, as one text to search for a secret."""
        outcome = execution.outcome
        contents = [content.decode("utf-8", "replace") for content in (await self.files(execution)).values()]
        return "\n".join([outcome.stdout, outcome.stderr, repr(outcome.error), repr(outcome.refused), *contents])


@asynccontextmanager
async def open_jail(level: Level, data: Path, **artifacts: object) -> AsyncGenerator[Jail]:
    generous = Maximum(execution_timeout=60, memory_limit=2048 * MIB, output_size_limit=64 * MIB)
    values = {"isolation": level, "maximum": generous} | artifacts
    settings = Settings(artifacts=Artifacts.model_validate(values), cache=data / "cache")
    async with handiwork.open(data, settings=settings) as engine:
        yield Jail(session=engine.session("attack"), level=level, data=data)


def outside(
    code: str,
    *,
    folder: Path,
    arguments: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    timeout: float = 20,
) -> subprocess.CompletedProcess[str]:
    """Run the same probe with no jail: what it does here, it could do there but for the walls."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"} | (environment or {}),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A folder of the host that everybody may read and write, so that nothing but a wall protects it."""

    folder: Path
    secret: str

    @property
    def canary(self) -> Path:
        """A file that holds the secret."""
        return self.folder / "secret.txt"

    @property
    def marker(self) -> Path:
        """A file that exists once a probe has reached the host."""
        return self.folder / "marker"

    def reached(self) -> bool:
        found = self.marker.exists()
        self.marker.unlink(missing_ok=True)
        return found

    def is_intact(self) -> bool:
        return sorted(p.name for p in self.folder.iterdir()) == ["secret.txt"] and (
            self.canary.read_text(encoding="utf-8") == self.secret
        )


def furnish(folder: Path) -> Host:
    host = Host(folder=folder, secret=f"canary-{secrets.token_hex(16)}")
    folder.chmod(0o777)
    host.canary.write_text(host.secret, encoding="utf-8")
    host.canary.chmod(0o666)
    return host


@contextmanager
def bystander() -> Generator[subprocess.Popen[bytes]]:
    """A process of the host that a job has no business with."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


def descendants(root: int | None = None) -> dict[int, str]:
    """Every process below `root` (this one by default) in the host's table, with its command line."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (facts := _read(entry / "stat")):
            parents.setdefault(int(facts.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    waiting, found = [root or os.getpid()], dict[int, str]()
    while waiting:
        for pid in parents.get(waiting.pop(), []):
            found[pid] = _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")
            waiting.append(pid)
    return found


def interpreters(root: int | None = None) -> list[int]:
    """The warm interpreters themselves: those whose parent is `root`, which a job's processes never are."""
    above = root or os.getpid()
    return [
        pid
        for pid, command in descendants(root).items()
        if "zygote.py" in command and f"PPid:\t{above}\n" in _read(Path(f"/proc/{pid}/status"))
    ]


def job_processes(root: int | None = None) -> list[int]:
    """The processes of jobs: all that descend from a warm interpreter, but those that wait for a job."""
    found = [pid for interpreter in interpreters(root) for pid in descendants(interpreter)]
    children = [held.child for held in _ready_children() if held.child is not None]
    idle = {pid for child in children for pid in (child.pid, child.keeper_pid)}
    # Of those that nobody here knows, or that are in the making in a loop that stands still: a job that reads its
    # channel, alone or with a keeper of its own.
    for pid in found:
        if "unix_stream" in _read(Path(f"/proc/{pid}/wchan")) and not descendants(pid):
            keeper = int(facts_of(pid).get("PPid", 0))
            if keeper in interpreters(root):
                idle |= {pid}
            elif list(descendants(keeper)) == [pid]:
                idle |= {pid, keeper}
    return [pid for pid in found if pid not in idle]


@asynccontextmanager
async def held(jail: Jail, program: str, *, limits: Limits | None = None) -> AsyncGenerator[int]:
    """Run a program and hold it at its end, so that the kernel can be asked what became of its process."""
    code = f"{program}\nimport time\ntime.sleep(30)"
    run = asyncio.ensure_future(jail.run(code, limits=limits or Limits(wall_seconds=20)))
    try:
        assert await eventually(lambda: run.done() or bool(_asleep())), "the program did not come to its end"
        assert not run.done(), run.result().stderr
        yield _asleep()[-1]
    finally:
        run.cancel()
        await asyncio.wait([run], timeout=BOUND_SECONDS)


def _asleep() -> list[int]:
    return sorted(pid for pid in job_processes() if "nanosleep" in _read(Path(f"/proc/{pid}/wchan")))


def facts_of(pid: int, file: str = "status") -> dict[str, str]:
    """The lines of /proc/PID/status, or of a file like it, as the host's kernel gives them."""
    lines = _read(Path(f"/proc/{pid}/{file}")).splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def namespace(pid: int, name: str) -> int:
    return Path(f"/proc/{pid}/ns/{name}").stat().st_ino


def open_descriptors(pid: int | Literal["self"] = "self") -> dict[str, str]:
    """What a process holds open, number to name."""
    found: dict[str, str] = {}
    with suppress(FileNotFoundError, ProcessLookupError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found[link.name] = str(link.readlink())
    return found


async def settled(jail: Jail) -> None:
    """Return when as many children are ready as there may be: from then on nothing changes by itself."""
    sandbox = jail.session.engine.sandbox
    assert isinstance(sandbox, LocalSandbox)
    assert await eventually(lambda: sandbox.ready == sandbox.most_ready)


def places_of_ready_children() -> list[str]:
    """The names of the folders of all children that wait for a job of this process."""
    return [held.place.folder.name for held in _ready_children()]


def _ready_children() -> list[Held]:
    pools = [found for found in gc.get_objects() if isinstance(found, ReadyChildren)]
    return [held for pool in pools for held in pool._waiting]


def held_for_jobs() -> int:
    """Pipes, sockets, processes and folders that are open here; the store keeps as many as it likes."""
    return sum("handiwork.db" not in link and "/artifacts" not in link for link in open_descriptors().values())


def threads_of(pid: int) -> int:
    """How many threads a process has; one that has ended in the meantime has none."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return 0


async def eventually(holds: Callable[[], bool], *, within: float = BOUND_SECONDS) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if holds():
            return True
        await asyncio.sleep(0.01)
    return holds()


async def no_process_is_left(*, within: float = 1.0) -> bool:
    return await eventually(lambda: not job_processes(), within=within)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
