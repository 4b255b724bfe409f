"""The seam of the sandbox: what every way of running untrusted code promises.

The one in this process's reach is `local`; a worker on another machine will be a second.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from handiwork.model import Isolation, Limits, Outcome

PROGRAM_NAME = "main.py"


class Source(Protocol):
    """Bytes of one input, streamed when the job is about to begin."""

    def __call__(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Output of a job that runs: whole lines where they are short, `offset` bytes after the beginning of the stream."""

    stream: Literal["stdout", "stderr"]
    offset: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file that the job finds under `inputs/` and by its name in its folder."""

    name: str
    chunks: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One program with all it may have."""

    code: str
    name: str = PROGRAM_NAME
    limits: Limits = field(default_factory=Limits)
    inputs: tuple[Input, ...] = ()
    is_checked: bool = True
    on_output: Callable[[Piece], None] | None = None
    """Told what the job writes, a few times a second. It must return at once and raise nothing."""


class Output(Protocol):
    """A file that a job left; readable until its run is closed."""

    @property
    def path(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def inserted_bytes(self) -> int: ...
    def read_at(self, offset: int, length: int) -> bytes: ...
    def chunks(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of a job, and the files that it left."""

    outcome: Outcome
    outputs: tuple[Output, ...]


class Sandbox(Protocol):
    """Runs untrusted Python.

    A program that fails is an outcome. A wall that does not stand raises `IsolationUnavailable`, and a
    sandbox that breaks raises `SandboxBroken`; in both cases no line of the program has run, or none of its
    results is kept.
    """

    def run(self, job: Job) -> AbstractAsyncContextManager[Run]:
        """Run to the end, or cancel by cancelling the task; no process of the job outlives this call."""
        ...

    async def probe(self) -> Isolation:
        """Build the walls once with nothing behind them and say which stand."""
        ...

    @property
    def libraries(self) -> Mapping[str, str]:
        """What a program can import beside the standard library, name to version."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Folders of the host that a sandbox uses."""

    cache: Path
    fonts: tuple[Path, ...] = ()
