"""A run from code to stored artifacts: inputs found, limits admitted, program run, files kept.

How a program is confined is the sandbox's; how artifacts are stored is `versions`'.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from handiwork.errors import ArtifactNotFound, ContentTooLarge, InputNotFound, InvalidName
from handiwork.executions.limits import LimitPolicy
from handiwork.ids import ExecutionId
from handiwork.media.detection import detect
from handiwork.model import MIB, Artifact, Execution, Limits, Principal, Provenance, Refused, Scope
from handiwork.sandbox.sandbox import PROGRAM_NAME, Input, Job, Output, Run, Sandbox
from handiwork.store.blobs import Blobs
from handiwork.store.reading import read_verified
from handiwork.store.records import Filed, Records
from handiwork.types.artifact_type import ArtifactType
from handiwork.versions.content import HostFile
from handiwork.versions.creation import Clock, Creation, Draft

LONGEST_CODE_BYTES = 4 * MIB
MOST_INPUTS = 100
_LONGEST_JOINED = 200

InputReference = str | Path | Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller asks to be run. An input is a path, or the id or handle of an artifact of the session."""

    code: str
    inputs: Sequence[InputReference] = ()
    limits: Limits | None = None
    is_checked: bool = True
    name: str = PROGRAM_NAME
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Carries out orders in one sandbox and one store."""

    sandbox: Sandbox
    records: Records
    blobs: Blobs
    creation: Creation
    limits: LimitPolicy
    type: ArtifactType
    clock: Clock
    new_id: Callable[[], ExecutionId]

    async def carry_out(self, scope: Scope, principal: Principal, order: Order) -> Execution:
        """Run the program and store what it made, all or none, with the record of the run.

        Raises:
            ContentTooLarge, InputNotFound, InvalidLimit, LimitExceeded: nothing was run.
            IsolationUnavailable, SandboxBroken: nothing was stored.
            StorageFull, StorageFailed: the run is lost; none of its files was stored.
        """
        limits = self.limits.admit(order.limits)
        if not isinstance(order.code, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise TypeError(f"code is text, not {type(order.code).__name__}")
        code_bytes = len(order.code.encode("utf-8", "surrogatepass"))
        if code_bytes > LONGEST_CODE_BYTES:
            raise ContentTooLarge(order.name, size=code_bytes, limit=LONGEST_CODE_BYTES)
        given = await self._inputs(scope, order.inputs)
        began = self.clock()
        job = Job(
            code=order.code,
            name=order.name,
            limits=limits,
            inputs=tuple(each for each, _reference in given),
            is_checked=order.is_checked,
        )
        async with self.sandbox.run(job) as run:
            execution = Execution(id=self.new_id(), scope=scope, created_at=began, outcome=run.outcome)
            provenance = Provenance(
                principal=principal,
                execution_id=execution.id,
                request_id=order.request_id,
                inputs=tuple(reference for _each, reference in given),
            )
            return await self._keep(execution, run, provenance)

    async def _keep(self, execution: Execution, run: Run, provenance: Provenance) -> Execution:
        drafts: list[Draft] = []
        refused = list(run.outcome.refused)
        for output, name in _named(run.outputs):
            found = detect(name, output)
            if not found.delivered:
                refused.append(Refused(name=output.path, reason="unsupported_format", hint=found.hint))
                continue
            draft = Draft(
                type=self.type,
                name=name,
                content=output,
                provenance=provenance,
                metadata={} if name == output.path else {"path": output.path},
                uncounted_bytes=output.inserted_bytes,
            )
            drafts.append(draft)
        execution = replace(execution, outcome=replace(run.outcome, refused=tuple(refused)))
        made = await self.creation.file(execution.scope, drafts, execution=execution)
        return replace(execution, artifacts=made)

    async def _inputs(self, scope: Scope, references: Sequence[InputReference]) -> list[tuple[Input, str]]:
        if isinstance(references, str | Path | Artifact):
            raise TypeError("inputs is a list: put the one input into brackets")
        if len(references) > MOST_INPUTS:
            raise InputNotFound(f"{len(references)} inputs", f"a run takes at most {MOST_INPUTS}")
        found: list[tuple[Input, str]] = []
        names: set[str] = set()
        for reference in references:
            given, origin = await self._input(scope, reference)
            if given.name in names:
                raise InvalidName("input name", given.name, expected="a different name for each input")
            names.add(given.name)
            found.append((given, origin))
        return found

    async def _input(self, scope: Scope, reference: InputReference) -> tuple[Input, str]:
        if isinstance(reference, Path):
            file = HostFile.at(reference)
            return Input(name=reference.name, chunks=file.chunks), f"file:{reference.name}"
        wanted, number = (
            (reference.id, reference.version.number) if isinstance(reference, Artifact) else (reference, None)
        )
        try:
            filed = await self.records.get(scope, wanted, version=number)
        except ArtifactNotFound as unknown:
            if await asyncio.to_thread(os.path.lexists, wanted):
                raise InputNotFound(
                    wanted, f"text names an artifact; for the file write `Path({wanted!r})`"
                ) from unknown
            raise
        version = filed.artifact.version

        def chunks() -> AsyncIterator[bytes]:
            return read_verified(self.blobs, filed.blob_key, size=version.size, sha256=version.sha256)

        return Input(name=version.name, chunks=chunks), _origin(filed)


def _origin(filed: Filed) -> str:
    return f"{filed.artifact.id}@{filed.artifact.version.number}"


def _named(outputs: Sequence[Output]) -> list[tuple[Output, str]]:
    """Give each file its own name: where several have the same, those in folders get their folders before it."""
    count = Counter(output.name.casefold() for output in outputs)
    taken: set[str] = set()
    named: list[tuple[Output, str]] = []
    for output in outputs:
        is_alone = count[output.name.casefold()] == 1
        wanted = output.name if is_alone else output.path.replace("/", "-")[-_LONGEST_JOINED:]
        name, number = wanted, 2
        while name.casefold() in taken:
            name, number = f"{number}-{wanted}", number + 1
        taken.add(name.casefold())
        named.append((output, name))
    return named
