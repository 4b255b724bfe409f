import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath

import pytest

from handiwork.errors import (
    ArtifactNotFound,
    ContentTooLarge,
    InputNotFound,
    InvalidName,
    LimitExceeded,
    SandboxBroken,
    StorageFull,
)
from handiwork.executions.limits import LimitPolicy
from handiwork.executions.runs import LONGEST_CODE_BYTES, MOST_INPUTS, Order, Runs
from handiwork.ids import ExecutionId, new_artifact_id
from handiwork.model import Isolation, Limits, Outcome, Principal, Refused, Scope, Status
from handiwork.sandbox.sandbox import Job, Output, Run
from handiwork.types.file import file_type
from handiwork.versions.content import Bytes
from handiwork.versions.creation import Creation
from memory_store import NOON, MemoryBlobs, MemoryRecords

SCOPE = Scope(session="s")
ADA = Principal(kind="agent", id="ada")
ISOLATION = Isolation(level="full", memory_by="cgroup", walls={})


@dataclass(frozen=True, slots=True)
class Made:
    """A file that a job left."""

    path: str
    data: bytes

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def inserted_bytes(self) -> int:
        return 0

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    def chunks(self) -> AsyncIterator[bytes]:
        return Bytes(self.data).chunks()


class ScriptedSandbox:
    """Keeps the job and what its inputs held, and answers with the files that it was told to."""

    def __init__(self) -> None:
        self.leaves: Sequence[Output] = ()
        self.refuses: tuple[Refused, ...] = ()
        self.status: Status = "succeeded"
        self.failure: Exception | None = None
        self.job: Job | None = None
        self.inputs: dict[str, bytes] = {}
        self.is_open = False

    @contextlib.asynccontextmanager
    async def run(self, job: Job) -> AsyncGenerator[Run]:
        self.job = job
        if self.failure is not None:
            raise self.failure
        for given in job.inputs:
            self.inputs[given.name] = b"".join([chunk async for chunk in given.chunks()])
        self.is_open = True
        try:
            yield Run(outcome=outcome(self.status, self.refuses), outputs=tuple(self.leaves))
        finally:
            self.is_open = False

    async def probe(self) -> Isolation:
        return ISOLATION

    @property
    def libraries(self) -> Mapping[str, str]:
        return {}


def outcome(status: Status, refused: tuple[Refused, ...]) -> Outcome:
    return Outcome(
        status=status,
        exit_code=0,
        signal=None,
        stdout="",
        stderr="",
        stdout_truncated=False,
        stderr_truncated=False,
        error=None,
        violations=(),
        duration_ms=1,
        cpu_ms=1,
        peak_memory_bytes=1,
        isolation=ISOLATION,
        refused=refused,
    )


class Running:
    """Runs on a scripted sandbox and a store in memory."""

    def __init__(self) -> None:
        self.sandbox, self.records, self.blobs = ScriptedSandbox(), MemoryRecords(), MemoryBlobs()
        creation = Creation(
            records=self.records,
            blobs=self.blobs,
            clock=lambda: NOON,
            new_id=new_artifact_id,
            retention=timedelta(days=7),
            notes=None,
        )
        self.runs = Runs(
            sandbox=self.sandbox,
            records=self.records,
            blobs=self.blobs,
            creation=creation,
            limits=LimitPolicy(),
            type=file_type(),
            clock=lambda: NOON,
            new_id=lambda: ExecutionId("exc_1"),
        )

    async def names_of(self, *paths: str) -> list[str]:
        self.sandbox.leaves = [Made(path, b"x") for path in paths]
        return [a.name for a in (await self.runs.carry_out(SCOPE, ADA, Order(code="1"))).artifacts]


@pytest.fixture
def running() -> Running:
    return Running()


async def test_a_run_is_recorded_with_the_files_that_it_made(running: Running) -> None:
    running.sandbox.leaves = [Made("a.txt", b"one"), Made("sub/b.csv", b"a\n1\n")]
    execution = await running.runs.carry_out(SCOPE, ADA, Order(code="1", request_id="req"))
    assert running.records.executions == {"exc_1": execution}
    assert [(a.name, a.media_type) for a in execution.artifacts] == [("a.txt", "text/plain"), ("b.csv", "text/csv")]
    assert [a.version.metadata for a in execution.artifacts] == [{}, {"path": "sub/b.csv"}]
    provenance = execution.artifacts[0].version.provenance
    assert (provenance.principal, provenance.execution_id, provenance.request_id) == (ADA, "exc_1", "req")
    assert not running.sandbox.is_open


async def test_a_run_without_files_is_recorded_too(running: Running) -> None:
    running.sandbox.status = "failed"
    execution = await running.runs.carry_out(SCOPE, ADA, Order(code="1"))
    assert running.records.executions[ExecutionId("exc_1")].status == "failed"
    assert execution.artifacts == ()


async def test_the_order_reaches_the_sandbox_as_it_was_given(running: Running) -> None:
    await running.runs.carry_out(
        SCOPE, ADA, Order(code="print(1)", name="chart.py", is_checked=False, limits=Limits(wall_seconds=3))
    )
    job = running.sandbox.job
    assert job is not None
    assert (job.code, job.name, job.is_checked, job.limits) == ("print(1)", "chart.py", False, Limits(wall_seconds=3))


