"""Runs on a scripted sandbox and a store in memory: what is recorded when, and what a caller is told."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath

import pytest

from handiwork.errors import (
    ArtifactNotFound,
    ContentTooLarge,
    ExecutionNotFound,
    LimitExceeded,
    QueueFull,
    SandboxBroken,
    ShuttingDown,
    StorageFailed,
    StorageFull,
)
from handiwork.executions.inputs import Inputs
from handiwork.executions.limits import LimitPolicy
from handiwork.executions.queue import Turns
from handiwork.executions.runs import LONGEST_CODE_BYTES, Order, Runs
from handiwork.ids import ExecutionId, new_artifact_id
from handiwork.model import Execution, Isolation, Limits, Outcome, Principal, Refused, Scope, Status
from handiwork.sandbox.sandbox import Job, Output, Run
from handiwork.types.file import file_type
from handiwork.versions.content import Bytes
from handiwork.versions.creation import Creation
from memory_store import NOON, MemoryBlobs, MemoryExecutions, MemoryRecords

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
    """Keeps the job and what its inputs held, and answers with the files that it was told to, once it `may_end`."""

    def __init__(self) -> None:
        self.leaves: Sequence[Output] = ()
        self.refuses: tuple[Refused, ...] = ()
        self.status: Status = "succeeded"
        self.failure: Exception | None = None
        self.job: Job | None = None
        self.inputs: dict[str, bytes] = {}
        self.is_open = False
        self.jobs = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    @contextlib.asynccontextmanager
    async def run(self, job: Job) -> AsyncGenerator[Run]:
        self.job = job
        self.jobs += 1
        if self.failure is not None:
            raise self.failure
        for given in job.inputs:
            self.inputs[given.name] = b"".join([chunk async for chunk in given.chunks()])
        self.is_open = True
        try:
            await self.may_end.wait()
            yield Run(outcome=outcome(self.status, self.refuses), outputs=tuple(self.leaves))
        finally:
            self.is_open = False

    async def probe(self) -> Isolation:
        return ISOLATION

    @property
    def libraries(self) -> Mapping[str, str]:
        return {}


def outcome(status: Status, refused: tuple[Refused, ...]) -> Outcome:
    return Outcome(status=status, exit_code=0, duration_ms=1, isolation=ISOLATION, refused=refused)


class Running:
    """Runs on a scripted sandbox and a store in memory."""

    def __init__(self, *, slots: int = 2, depth: int = 4, beside: "Running | None" = None) -> None:
        """With `beside` it is another process on the same store."""
        self.sandbox, self.blobs = ScriptedSandbox(), MemoryBlobs()
        self.records = beside.records if beside is not None else MemoryRecords()
        self.executions = beside.executions if beside is not None else MemoryExecutions(self.records)
        self.count = 0
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
            executions=self.executions,
            records=self.records,
            inputs=Inputs(records=self.records, blobs=self.blobs),
            creation=creation,
            limits=LimitPolicy(),
            type=file_type(),
            clock=lambda: NOON,
            new_id=self.new_id,
            turns=Turns(slots=slots, depth=depth, per_tenant=depth),
            owner="here" if beside is None else "there",
        )

    def new_id(self) -> ExecutionId:
        self.count += 1
        return ExecutionId(f"exc_{self.count}")

    def known(self, id: str = "exc_1") -> Execution:
        return self.records.executions[ExecutionId(id)]

    def status(self, id: str = "exc_1") -> Status | None:
        found = self.records.executions.get(ExecutionId(id))
        return found and found.status

    async def run(self, order: Order | None = None, *, scope: Scope = SCOPE) -> Execution:
        return await self.runs.carry_out(scope, ADA, order or Order(code="1"))

    async def start(self) -> Execution:
        return await self.runs.start(SCOPE, ADA, Order(code="1"))

    async def cancel(self, id: str = "exc_1") -> Execution:
        return await self.runs.cancel(SCOPE, ExecutionId(id))


def execution(status: Status) -> Execution:
    return Execution(id=ExecutionId("exc_1"), scope=SCOPE, created_at=NOON, outcome=Outcome(status=status))


async def eventually(holds: Callable[[], bool], *, within: float = 5.0) -> bool:
    deadline = asyncio.get_running_loop().time() + within
    while not holds() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110  # nothing announces it
        await asyncio.sleep(0.005)
    return holds()


@pytest.fixture
async def running() -> AsyncGenerator[Running]:
    running = Running()
    yield running
    await running.runs.close(within_seconds=0)


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
    execution = await running.run()
    assert running.known().status == "failed"
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
    execution = await running.run()
    assert [(r.name, r.reason) for r in execution.outcome.refused] == [
        ("evil", "symlink"),
        ("a/film.mp4", "unsupported_format"),
    ]
    assert execution.outcome.refused[1].hint
    assert running.known().outcome.refused == execution.outcome.refused
    assert [artifact.name for artifact in execution.artifacts] == ["k.txt"]


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


async def test_an_artifact_that_is_not_there_stops_the_run_before_it_begins(running: Running) -> None:
    with pytest.raises(ArtifactNotFound):
        await running.run(Order(code="1", inputs=["art_nothing"]))
    assert (running.sandbox.job, running.records.executions) == (None, {})


async def test_inputs_reach_the_program_and_the_provenance(running: Running, tmp_path: Path) -> None:
    running.sandbox.leaves = [Made("a.csv", b"stored")]
    (stored,) = (await running.run()).artifacts
    (tmp_path / "b.csv").write_bytes(b"from disk")
    execution = await running.run(Order(code="1", inputs=[stored.handle, tmp_path / "b.csv"]))
    assert running.sandbox.inputs == {"a.csv": b"stored", "b.csv": b"from disk"}
    assert execution.artifacts[0].version.provenance.inputs == (f"{stored.id}@1", "file:b.csv")


async def test_a_sandbox_that_breaks_leaves_no_files_and_the_run_is_lost(running: Running) -> None:
    running.sandbox.failure = SandboxBroken("it died")
    with pytest.raises(SandboxBroken):
        await running.run()
    assert running.blobs.stored == {}
    error = running.known().error
    assert error is not None
    assert (running.status(), error.type) == ("lost", "sandbox_broken")


async def test_a_full_disk_leaves_no_files_and_closes_the_run(running: Running) -> None:
    running.sandbox.leaves = [Made("a.txt", b"one"), Made("b.txt", b"two")]
    running.blobs.failure, running.blobs.good = StorageFull("disk"), 1
    with pytest.raises(StorageFull):
        await running.run()
    assert (running.records.filed, running.blobs.stored, running.status()) == ([], {}, "lost")
    assert not running.sandbox.is_open


# Started and left alone


async def test_a_run_that_was_started_is_queued_then_running_then_ended(running: Running) -> None:
    running.sandbox.may_end.clear()
    started = await running.start()
    assert (started.status, running.executions.said) == ("queued", ["queued"])
    assert await eventually(lambda: running.status() == "running")
    running.sandbox.may_end.set()
    assert await eventually(lambda: running.status() == "succeeded")
    assert (started.id, running.executions.owner_of[started.id]) == ("exc_1", "here")


async def test_a_run_is_on_record_while_the_caller_waits_for_it(running: Running) -> None:
    running.sandbox.may_end.clear()
    waiting = asyncio.ensure_future(running.run())
    assert await eventually(lambda: running.status() == "running")
    running.sandbox.may_end.set()
    assert (await waiting).status == "succeeded"


async def test_one_that_waits_for_its_turn_begins_when_another_has_ended(running: Running) -> None:
    running.sandbox.may_end.clear()
    for _ in range(3):
        await running.start()
    assert await eventually(lambda: running.sandbox.jobs == 2)
    assert running.status("exc_3") == "queued"
    running.sandbox.may_end.set()
    assert await eventually(lambda: running.status("exc_3") == "succeeded")


# Cancelled


async def test_a_run_that_waits_is_cancelled_and_never_begins() -> None:
    running = Running(slots=1)
    running.sandbox.may_end.clear()
    await running.start()
    await running.start()
    ended = await running.cancel("exc_2")
    assert (ended.status, running.status("exc_2")) == ("cancelled", "cancelled")
    running.sandbox.may_end.set()
    assert await eventually(lambda: running.status("exc_1") == "succeeded")
    assert running.sandbox.jobs == 1
    await running.runs.close()


async def test_a_program_that_runs_is_ended_and_leaves_nothing(running: Running) -> None:
    running.sandbox.may_end.clear()
    running.sandbox.leaves = [Made("a.txt", b"one")]
    await running.start()
    assert await eventually(lambda: running.sandbox.is_open)
    assert (await running.cancel()).status == "cancelled"
    assert (running.sandbox.is_open, running.blobs.stored, running.status()) == (False, {}, "cancelled")


async def test_whoever_waits_for_a_run_that_is_cancelled_gets_it_as_it_ended(running: Running) -> None:
    running.sandbox.may_end.clear()
    waiting = asyncio.ensure_future(running.run())
    assert await eventually(lambda: running.status() == "running")
    await running.cancel()
    assert (await asyncio.wait_for(waiting, 5)).status == "cancelled"


async def test_a_run_that_has_ended_stays_as_it_ended(running: Running) -> None:
    await running.run()
    assert (await running.cancel()).status == "succeeded"
    assert running.status() == "succeeded"


async def test_a_run_is_ended_also_when_nothing_can_be_written(running: Running) -> None:
    running.sandbox.may_end.clear()
    await running.start()
    assert await eventually(lambda: running.sandbox.is_open)
    running.executions.cannot_ask = running.records.failure = StorageFull("db")
    assert (await running.cancel()).status == "cancelled"
    assert (running.sandbox.is_open, running.status()) == (False, "running")
    running.records.failure = None
    assert await eventually(lambda: running.status() == "cancelled")


async def test_a_run_of_another_process_is_asked_to_end_and_its_end_is_waited_for(running: Running) -> None:
    other = Running(beside=running)
    running.sandbox.may_end.clear()
    await running.start()
    assert await eventually(lambda: running.sandbox.is_open)
    assert (await other.cancel()).status == "cancelled"
    assert not running.sandbox.is_open


async def test_a_run_of_another_process_that_does_not_end_is_returned_as_it_stands(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handiwork.executions.runs.FOREIGN_END_SECONDS", 0.1)
    other = Running(beside=running)
    await running.executions.begin(execution("running"), owner="one that hangs")
    assert (await asyncio.wait_for(other.cancel(), 5)).status == "running"
    assert running.executions.wanted == {"exc_1"}


async def test_a_run_of_another_process_that_cannot_be_asked_to_end_is_told(running: Running) -> None:
    other = Running(beside=running)
    await running.executions.begin(execution("running"), owner="one that hangs")
    running.executions.cannot_ask = StorageFull("db")
    with pytest.raises(StorageFull):
        await other.cancel()


async def test_a_run_of_somebody_else_cannot_be_cancelled(running: Running) -> None:
    running.sandbox.may_end.clear()
    await running.start()
    with pytest.raises(ExecutionNotFound):
        await running.runs.cancel(Scope(session="other"), ExecutionId("exc_1"))
    assert await eventually(lambda: running.status() == "running")


async def test_a_caller_who_stops_waiting_ends_the_run(running: Running) -> None:
    running.sandbox.may_end.clear()
    waiting = asyncio.ensure_future(running.run())
    assert await eventually(lambda: running.sandbox.is_open)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (running.sandbox.is_open, running.status()) == (False, "cancelled")


async def test_another_process_ends_a_run_by_saying_so_in_the_records(running: Running) -> None:
    running.sandbox.may_end.clear()
    started = await running.start()
    assert await eventually(lambda: running.sandbox.is_open)
    await running.executions.request_cancel(SCOPE, started.id)
    assert await eventually(lambda: running.status() == "cancelled")
    assert not running.sandbox.is_open


async def test_a_starter_who_is_cancelled_while_the_record_is_written_leaves_no_run_in_the_queue(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, begin = asyncio.Event(), running.executions.begin

    async def slow(execution: Execution, *, owner: str) -> None:
        await begin(execution, owner=owner)
        written.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(running.executions, "begin", slow)
    starting = asyncio.ensure_future(running.start())
    await asyncio.wait_for(written.wait(), 5)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert (running.status(), running.sandbox.jobs) == ("cancelled", 0)


# Turned away


@pytest.mark.parametrize("how", ["run", "start"])
async def test_a_full_queue_is_told_at_once_and_nothing_is_recorded(how: str) -> None:
    running = Running(slots=1, depth=1)
    running.sandbox.may_end.clear()
    await running.start()
    assert await eventually(lambda: running.sandbox.is_open)
    await running.start()
    assert await eventually(lambda: running.runs.turns.waiting == 1)
    with pytest.raises(QueueFull):
        await (running.run() if how == "run" else running.start())
    assert sorted(running.records.executions) == ["exc_1", "exc_2"]
    running.sandbox.may_end.set()
    assert await eventually(lambda: running.status("exc_2") == "succeeded")
    await running.runs.close()


async def test_a_close_lets_runs_end_that_do_so_in_time(running: Running) -> None:
    running.sandbox.may_end.clear()
    await running.start()
    assert await eventually(lambda: running.sandbox.is_open)
    closing = asyncio.ensure_future(running.runs.close(within_seconds=5))
    running.sandbox.may_end.set()
    await asyncio.wait_for(closing, 5)
    assert running.status() == "succeeded"


async def test_a_close_ends_what_takes_longer_than_it_may_and_what_waits(running: Running) -> None:
    running.sandbox.may_end.clear()
    for _ in range(3):
        await running.start()
    assert await eventually(lambda: running.sandbox.jobs == 2)
    began = asyncio.get_running_loop().time()
    await running.runs.close(within_seconds=0.1)
    assert asyncio.get_running_loop().time() - began < 2
    assert [running.status(f"exc_{n}") for n in (1, 2, 3)] == ["cancelled"] * 3
    with pytest.raises(ShuttingDown):
        await running.start()


async def test_one_that_was_sent_away_by_a_close_says_why(running: Running) -> None:
    running.sandbox.may_end.clear()
    for _ in range(3):
        await running.start()
    assert await eventually(lambda: running.runs.turns.waiting == 1)
    await running.runs.close(within_seconds=0)
    error = running.known("exc_3").error
    assert error is not None
    assert error.type == "shutting_down"


async def test_a_caller_may_stop_waiting_for_a_run_that_is_to_be_seen_through(running: Running) -> None:
    running.sandbox.may_end.clear()
    waiting = asyncio.ensure_future(running.runs.see_through(SCOPE, ADA, Order(code="1")))
    assert await eventually(lambda: running.sandbox.is_open)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    running.sandbox.may_end.set()
    assert await eventually(lambda: running.status() == "succeeded")


# What cannot be written


async def test_a_run_whose_record_cannot_be_written_stores_nothing_and_its_caller_is_told(running: Running) -> None:
    running.executions.failure = StorageFailed("db", "I/O error")
    running.sandbox.leaves = [Made("a.txt", b"one")]
    with pytest.raises(StorageFailed):
        await running.run()
    assert (running.blobs.stored, running.records.filed, running.status()) == ({}, [], "lost")
    with pytest.raises(StorageFailed):
        await running.start()
    assert running.sandbox.jobs == 1


async def test_an_end_that_cannot_be_written_is_written_as_soon_as_that_is_possible(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.records.failure = StorageFull("db")
    await running.start()
    assert await eventually(lambda: running.sandbox.jobs == 1 and not running.sandbox.is_open)
    assert running.status() == "running"
    running.records.failure = None
    assert await eventually(lambda: running.status() == "lost")
    assert caplog.messages == []  # Nobody waits for a run that was started, so nobody is to be told.


async def test_a_request_to_end_is_heard_while_an_end_cannot_be_written(running: Running) -> None:
    running.records.failure = StorageFull("db")
    await running.start()
    assert await eventually(lambda: running.sandbox.jobs == 1 and not running.sandbox.is_open)
    running.sandbox.may_end.clear()
    second = await running.start()
    assert await eventually(lambda: running.sandbox.is_open)
    await running.executions.request_cancel(SCOPE, second.id)
    assert await eventually(lambda: not running.sandbox.is_open)


async def test_a_run_that_never_was_on_record_is_not_put_there_later(running: Running) -> None:
    running.executions.failure = running.records.failure = StorageFull("db")
    with pytest.raises(StorageFull):
        await running.run()
    running.executions.failure = running.records.failure = None
    await running.start()
    assert await eventually(lambda: running.status("exc_2") == "succeeded")
    assert running.runs._looking is not None
    await asyncio.wait_for(asyncio.wait([running.runs._looking]), 5)
    assert list(running.records.executions) == ["exc_2"]


async def test_no_more_ends_wait_to_be_written_than_there_is_room_for(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handiwork.executions.runs.MOST_UNSETTLED", 1)
    running.records.failure = StorageFull("db")
    for _ in range(2):
        await running.start()
    assert await eventually(lambda: not running.runs._live)
    running.records.failure = None
    assert await eventually(lambda: not running.runs._unsettled)
    assert sorted(filter(None, map(running.status, ("exc_1", "exc_2")))) == ["lost", "running"]


async def test_what_nobody_has_foreseen_is_logged_by_its_kind_and_requests_are_heard_after_it(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("handiwork.executions.runs.PAUSE_SECONDS", 0.01)
    running.sandbox.may_end.clear()
    running.executions.unforeseen = ZeroDivisionError("canary")
    started = await running.start()
    assert await eventually(lambda: "ZeroDivisionError" in caplog.text)
    await running.executions.request_cancel(SCOPE, started.id)
    running.executions.unforeseen = None
    assert await eventually(lambda: running.status() == "cancelled")
    assert "canary" not in caplog.text
