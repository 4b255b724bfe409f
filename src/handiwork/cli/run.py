"""The command `run`: one program, run in the sandbox, its files put where the person is.

How a run is shown is in `outcome`; how it is carried out is the engine's.
"""

import asyncio
import io
import os
import sys
import tokenize
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from handiwork import wiring
from handiwork.cli.failures import DONE, FAILED, ScriptUnusable, missing_file
from handiwork.cli.files import demand_folder, safe_name, write_new
from handiwork.cli.outcome import print_execution
from handiwork.cli.printing import print_json, progress
from handiwork.engine import Engine
from handiwork.errors import ContentTooLarge, InputNotFound
from handiwork.executions.runs import LONGEST_CODE_BYTES, InputReference
from handiwork.model import Artifact, Execution, Limits
from handiwork.quantities import seconds, size
from handiwork.sandbox.sandbox import PROGRAM_NAME
from handiwork.session import Session
from handiwork.settings import Settings, load
from handiwork.shapes import execution_shape

STANDARD_INPUT = "-"
MOST_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for, as it was written."""

    script: str
    inputs: tuple[str, ...] = ()
    out: str | None = None
    data: str | None = None
    session: str | None = None
    timeout: str | None = None
    memory: str | None = None
    output_limit: str | None = None
    isolation: str | None = None
    is_checked: bool = True
    as_json: bool = False

    @property
    def is_throwaway(self) -> bool:
        return self.data is None and self.session is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Source, and the name that tracebacks give it."""

    name: str
    code: str


def run(request: Request) -> int:
    """Run the program and return the exit code: that of a program that failed is 1."""
    settings = load()
    if request.isolation is not None:
        settings = wiring.with_isolation(settings, request.isolation)
    limits = asked_limits(request, settings.limits())
    out = Path(request.out or ".")
    demand_folder(out)
    inputs = [_input(each, request) for each in request.inputs]
    program = read_program(request.script)
    return asyncio.run(_run(request, settings, program, inputs, limits))


def asked_limits(request: Request, usual: Limits) -> Limits:
    """Return the usual limits with those that were asked for in their place. Raises `InvalidLimit`."""
    limits = usual
    if request.timeout is not None:
        limits = replace(limits, wall_seconds=seconds(request.timeout, name="--timeout"))
    if request.memory is not None:
        limits = replace(limits, memory_bytes=size(request.memory, name="--memory"))
    if request.output_limit is not None:
        limits = replace(limits, output_bytes=size(request.output_limit, name="--output-limit"))
    return limits


def read_program(script: str) -> Program:
    """Read Python source from a file or standard input, in the encoding that it declares. Raises `ScriptUnusable`."""
    is_piped = script == STANDARD_INPUT
    name = PROGRAM_NAME if is_piped else Path(script).name
    try:
        source = _head(script)
    except OSError as refused:
        raise ScriptUnusable(script, (refused.strerror or "it cannot be read").lower()) from refused
    if b"\0" in source:
        raise ScriptUnusable(script, "it is binary, not Python source")
    if len(source) > LONGEST_CODE_BYTES:
        raise ContentTooLarge(name, size=len(source), limit=LONGEST_CODE_BYTES)
    try:
        encoding, _lines = tokenize.detect_encoding(io.BytesIO(source).readline)
        return Program(name=name, code=source.decode(encoding))
    except (SyntaxError, UnicodeDecodeError) as wrong:
        raise ScriptUnusable(script, "it is not text in UTF-8 or in the encoding that it declares") from wrong


def _head(script: str) -> bytes:
    if script == STANDARD_INPUT:
        return sys.stdin.buffer.read(LONGEST_CODE_BYTES + 1)
    with Path(script).open("rb") as file:
        return file.read(LONGEST_CODE_BYTES + 1)


def _input(given: str, request: Request) -> InputReference:
    """A path that is there is a path; else it may be the id or handle of an artifact, which hold no dot or slash."""
    if os.path.lexists(given):
        return Path(given)
    if "/" in given or "." in given:
        raise missing_file(given)
    if request.is_throwaway:
        raise InputNotFound(given, "there is no such file, and artifacts are found with `--session` or `--data` only")
    return given


async def _run(
    request: Request, settings: Settings, program: Program, inputs: Sequence[InputReference], limits: Limits
) -> int:
    with progress("Opening the store") as stage:
        async with _opened(request, settings) as engine:
            session = engine.session("default" if request.session is None else request.session)
            stage(f"Running {program.name}")
            execution = await session.run(
                program.code,
                inputs=inputs,
                limits=limits,
                check=request.is_checked,
                name=program.name,
                on_output=lambda output: stage(f"Running {program.name}: {_last_line(output.text)}"),
            )
            stage("Writing the files")
            paths = await _deliver(session, execution.artifacts, Path(request.out or "."))
            stage("Closing the sandbox")
    _print(execution, paths, request)
    return DONE if execution.ok else FAILED


def _last_line(text: str) -> str:
    """Return the newest line of what a program has written, as much of it as fits beside the name."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:MOST_SHOWN] if lines else ""


def _opened(request: Request, settings: Settings) -> AbstractAsyncContextManager[Engine]:
    if request.is_throwaway:
        return wiring.open_throwaway(settings=settings)
    return wiring.open(request.data, settings=settings)


async def _deliver(session: Session, artifacts: Sequence[Artifact], folder: Path) -> dict[str, str]:
    paths: dict[str, str] = {}
    for artifact in artifacts:
        inner = PurePosixPath(str(artifact.version.metadata.get("path", artifact.name)))
        # A page that names `img/a.png` finds it only where the program put it.
        place = folder.joinpath(*(safe_name(part) for part in inner.parts[:-1]))
        paths[artifact.id] = str(await write_new(place, inner.name, session.stream(artifact.id)))
    return paths


def _print(execution: Execution, paths: dict[str, str], request: Request) -> None:
    if request.as_json:
        print_json(execution_shape(execution, paths=paths))
    else:
        print_execution(execution, paths, has_handles=not request.is_throwaway)
