"""One run of an Autopilot: iterations of a model with its tools, a verdict after each, and the end of it.

How the run is begun and its events are handed on is known to `pilot`. What fails in here becomes the result.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import Agent, UsageLimits
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.usage import RunUsage

from handiwork.autopilot.deliverables import Deliverables
from handiwork.autopilot.equipment import toolsets_of
from handiwork.autopilot.goal import Bound, BudgetPolicy, Goal
from handiwork.autopilot.judging import Judge
from handiwork.autopilot.result import AutopilotResult, Judged, Status, Used
from handiwork.autopilot.wording import INSTRUCTIONS, beginning, going_on
from handiwork.collect.artifact import Artifact
from handiwork.collect.collector import Problem
from handiwork.tasks import is_given_up, words_of
from handiwork.tools.tool import Answer

Event = dict[str, Any]
LONGEST_FAILURE = 500
# The runs that the code that is running belongs to, from the outermost on: a tool of one may carry out another.
_runs: ContextVar[tuple["Flight", ...]] = ContextVar("runs", default=())


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run ends."""

    status: Status
    reason: str
    exhausted: Bound | None = None
    error: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Flight:
    """One run, and how far it has come. `emit` is told of each event."""

    run_id: str
    model: Model
    goal: Goal
    budget: BudgetPolicy
    deliverables: Deliverables | None
    tools: tuple[object, ...]
    emit: Callable[[Event], object]
    usage: RunUsage = field(default_factory=RunUsage)
    output: str = ""
    iterations: int = 0
    judged: tuple[Judged, ...] = ()
    made: list[Artifact] = field(default_factory=list[Artifact])
    has_answered: bool = False
    started: float = field(default_factory=time.monotonic)

    async def fly(self) -> AutopilotResult:
        """Carry out the run to its end, whatever that is, in a task of its own."""
        _runs.set((*_runs.get(), self))
        goal = {"objective": self.goal.objective, "success_criteria": list(self.goal.success_criteria)}
        self._tell("run_started", goal=goal)
        stop = await self._stopped()
        await self._answer()
        used = self._used()
        result = AutopilotResult(
            run_id=self.run_id,
            status=stop.status,
            stop_reason=stop.reason,
            output=self.output,
            iterations=self.iterations,
            criteria=self.judged,
            exhausted=stop.exhausted,
            error=stop.error,
            usage=used,
            artifacts=[artifact.to_dict() for artifact in self.made],
        )
        self._tell("result", **{key: value for key, value in result.to_dict().items() if key != "run_id"})
        return result

    def heard(self, news: Artifact | Problem) -> None:
        """Tell what the collector has, at once, unless it belongs to other runs that share the collector.

        What was collected outside of every run, such as in a thread that knows of none, is told by all.
        """
        if (runs := _runs.get()) and self not in runs:
            return
        if isinstance(news, Problem):
            self._tell("problem", what=news.what, name=news.name, why=news.why)
            return
        self.made.append(news)
        told = news.to_dict()
        self._tell("artifact", artifact_kind=told.pop("kind"), **told)

    async def _stopped(self) -> Stop:
        """Go on until the run ends, and return why it did."""
        deadline = asyncio.timeout(self.budget.max_seconds)
        try:
            async with deadline:
                return await self._iterate()
        except TimeoutError as failure:
            return _exhausted("seconds", self.budget.max_seconds) if deadline.expired() else _failed(failure)
        except UsageLimitExceeded:
            most = self.budget.max_tokens
            if most is not None and self.usage.total_tokens > most:
                return _exhausted("tokens", most)
            return _exhausted("tool_calls", self.budget.max_tool_calls)
        except asyncio.CancelledError as failure:
            if is_given_up():
                raise
            return _failed(failure)
        except Exception as failure:  # noqa: BLE001  # models fail in any way, and a run has a result all the same
            return _failed(failure)

    async def _iterate(self) -> Stop:
        agent = Agent(self.model, instructions=INSTRUCTIONS, name="autopilot")
        judge = Judge(self.model, self.goal)
        limits = UsageLimits(
            request_limit=None,
            tool_calls_limit=self.budget.max_tool_calls,
            total_tokens_limit=self.budget.max_tokens,
        )
        toolsets = toolsets_of(self.tools, ingest=self._ingest, keep=self._keep)
        history: list[ModelMessage] = []
        asked = beginning(self.goal)
        while True:
            before, had = self.output, len(self.made)
            answer = await agent.run(
                asked, message_history=history, toolsets=toolsets, usage=self.usage, usage_limits=limits
            )
            self.output, history = str(answer.output), answer.all_messages()
            number = self.iterations + 1
            if self.deliverables is not None:
                await self.deliverables.of_text(self.output, iteration=number)
            if self.goal.success_criteria:
                self.judged = await judge.judge(self.output, self.made, usage=self.usage, limits=limits)
            self.iterations = number
            is_stuck = number > 1 and self.output.strip() == before.strip() and len(self.made) == had
            stop = self._stop(is_stuck=is_stuck)
            if stop is not None:
                await self._answer()
            self._tell(
                "iteration",
                iteration=number,
                output=self.output,
                criteria=[each.to_dict() for each in self.judged],
                usage=self._used().to_dict(),
            )
            if stop is not None:
                return stop
            asked = going_on(self.judged)

    def _stop(self, *, is_stuck: bool) -> Stop | None:
        if not self.goal.success_criteria:
            return Stop("completed", "The model has given its output, and the goal has no criteria.")
        if all(each.is_met for each in self.judged):
            return Stop("completed", "All criteria are met.")
        if is_stuck:
            return Stop("no_progress", "The model gave the same output twice and made nothing new.")
        if self.budget.max_iterations is not None and self.iterations >= self.budget.max_iterations:
            return _exhausted("iterations", self.budget.max_iterations)
        return None

    async def _answer(self) -> None:
        """Take in the last output as the answer, once."""
        if self.has_answered or not self.output or self.deliverables is None:
            return
        self.has_answered = True
        await self.deliverables.of_answer(self.output, iteration=max(self.iterations, 1))

    async def _ingest(self, metadata: object, tool_call_id: str | None) -> None:
        if self.deliverables is not None:
            iteration = self.iterations + 1
            await self.deliverables.of_metadata(metadata, iteration=iteration, tool_call_id=tool_call_id)

    async def _keep(self, answer: Answer) -> None:
        if self.deliverables is not None:
            await self.deliverables.of_tool(answer, iteration=self.iterations + 1)

    def _used(self) -> Used:
        return Used(
            seconds=round(time.monotonic() - self.started, 3),
            input_tokens=self.usage.input_tokens,
            output_tokens=self.usage.output_tokens,
            tool_calls=self.usage.tool_calls,
            requests=self.usage.requests,
        )

    def _tell(self, kind: str, **facts: object) -> None:
        told: Mapping[str, object] = {"kind": f"autopilot.{kind}", **facts, "run_id": self.run_id}
        self.emit(dict(told))


def _exhausted(bound: Bound, limit: float | None) -> Stop:
    words = bound.replace("_", " ")
    return Stop("budget_exhausted", f"The budget of {limit:,} {words} is used up.", exhausted=bound)


def _failed(failure: BaseException) -> Stop:
    said = words_of(failure)[:LONGEST_FAILURE]
    return Stop("failed", "The model, or the way to it, failed.", error=said)
