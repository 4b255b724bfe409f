"""The Autopilot: a goal, a model, a budget, and how a run is begun and followed, with an event loop and without one.

What happens in a run is in `flight`. No agent framework is imported before a run needs it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from anyio.from_thread import start_blocking_portal

from handiwork.autopilot.goal import BudgetPolicy, Goal
from handiwork.autopilot.result import AutopilotResult
from handiwork.client.session import RemoteSession
from handiwork.collect.collector import ArtifactCollector
from handiwork.errors import ExtraMissing, InvalidContent, InvalidName, InvalidTool, LoopRunning
from handiwork.ids import nanoid
from handiwork.loops import AnySession
from handiwork.session import Session
from handiwork.tasks import LoopElsewhere
from handiwork.tools.marks import mark_or_none
from handiwork.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from handiwork.autopilot.flight import Event

LONGEST_RUN_ID = 200
EXTRA = "pydantic-ai"


class Autopilot:
    """Lets a model work towards a goal. One Autopilot may be run several times, also at once."""

    def __init__(
        self,
        *,
        llm: "Model | str",
        goal: Goal,
        budget: BudgetPolicy | None = None,
        artifacts: ArtifactCollector | bool | None = None,
        tools: Iterable[Callable[..., object] | Toolbox] = (),
        session: AnySession | None = None,
    ) -> None:
        """Take a model of pydantic-ai or its name, and functions or toolboxes as `tools`.

        With `artifacts` what the run makes is collected: True makes a collector for each run. With a `session` its
        tools are added, large answers of marked functions are kept there, and so is what is collected. One of
        `handiwork.open_sync` is for `run` and `stream`.

        Raises:
            ExtraMissing: pydantic-ai is not installed.
            ModelUnusable: there is no such model, or it cannot be used here.
            InvalidContent: `artifacts` or `goal` is something else.
            InvalidTool: one of `tools` is neither a function nor a toolbox, or its answers are to be kept and there is
                no session.
        """
        if not isinstance(goal, Goal):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise InvalidContent("goal", expected="a `Goal`", got=f"a `{type(goal).__name__}`")
        if not isinstance(artifacts, (ArtifactCollector, bool, type(None))):  # pyright: ignore[reportUnnecessaryIsInstance]  # likewise
            expected = "True, an `ArtifactCollector`, or None"
            raise InvalidContent("artifacts", expected=expected, got=f"a `{type(artifacts).__name__}`")
        try:
            from handiwork.autopilot.models import model_of
        except ModuleNotFoundError as missing:
            raise ExtraMissing(EXTRA, why="the Autopilot asks models through it") from missing
        self._model = model_of(llm)
        self._goal, self._budget, self._artifacts = goal, budget or BudgetPolicy(), artifacts
        self._session: Session | RemoteSession | None = None
        self._portal: LoopElsewhere | None = None
        if session is None or isinstance(session, Session | RemoteSession):
            self._session = session
        else:
            self._session, self._portal = session.session, session.portal
        self._tools = (tools,) if isinstance(tools, Toolbox) else tuple(tools)
        for each in self._tools:
            if not isinstance(each, Toolbox) and not callable(each):  # pyright: ignore[reportUnnecessaryIsInstance]  # likewise
                raise InvalidTool(repr(each)[:100], problem="expected a function or a `Toolbox`")
            mark = mark_or_none(each)
            if self._session is None and mark is not None and mark.is_cached:
                name = str(getattr(each, "__name__", each))[:100]
                raise InvalidTool(name, problem="its large answers are to be kept, which takes a `session=`")

    def run(self, *, run_id: str | None = None) -> AutopilotResult:
        """Carry out a run and return what it has come to.

        Raises:
            LoopRunning: an event loop is running here; use `arun`.
        """
        _demand_no_loop("run")
        if self._portal is not None:
            return self._portal.call(lambda: self._come_to(run_id))
        return asyncio.run(self.arun(run_id=run_id))

    def stream(self, *, run_id: str | None = None) -> "Generator[Event]":
        """Carry out a run and yield its events as they come. See `astream`.

        Raises:
            LoopRunning: an event loop is running here; use `astream`.
        """
        _demand_no_loop("stream")
        return self._stepped(run_id)

    async def arun(self, *, run_id: str | None = None) -> AutopilotResult:
        """Carry out a run and return what it has come to; what fails in it is told by its status."""
        self._demand_session_here("run")
        return await self._come_to(run_id)

    async def _come_to(self, run_id: str | None) -> AutopilotResult:
        async with aclosing(self._flown(run_id)) as told:
            async for each in told:
                if isinstance(each, AutopilotResult):
                    return each
        raise AssertionError("a run ends with its result")

    async def astream(self, *, run_id: str | None = None) -> "AsyncGenerator[Event]":
        """Carry out a run and yield its events as they come; who stops reading ends the run.

        Their kinds are `autopilot.run_started`, `autopilot.artifact` as soon as something is collected,
        `autopilot.iteration`, `autopilot.problem`, and at the end `autopilot.result`.
        """
        self._demand_session_here("stream")
        async with aclosing(self._told(run_id)) as told:
            async for event in told:
                yield event

    async def _told(self, run_id: str | None) -> "AsyncGenerator[Event]":
        async with aclosing(self._flown(run_id)) as told:
            async for each in told:
                if not isinstance(each, AutopilotResult):
                    yield each

    async def _flown(self, run_id: str | None) -> "AsyncGenerator[Event | AutopilotResult]":
        from handiwork.autopilot.deliverables import Deliverables
        from handiwork.autopilot.flight import Flight

        loop = asyncio.get_running_loop()
        # It has no bound: who reads slowly must not hold up a run whose time is counted. The budget bounds what comes
        # to wait here, and most of it is in the result anyway.
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        collector = ArtifactCollector() if self._artifacts is True else self._artifacts or None
        # What a model writes is told as the agent's, like what it makes with tools.
        session = None if self._session is None else self._session.as_agent()
        flight = Flight(
            run_id=_named(run_id),
            model=self._model,
            goal=self._goal,
            budget=self._budget,
            deliverables=None,
            tools=self._equipped(),
            # Tools collect in threads of their own, and all events come in one order.
            emit=lambda event: loop.call_soon_threadsafe(events.put_nowait, event),
        )
        if collector is not None:
            flight.deliverables = Deliverables(collector=collector, session=session, tell=flight.heard)
        with nullcontext() if collector is None else collector.heard_by(flight.heard):
            running = asyncio.create_task(flight.fly())
            running.add_done_callback(lambda _: events.put_nowait(None))
            try:
                while (event := await events.get()) is not None:
                    yield event
                yield await running
            finally:
                running.cancel()
                await asyncio.wait([running])

    def _equipped(self) -> tuple[object, ...]:
        if self._session is None:
            return self._tools
        # Only where there is a session can large answers be kept.
        marks = [mark_or_none(each) for each in self._tools]
        kept = [each for each, mark in zip(self._tools, marks, strict=True) if mark is not None and mark.is_cached]
        plain = [each for each, mark in zip(self._tools, marks, strict=True) if mark is None or not mark.is_cached]
        return *plain, self._session.tools(extra=kept)

    def _demand_session_here(self, call: Literal["run", "stream"]) -> None:
        if self._portal is not None:
            expected = f"one of `handiwork.open` or `handiwork.connect` for `a{call}`"
            raise InvalidContent("session", expected=expected, got=f"one of `open_sync`, for `{call}`")

    def _stepped(self, run_id: str | None) -> "Generator[Event]":
        with start_blocking_portal() if self._portal is None else nullcontext(self._portal) as portal:
            events = self._told(run_id)
            try:
                while True:
                    try:
                        yield portal.call(events.__anext__)
                    except StopAsyncIteration:
                        return
            finally:
                portal.call(events.aclose)


def _demand_no_loop(call: Literal["run", "stream"]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise LoopRunning(f"Autopilot.{call}", instead=f"Autopilot.a{call}")


def _named(run_id: Any) -> str:
    if run_id is None:
        return f"run_{nanoid()}"
    if not isinstance(run_id, str) or not 0 < len(run_id) <= LONGEST_RUN_ID or not run_id.isprintable():
        raise InvalidName("run id", str(run_id)[:60], expected=f"1 to {LONGEST_RUN_ID} printable characters")
    return run_id
