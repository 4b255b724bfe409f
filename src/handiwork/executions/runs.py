"""Runs from code to stored artifacts: inputs found, limits admitted, a turn waited for, program run, files kept.

How a program is confined is the sandbox's; how artifacts are stored is `versions`'. A run is on record from its
beginning, under the name of this process, so that one that is cut off by a crash is found and declared lost.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from handiwork.clock import Clock
from handiwork.errors import (
    ContentTooLarge,
    HandiworkError,
    QueueFull,
    ScopeErased,
    ShuttingDown,
    StorageFailed,
    StorageFull,
)
from handiwork.events import Output
from handiwork.executions.inputs import InputReference, Inputs
from handiwork.executions.limits import LimitPolicy
from handiwork.executions.outputs import kept_of
from handiwork.executions.queue import Turns
from handiwork.ids import ExecutionId
from handiwork.model import KIB, MIB, Execution, Limits, Outcome, Principal, ProgramError, Provenance, Reach, Scope
from handiwork.sandbox.sandbox import PROGRAM_NAME, Job, Piece, Run, Sandbox
from handiwork.store.execution_records import ExecutionRecords
from handiwork.store.records import Records
from handiwork.tasks import in_thread, to_the_end, trace_of
from handiwork.types.artifact_type import ArtifactType
from handiwork.versions.content import Bytes
from handiwork.versions.creation import Creation
from handiwork.versions.drafts import Draft
from handiwork.versions.tool_results import demand_tool_call_id

LONGEST_CODE_BYTES = 4 * MIB
LOOK_SECONDS = 0.5
FEW, SMALL_BYTES = 4, 64 * KIB
# After something that nobody has foreseen, so that it does not fill the log.
PAUSE_SECONDS = 5.0
MOST_UNSETTLED = 256
# Of another process, which looks for that every `LOOK_SECONDS`.
FOREIGN_END_SECONDS = 5.0
_POLL_SECONDS = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller asks to be run. An input is a path, or the id or handle of an artifact of the session."""

    code: str
    inputs: Sequence[InputReference] = ()
    limits: Limits | None = None
    is_checked: bool = True
    name: str = PROGRAM_NAME
    title: str | None = None
    """What is made is called so; None is by the names of the files."""
    tool_call_id: str | None = None
    request_id: str | None = None
    on_output: Callable[[Output], None] | None = None
    """Told what the program writes while it runs, beside those who follow the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """A run on its way: its record as it began, what the sandbox gets, and where what it makes comes from."""

    execution: Execution
    job: Job
    provenance: Provenance
    title: str | None


@dataclass(kw_only=True, eq=False)
class Runs:
    """Carries out orders in one sandbox and one store; `owner` is this process in the records. Close it when done."""

    sandbox: Sandbox
    executions: ExecutionRecords
    records: Records
    inputs: Inputs
    creation: Creation
    limits: LimitPolicy
    type: ArtifactType
    clock: Clock
    new_id: Callable[[], ExecutionId]
    turns: Turns
    owner: str
    tell: Callable[[Output], None] | None = None
    """Told what programs write while they run."""
    _live: "dict[ExecutionId, asyncio.Task[Execution]]" = field(
        default_factory=dict["ExecutionId", "asyncio.Task[Execution]"]
    )
    _recorded: set[ExecutionId] = field(default_factory=set[ExecutionId])
    _unsettled: deque[Execution] = field(default_factory=deque[Execution])
    _looking: "asyncio.Task[None] | None" = None

    async def carry_out(self, scope: Scope, principal: Principal, order: Order) -> Execution:
        """Run the program and store what it made, all or none, with the record of the run.

        Raises:
            ContentTooLarge, InputNotFound, InvalidLimit, LimitExceeded, QueueFull: nothing was run.
            IsolationUnavailable, SandboxBroken: nothing was stored.
            QuotaExceeded, StorageFull, StorageFailed: the run is lost; none of its files was stored.
        """
        run = await self._set_off(scope, principal, order)
        try:
            await asyncio.wait([run])
        except asyncio.CancelledError:
            run.cancel()
            await to_the_end(asyncio.wait([run]))
            raise
        return run.result()

    async def see_through(self, scope: Scope, principal: Principal, order: Order) -> Execution:
        """Do as `carry_out` does and raise what it raises; but a caller that stops waiting does not stop the run."""
        run = await self._set_off(scope, principal, order)
        await asyncio.wait([run])
        return run.result()

    async def start(self, scope: Scope, principal: Principal, order: Order) -> Execution:
        """Put the program into the queue and return at once; the record tells what becomes of it.

        Raises:
            ContentTooLarge, InputNotFound, InvalidLimit, LimitExceeded, QueueFull: nothing will be run.
        """
        begun = await self._begun(scope, principal, order, status="queued")
        self.turns.demand_room(scope.tenant)
        try:
            await self._begin(begun.execution)
        except asyncio.CancelledError:
            # The record may stand by now, and nobody would ever carry it out.
            self._recorded.add(begun.execution.id)
            try:
                await to_the_end(self._end(begun, Outcome(status="cancelled")))
            finally:
                self._recorded.discard(begun.execution.id)
            raise
        self._let_go(begun)
        # Its first step: a task that is cancelled before that ends without a word, and its record never does.
        await asyncio.sleep(0)
        return begun.execution

    async def cancel(self, reach: Scope | Reach, execution_id: ExecutionId) -> Execution:
        """End a run and return it as it stands then; one that has ended stays as it is.

        A run of this process is ended at once, also when nothing can be written. One of another process is asked to
        end in the records: its end is waited for, 5 s at most, and after that it is returned unfinished.

        Raises:
            ExecutionNotFound: there is none within reach.
            StorageFull, StorageFailed: a run of another process was not asked to end.
        """
        execution = await self.executions.get(reach, execution_id)
        if execution.is_finished:
            return execution
        run = self._live.get(execution_id)
        if run is None:
            return await self._cancel_elsewhere(reach, execution_id)
        run.cancel()
        await asyncio.wait([run], timeout=10)
        execution = await self.executions.get(reach, execution_id)
        if not execution.is_finished and run.done() and not run.cancelled() and run.exception() is None:
            return run.result()  # It has ended, though that cannot be written yet.
        return execution

    async def close(self, *, within_seconds: float = 10.0) -> None:
        """Let the runs that have begun end, as long as that takes no longer than this; the rest are cancelled."""
        self.turns.close()
        if self._live:
            await asyncio.wait(self._live.values(), timeout=within_seconds)
        for run in list(self._live.values()):
            run.cancel()
        if self._live:
            await to_the_end(asyncio.wait(self._live.values()))
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        self.turns.end()

    async def _cancel_elsewhere(self, reach: Scope | Reach, execution_id: ExecutionId) -> Execution:
        def ask() -> Awaitable[Execution]:
            return self.executions.request_cancel(reach, execution_id)

        space = self.creation.space
        # An end frees space, if not at once: it may use the reserve.
        execution = await (ask() if space is None else space.free(ask))
        loop = asyncio.get_running_loop()
        end = loop.time() + FOREIGN_END_SECONDS
        while not execution.is_finished and loop.time() < end:
            await asyncio.sleep(_POLL_SECONDS)
            execution = await self.executions.get(reach, execution_id)
        return execution

    async def _begun(
        self, scope: Scope, principal: Principal, order: Order, *, status: Literal["queued", "running"]
    ) -> _Begun:
        self.creation.admission.demand_enabled()
        limits = self.limits.admit(order.limits)
        if not isinstance(order.code, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise TypeError(f"code is text, not {type(order.code).__name__}")
        code_bytes = len(order.code.encode("utf-8", "surrogatepass"))
        if code_bytes > LONGEST_CODE_BYTES:
            raise ContentTooLarge(order.name, size=code_bytes, limit=LONGEST_CODE_BYTES)
        # Nothing that was made may be lost for what it is called.
        self.creation.admission.demand_described(Draft(type=self.type, content=Bytes(b""), title=order.title))
        if order.tool_call_id is not None:
            demand_tool_call_id(order.tool_call_id)
        given = await self.inputs.find(scope, order.inputs)
        outcome = Outcome(status=status)
        execution = Execution(id=self.new_id(), scope=scope, created_at=self.clock(), outcome=outcome)
        job = Job(
            code=order.code,
            name=order.name,
            limits=limits,
            inputs=tuple(each for each, _reference in given),
            is_checked=order.is_checked,
            on_output=self._listener(execution, order),
        )
        provenance = Provenance(
            principal=principal,
            execution_id=execution.id,
            tool_call_id=order.tool_call_id,
            request_id=order.request_id,
            inputs=tuple(reference for _each, reference in given),
        )
        return _Begun(execution=execution, job=job, provenance=provenance, title=order.title)

    def _listener(self, execution: Execution, order: Order) -> Callable[[Piece], None] | None:
        listeners = [each for each in (self.tell, order.on_output) if each is not None]
        if not listeners:
            return None

        def listen(piece: Piece) -> None:
            output = Output(
                scope=execution.scope,
                execution_id=execution.id,
                stream=piece.stream,
                offset=piece.offset,
                text=piece.text,
            )
            for listener in listeners:
                listener(output)

        return listen

    async def _set_off(self, scope: Scope, principal: Principal, order: Order) -> "asyncio.Task[Execution]":
        return self._let_go(await self._begun(scope, principal, order, status="running"))

    def _let_go(self, begun: _Begun) -> "asyncio.Task[Execution]":
        run = asyncio.create_task(self._run(begun))
        self._live[begun.execution.id] = run
        run.add_done_callback(lambda ended: self._ended(begun.execution.id, ended))
        self._look_out()
        return run

    def _look_out(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _begin(self, execution: Execution) -> None:
        await self.executions.begin(execution, owner=self.owner)
        self._recorded.add(execution.id)

    async def _run(self, begun: _Begun) -> Execution:
        try:
            async with self.turns.turn(begun.execution.scope.tenant, begun.execution.scope.user):
                return await self._in_turn(begun)
        except asyncio.CancelledError:
            return await to_the_end(self._end(begun, Outcome(status="cancelled")))
        except Exception as failure:
            # The edge of a run: whatever it was, the record must not say for ever that it is running.
            is_turned_away = isinstance(failure, (QueueFull, ShuttingDown))
            # Of one that was turned away at the door there is no record, and overload must not write any.
            if not is_turned_away or begun.execution.status == "queued":
                error = _error_of(failure)
                status = "cancelled" if is_turned_away else "lost"
                await to_the_end(self._end(begun, Outcome(status=status, error=error)))
            raise

    def _ended(self, execution_id: ExecutionId, run: "asyncio.Task[Execution]") -> None:
        del self._live[execution_id]
        self._recorded.discard(execution_id)
        if not run.cancelled():
            run.exception()  # Looked at: of a run that nobody waits for, the record tells what went wrong.

    async def _in_turn(self, begun: _Begun) -> Execution:
        running = replace(begun.execution, outcome=Outcome(status="running"))
        # The record is written while the program runs already; nothing of it counts before both are done.
        noted = asyncio.create_task(self._begin(running))
        try:
            async with self.sandbox.run(begun.job) as run:
                await noted
                return await self._keep(begun, run)
        finally:
            await to_the_end(asyncio.wait([noted]))
            if not noted.cancelled():
                noted.exception()  # Looked at: what failed is told by the `await` above, or by what came before it.

    async def _keep(self, begun: _Begun, run: Run) -> Execution:
        # To look into a few small files takes less time than asking a thread for it.
        is_small = len(run.outputs) <= FEW and sum(output.size for output in run.outputs) <= SMALL_BYTES
        looked_at = (run, self.type, begun.provenance, self.creation.admission)
        titled = partial(kept_of, title=begun.title)
        kept = titled(*looked_at) if is_small else await in_thread(titled, *looked_at)
        outcome = _advised(run.outcome, self.limits.room(begun.job.limits, run.outcome.status))
        execution = replace(begun.execution, outcome=replace(outcome, refused=kept.refused))
        made = await self.creation.file(execution.scope, kept.drafts, execution=execution)
        return replace(execution, artifacts=made)

    async def _end(self, begun: _Begun, outcome: Outcome) -> Execution:
        ended = replace(begun.execution, outcome=outcome)
        try:
            await self.records.add([], execution=ended)
            # It may have ended before that in another way, and then that is how it ended.
            return await self.executions.get(ended.scope, ended.id)
        except ScopeErased:
            return ended
        except (StorageFull, StorageFailed):
            # Of what is not on record nothing must be put right; what does not fit is lost when this process ends.
            if ended.id in self._recorded and len(self._unsettled) < MOST_UNSETTLED:
                self._unsettled.append(ended)
                self._look_out()
            return ended

    async def _look(self) -> None:
        """Look for runs of ours that another process wants to end, as long as any is on its way.

        An end that could not be written when it came is written as soon as that is possible again.
        """
        while self._live or self._unsettled:
            await asyncio.sleep(LOOK_SECONDS)
            await self._settle()
            try:
                await self._heed()
            except (StorageFull, StorageFailed):
                continue
            except Exception as failure:  # noqa: BLE001  # the edge of this task: else no request is heard any more
                _log.error("What other processes ask for could not be read: %s", trace_of(failure))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _settle(self) -> None:
        while self._unsettled:
            try:
                await self.records.add([], execution=self._unsettled[0])
            except (StorageFull, StorageFailed):
                return
            except ScopeErased:
                pass
            except Exception as failure:  # noqa: BLE001  # the edge of this task; given up, as it may never be possible
                _log.error("The end of run `%s` was not recorded: %s", self._unsettled[0].id, trace_of(failure))
            self._unsettled.popleft()

    async def _heed(self) -> None:
        for execution_id in await self.executions.cancel_requests(self.owner) if self._live else ():
            if execution_id in self._live:
                self._live[execution_id].cancel()


def _advised(outcome: Outcome, room: str | None) -> Outcome:
    """Return an outcome whose hint says what the deployment allows, too."""
    if outcome.error is None or room is None:
        return outcome
    hint = " ".join(filter(None, (outcome.error.hint, room)))
    return replace(outcome, error=replace(outcome.error, hint=hint))


def _error_of(failure: Exception) -> ProgramError:
    if isinstance(failure, HandiworkError):
        return ProgramError(type=failure.code, message=str(failure), hint=failure.hint)
    return ProgramError(type="internal", message="The run broke off; the log of this process tells why.")
