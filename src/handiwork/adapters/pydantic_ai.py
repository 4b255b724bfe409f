"""Pydantic AI: one capability that gives an agent the tools of a session, and its user the answer with what it names.

What the tools do is known to `handiwork.tools`, what a reference shows to `handiwork.context`.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from handiwork.context.expander import Expander
from handiwork.context.turn import CONTEXT_TOKENS
from handiwork.errors import ExtraMissing
from handiwork.loops import AnySession, Home, at_home
from handiwork.tools.marks import THRESHOLD_BYTES, Mark
from handiwork.tools.results import Results, Unspeakable
from handiwork.tools.tool import Answer

try:
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.messages import (
        AgentStreamEvent,
        PartDeltaEvent,
        PartEndEvent,
        PartStartEvent,
        TextPart,
        TextPartDelta,
        ToolCallPart,
        ToolReturn,
        is_multi_modal_content,
    )
    from pydantic_ai.run import AgentRunResult
    from pydantic_ai.tools import RunContext, ToolDefinition
    from pydantic_ai.toolsets import AbstractToolset

    from handiwork.toolsets import OURS, ArtifactToolset
except ModuleNotFoundError as missing:
    raise ExtraMissing("pydantic-ai", why="this is a capability of Pydantic AI") from missing


class Artifacts(AbstractCapability[Any]):
    """What an agent needs to work with artifacts: `Agent(model, capabilities=[Artifacts(session)])`.

    It has the tools of the session, and is told which artifacts there are in `budget` tokens. What its other tools
    answer is kept and referred to when it has more than `threshold_bytes` bytes. The user is shown what the answer
    refers to, at once on the stream of events; the messages keep the short references. `extra` are functions of your
    own that are marked with `@handiwork.tool`.
    """

    def __init__(
        self,
        session: AnySession,
        extra: Sequence[object] = (),
        *,
        budget: int = CONTEXT_TOKENS,
        threshold_bytes: int = THRESHOLD_BYTES,
    ) -> None:
        super().__init__()
        self._budget = budget
        self._session, self._home = at_home(session)
        toolbox, home = self._session.tools(extra), self._home

        async def call(name: str, arguments: dict[str, Any], tool_call_id: str | None) -> Answer:
            return await home.visit(toolbox.call(name, arguments, tool_call_id=tool_call_id))

        self._toolset = ArtifactToolset(toolbox, call, toolset_id=OURS)
        self._mark = Mark(is_cached=True, threshold_bytes=threshold_bytes)

    @classmethod
    def get_serialization_name(cls) -> str | None:
        """Return None: a session is nothing that a file can hold."""
        return None

    def get_instructions(self) -> Callable[[RunContext[Any]], Awaitable[str]]:
        """Return what tells the agent, before each request, which artifacts there are and what users did."""
        return self._inventory

    def get_toolset(self) -> AbstractToolset[Any]:
        """Return the tools of the session."""
        return self._toolset

    async def after_tool_execute(
        self, ctx: RunContext[Any], *, call: ToolCallPart, tool_def: ToolDefinition, args: dict[str, Any], result: Any
    ) -> Any:
        """Keep what another tool has answered where it is large, and refer to it."""
        value = _value_of(result)
        if (tool_def.metadata or {}).get(OURS) or _is_shown(value):
            return result
        results = Results(verbs=self._session, tool=call.tool_name, mark=self._mark)
        try:
            answer = await self._home.visit(results.answer(value, call.tool_call_id))
        except Unspeakable:
            return result
        if answer.result is value:
            return result
        return _referring(result, answer)

    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        """Show the user what the answer refers to."""
        if not isinstance(result.output, str):
            return result
        return replace(result, output=await self._home.visit(self._session.expand(result.output)))

    async def wrap_run_event_stream(
        self, ctx: RunContext[Any], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterator[AgentStreamEvent]:
        """Show the user what a text refers to while it comes."""
        texts = self._texts()
        async for event in stream:
            if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                texts = self._texts()
                yield replace(event, part=replace(event.part, content=await texts.take(event.part.content)))
            elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                delta = replace(event.delta, content_delta=await texts.take(event.delta.content_delta))
                yield replace(event, delta=delta)
            elif isinstance(event, PartEndEvent) and isinstance(event.part, TextPart):
                if rest := await texts.end():
                    yield PartDeltaEvent(index=event.index, delta=TextPartDelta(content_delta=rest))
                yield replace(event, part=replace(event.part, content=texts.written))
            else:
                yield event

    async def _inventory(self, ctx: RunContext[Any]) -> str:
        return str(await self._home.visit(self._session.context(budget=self._budget)))

    def _texts(self) -> "_Texts":
        return _Texts(self._session.expander("user"), self._home)


class _Texts:
    """One text that is being written, as the user sees it."""

    def __init__(self, expander: Expander, home: Home) -> None:
        self._expander, self._home, self.written = expander, home, ""

    async def take(self, piece: str) -> str:
        shown = await self._home.visit(self._expander.take(piece))
        self.written += shown
        return shown

    async def end(self) -> str:
        rest = await self._home.visit(self._expander.end())
        self.written += rest
        return rest


def _value_of(result: Any) -> Any:
    """Return what a tool has answered a model, without what it has told the program around it."""
    given = cast("object", result)
    return cast("Any", given).return_value if isinstance(given, ToolReturn) else result


def _referring(result: Any, answer: Answer) -> Any:
    """Return what a tool has answered with a reference in the place of the value, and all else as it was."""
    given = cast("object", result)
    if not isinstance(given, ToolReturn):
        return ToolReturn(return_value=answer.text, metadata=dict(answer.structured))
    metadata = _joined(cast("object", cast("Any", given).metadata), answer.structured)
    return replace(cast("Any", given), return_value=answer.text, metadata=metadata)


def _joined(said: object, references: Mapping[str, object]) -> object:
    """Return what a tool has told the program around it, with the references where there is room for them."""
    if said is None:
        return dict(references)
    return {**cast("dict[str, object]", said), **references} if isinstance(said, dict) else said


def _is_shown(value: object) -> bool:
    """Tell whether a model is to look at it, as at a picture."""
    return any(map(is_multi_modal_content, cast("list[object]", value) if isinstance(value, list) else [value]))
