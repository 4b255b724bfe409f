"""OpenAI's Agents SDK: the tools of a session, what one agent reveals to the next, and what a run leaves.

What the tools do is known to `handiwork.tools`; how much a reader sees of a reference to `handiwork.context`.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from handiwork.context.revealing import Reveal
from handiwork.context.turn import CONTEXT_TOKENS
from handiwork.errors import ExtraMissing
from handiwork.loops import AnySession, Home, at_home
from handiwork.tools.tool import Tool
from handiwork.tools.toolbox import Toolbox

try:
    from agents import FunctionTool, HandoffInputData, RunHooks, StreamEvent
    from agents import Tool as AnyTool
    from agents.items import RunItem
    from agents.tool import FunctionToolCustomDataContext
    from agents.tool_context import ToolContext
except ModuleNotFoundError as missing:
    raise ExtraMissing("openai-agents", why="these are tools and hooks of OpenAI's Agents SDK") from missing

DEEPEST = 20
_TEXTS = frozenset({"text", "output", "content"})

Expand = Callable[[str], Awaitable[str]]


class Collector(Protocol):
    """What takes artifacts out of the texts of a run, such as `handiwork.ArtifactCollector`."""

    def extract_from_output(self, text: str, *, iteration: int) -> object: ...
    def ingest_tool_metadata(self, metadata: Any, iteration: int) -> object: ...


def artifact_tools(session: AnySession, extra: Sequence[object] = ()) -> list[FunctionTool]:
    """Return the tools of a session. Each answers a text; the references are in the item's `custom_data`.

    `extra` are functions of your own that are marked with `@handiwork.tool`.
    """
    own, home = at_home(session)
    toolbox = own.tools(extra)
    return [_function_tool(tool, toolbox, home) for tool in toolbox]


def handoff_filter(session: AnySession, reveal: Reveal = "summary") -> Callable[[HandoffInputData], Any]:
    """Return an `input_filter`: the next agent sees as much of each reference as `reveal` says.

    The history that is kept has the short references. What it returns is to be awaited, as the SDK does.
    """
    own, home = at_home(session)

    async def expand(text: str) -> str:
        return await home.visit(own.expand(text, "agent", reveal=reveal)) if "<" in text else text

    async def revealed(handed: HandoffInputData) -> HandoffInputData:
        history = handed.input_history
        new = handed.new_items if handed.input_items is None else handed.input_items
        return handed.clone(
            input_history=cast("Any", await _expanded(history, expand, 0)),
            pre_handoff_items=tuple([await _item(each, expand) for each in handed.pre_handoff_items]),
            input_items=tuple([await _item(each, expand) for each in new]),
        )

    return revealed


def informed(
    session: AnySession, instructions: str, *, budget: int = CONTEXT_TOKENS
) -> Callable[[Any, Any], Awaitable[str]]:
    """Return `instructions` for an agent that go on with which artifacts there are, and what users did."""
    own, home = at_home(session)

    async def told(_context: Any, _agent: Any) -> str:
        return f"{instructions}\n\n{await home.visit(own.context(budget=budget))}".strip()

    return told


async def expanded(session: AnySession, events: AsyncIterable[StreamEvent]) -> AsyncIterator[str]:
    """Yield the text of a streamed run with its references expanded for the user, as it comes."""
    own, home = at_home(session)
    expander = own.expander("user")
    async for event in events:
        if event.type != "raw_response_event":
            continue
        if event.data.type == "response.output_text.delta":
            if piece := await home.visit(expander.take(event.data.delta)):
                yield piece
        elif event.data.type == "response.output_text.done":
            ended, expander = expander, own.expander("user")
            if rest := await home.visit(ended.end()):
                yield rest
    if rest := await home.visit(expander.end()):
        yield rest


class CollectingHooks(RunHooks[Any]):
    """Gives a collector what the agents of a run say last, and what its tools declare in `metadata`."""

    def __init__(self, collector: Collector) -> None:
        self._collector, self._count = collector, 0

    async def on_tool_end(self, context: Any, agent: Any, tool: AnyTool, result: object) -> None:
        """Take in what a tool has declared."""
        declared = cast("object", getattr(result, "metadata", None))
        if declared is not None:
            self._collector.ingest_tool_metadata(declared, self._count)

    async def on_agent_end(self, context: Any, agent: Any, output: Any) -> None:
        """Take in what an agent has answered; each answer is an iteration."""
        if isinstance(output, str):
            self._collector.extract_from_output(output, iteration=self._count)
        self._count += 1


class _Told(str):
    """A text for the model with references for the program around it."""

    __slots__ = ("references",)
    references: Mapping[str, object]


def _function_tool(tool: Tool, toolbox: Toolbox, home: Home) -> FunctionTool:
    async def invoked(context: ToolContext[Any], arguments: str) -> str:
        call = toolbox.call(tool.name, arguments or "{}", tool_call_id=context.tool_call_id)
        answer = await home.visit(call)
        told = _Told(answer.text)
        told.references = answer.structured
        return told

    strict = tool.strict_parameters
    return FunctionTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=dict(tool.parameters if strict is None else strict),
        on_invoke_tool=invoked,
        strict_json_schema=strict is not None,
        custom_data_extractor=_references,
    )


def _references(context: FunctionToolCustomDataContext) -> dict[str, Any] | None:
    return dict(context.output.references) if isinstance(context.output, _Told) else None


async def _item(item: RunItem, expand: Expand) -> RunItem:
    raw = cast("Any", item.raw_item)
    if isinstance(raw, Mapping):
        return replace(item, raw_item=await _expanded(cast("object", raw), expand, 0))
    parts = cast("object", getattr(raw, "content", None))
    if not isinstance(parts, list):
        return item
    shown = [
        part.model_copy(update={"text": await expand(part.text)})
        if isinstance(getattr(part, "text", None), str)
        else part
        for part in cast("list[Any]", parts)
    ]
    return replace(item, raw_item=raw.model_copy(update={"content": shown}))


async def _expanded(value: object, expand: Expand, depth: int) -> object:
    """Return JSON with its texts expanded: a text itself, and what is called text, output or content."""
    if depth > DEEPEST:
        return value
    if isinstance(value, str):
        return await expand(value) if depth == 0 else value
    if isinstance(value, list | tuple):
        items = [await _expanded(each, expand, depth + 1) for each in cast("Sequence[object]", value)]
        return tuple(items) if isinstance(value, tuple) else items
    if not isinstance(value, Mapping):
        return value
    named = cast("Mapping[str, object]", value)
    return {
        name: await expand(each)
        if name in _TEXTS and isinstance(each, str)
        else await _expanded(each, expand, depth + 1)
        for name, each in named.items()
    }
