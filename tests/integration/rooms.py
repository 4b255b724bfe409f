"""A session to run programs in, with short ways to look at what came of them. Nothing is asserted here."""

import asyncio
import contextlib
import os
import textwrap
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import handiwork
from handiwork.errors import IsolationUnavailable
from handiwork.executions.runs import InputReference
from handiwork.model import MIB, Artifact, Execution, Level, Limits
from handiwork.portal import SyncEngine, SyncSession
from handiwork.settings import Artifacts, Maximum, Settings

LEVELS: tuple[Level, ...] = ("full", "unprivileged")

# For what must hold wherever a job runs; without the mark a test runs at `full` alone.
at_each_level = pytest.mark.parametrize("room", LEVELS, indirect=True, scope="session")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One session at one level."""

    engine: SyncEngine
    session: SyncSession
    level: Level

    def run(
        self, code: str, *, inputs: Sequence[InputReference] = (), limits: Limits | None = None, check: bool = True
    ) -> Execution:
        return self.session.run(textwrap.dedent(code).strip("\n"), inputs=inputs, limits=limits, check=check)

    def content(self, execution: Execution, name: str) -> bytes:
        return self.session.read(named(execution)[name].id)

    def text(self, execution: Execution, name: str) -> str:
        return self.content(execution, name).decode()


def named(execution: Execution) -> dict[str, Artifact]:
    return {artifact.name: artifact for artifact in execution.artifacts}


def names(execution: Execution) -> list[str]:
    return sorted(artifact.name for artifact in execution.artifacts)


def hint(execution: Execution) -> str:
    """The hint of a run that failed."""
    assert execution.error is not None, execution
    assert execution.error.hint is not None, execution.error
    return execution.error.hint


@contextlib.contextmanager
def open_room(level: Level, data: Path, **artifacts: object) -> Generator[Room]:
    generous = Maximum(execution_timeout=60, memory_limit=1024 * MIB, output_size_limit=50 * MIB)
    values = {"isolation": level, "maximum": generous} | artifacts
    settings = Settings(artifacts=Artifacts.model_validate(values), cache=data / "cache")
    with handiwork.open_sync(data, settings=settings) as engine:
        try:
            engine.isolation()
        except IsolationUnavailable as missing:
            pytest.skip(f"needs isolation `{level}`: {missing}")
        yield Room(engine=engine, session=engine.session("room"), level=level)


def descendants() -> set[int]:
    """Every process that descends from this one, the dead that nobody has collected left out."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (facts := _facts(int(entry.name))) and facts[0] != "Z":
            parents.setdefault(int(facts[1]), []).append(int(entry.name))
    found, waiting = set[int](), [os.getpid()]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


def busy(processes: set[int]) -> bool:
    """Whether one of these has used a tenth of a second of processor time."""
    return any(int(facts[11]) >= os.sysconf("SC_CLK_TCK") / 10 for pid in processes if (facts := _facts(pid)))


def nobody_left(before: set[int], *, within: float = 5.0) -> bool:
    """Whether nobody is there any more who was not there before; the keeper of a job may take a moment longer."""
    deadline = time.monotonic() + within
    while descendants() - before and time.monotonic() < deadline:
        time.sleep(0.005)
    return not descendants() - before


async def eventually(holds: Callable[[], bool], *, within: float = 5.0) -> bool:
    deadline = time.monotonic() + within
    while not holds() and time.monotonic() < deadline:  # noqa: ASYNC110  # nothing announces a process
        await asyncio.sleep(0.01)
    return holds()


def _facts(pid: int) -> list[str]:
    """State, parent and what follows in the process table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