async def test_a_format_that_is_not_delivered_joins_what_was_refused(running: Running) -> None:
    running.sandbox.leaves = [Made("a/film.mp4", b"\0\0\0\x18ftypmp42" + bytes(50)), Made("k.txt", b"k")]
    running.sandbox.refuses = (Refused(name="evil", reason="symlink"),)
    execution = await running.runs.carry_out(SCOPE, ADA, Order(code="1"))
    assert [(r.name, r.reason) for r in execution.outcome.refused] == [
        ("evil", "symlink"),
        ("a/film.mp4", "unsupported_format"),
    ]
    assert execution.outcome.refused[1].hint
    assert running.records.executions[ExecutionId("exc_1")].outcome.refused == execution.outcome.refused
    assert [artifact.name for artifact in execution.artifacts] == ["k.txt"]


# Names


async def test_names_that_differ_stay_as_they_are(running: Running) -> None:
    assert await running.names_of("a.txt", "b/c.txt", "b/d/e.txt") == ["a.txt", "c.txt", "e.txt"]


async def test_equal_names_get_their_folders(running: Running) -> None:
    assert await running.names_of("r.txt", "a/r.txt", "b/c/r.txt") == ["r.txt", "a-r.txt", "b-c-r.txt"]


async def test_names_that_differ_by_case_alone_are_equal(running: Running) -> None:
    assert await running.names_of("a/R.txt", "b/r.TXT") == ["a-R.txt", "b-r.TXT"]


async def test_names_that_are_still_equal_are_counted(running: Running) -> None:
    assert await running.names_of("a-r.txt", "a/r.txt", "r.txt") == ["a-r.txt", "2-a-r.txt", "r.txt"]


async def test_a_very_deep_path_gives_a_name_that_fits(running: Running) -> None:
    deep = "/".join(["d" * 200] * 20)
    first, second = await running.names_of(f"{deep}/r.txt", f"x/{deep}/r.txt")
    assert first != second
    assert max(map(len, (first, second))) <= 255
    assert first.endswith("r.txt")


# Inputs


async def test_paths_and_artifacts_become_inputs_with_their_content(running: Running, tmp_path: Path) -> None:
    running.sandbox.leaves = [Made("a.csv", b"stored")]
    (stored,) = (await running.runs.carry_out(SCOPE, ADA, Order(code="1"))).artifacts
    (tmp_path / "b.csv").write_bytes(b"from disk")
    execution = await running.runs.carry_out(SCOPE, ADA, Order(code="1", inputs=[stored.handle, tmp_path / "b.csv"]))
    assert running.sandbox.inputs == {"a.csv": b"stored", "b.csv": b"from disk"}
    assert execution.artifacts[0].version.provenance.inputs == (f"{stored.id}@1", "file:b.csv")


@pytest.mark.parametrize("reference", ["a_0000", "art_nothing"])
async def test_an_artifact_that_is_not_there_stops_the_run_before_it_begins(running: Running, reference: str) -> None:
    with pytest.raises(ArtifactNotFound):
        await running.runs.carry_out(SCOPE, ADA, Order(code="1", inputs=[reference]))
    assert running.sandbox.job is None


async def test_an_artifact_of_another_session_is_not_there(running: Running) -> None:
    running.sandbox.leaves = [Made("a.csv", b"stored")]
    (stored,) = (await running.runs.carry_out(Scope(session="other"), ADA, Order(code="1"))).artifacts
    with pytest.raises(ArtifactNotFound):
        await running.runs.carry_out(SCOPE, ADA, Order(code="1", inputs=[stored]))


async def test_more_inputs_than_a_run_may_have_are_refused_with_the_number(running: Running, tmp_path: Path) -> None:
    with pytest.raises(InputNotFound, match=str(MOST_INPUTS)):
        await running.runs.carry_out(SCOPE, ADA, Order(code="1", inputs=[tmp_path / "a"] * (MOST_INPUTS + 1)))


async def test_two_inputs_of_one_name_are_refused(running: Running, tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(InvalidName, match=r"a\.csv"):
        await running.runs.carry_out(SCOPE, ADA, Order(code="1", inputs=[tmp_path / "a.csv"] * 2))


# What stops it


async def test_limits_over_the_maximum_stop_the_run_before_it_begins(running: Running) -> None:
    with pytest.raises(LimitExceeded):
        await running.runs.carry_out(SCOPE, ADA, Order(code="1", limits=Limits(wall_seconds=31)))
    assert running.sandbox.job is None


async def test_code_is_measured_in_bytes(running: Running) -> None:
    fits = "é" * (LONGEST_CODE_BYTES // 2)
    await running.runs.carry_out(SCOPE, ADA, Order(code=fits))
    running.sandbox.job = None
    with pytest.raises(ContentTooLarge, match=r"main\.py"):
        await running.runs.carry_out(SCOPE, ADA, Order(code=fits + "é"))
    assert running.sandbox.job is None


async def test_a_sandbox_that_breaks_leaves_nothing(running: Running) -> None:
    running.sandbox.failure = SandboxBroken("it died")
    with pytest.raises(SandboxBroken):
        await running.runs.carry_out(SCOPE, ADA, Order(code="1"))
    assert (running.records.executions, running.blobs.stored) == ({}, {})


async def test_a_full_disk_leaves_nothing_and_closes_the_run(running: Running) -> None:
    running.sandbox.leaves = [Made("a.txt", b"one"), Made("b.txt", b"two")]
    running.blobs.failure, running.blobs.good = StorageFull("disk"), 1
    with pytest.raises(StorageFull):
        await running.runs.carry_out(SCOPE, ADA, Order(code="1"))
    assert (running.records.filed, running.records.executions, running.blobs.stored) == ([], {}, {})
    assert not running.sandbox.is_open
