"""LangChain and LangGraph: the tools of a session, what they make told on a graph's stream, and answers expanded.

What the tools do is known to `handiwork.tools`; here they get the shape that these frameworks call.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from pydantic import PrivateAttr

from handiwork.adapters.loops import AnySession, Home, at_home
from handiwork.errors import ExtraMissing
from handiwork.tools.tool import Answer, Tool
from handiwork.tools.toolbox import Toolbox

try:
    from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage, ToolCall, ToolMessage
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool
    from langgraph.config import get_stream_writer
except ModuleNotFoundError as missing:
    raise ExtraMissing("langchain", why="these are tools and nodes of LangChain and LangGraph") from missing

CALL_ID = "handiwork_tool_call_id"
"""Under which argument a tool is given the id of its call, which no model is shown."""

Artifact = Mapping[str, Any]
Called = str | dict[str, Any] | ToolCall
Told = TypeVar("Told")


def artifact_tools(session: AnySession, extra: Sequence[object] = ()) -> list[BaseTool]:
    """Return the tools of a session. Each answers a text for the model, with references beside it as its artifact.

    `extra` are functions of your own that are marked with `@handiwork.tool`.
    """
    own, home = at_home(session)
    toolbox = own.tools(extra)
    return [ArtifactTool.of(tool, toolbox, home) for tool in toolbox]


class ArtifactTool(BaseTool):
    """One tool of a session. A mistake of the model is a tool message with the status `error`, never raised."""

    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"

    _toolbox: Toolbox = PrivateAttr()
    _home: Home = PrivateAttr()

    @classmethod
    def of(cls, tool: Tool, toolbox: Toolbox, home: Home) -> "ArtifactTool":
        """Return one tool of the table."""
        made = cls(name=tool.name, description=tool.description, args_schema=dict(tool.parameters))
        made._toolbox, made._home = toolbox, home
        return made

    def invoke(self, input: Called, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Call the tool and wait for it; in async code use `ainvoke`."""
        return super().invoke(_with_id(input), config, **kwargs)

    async def ainvoke(self, input: Called, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Call the tool."""
        return await super().ainvoke(_with_id(input), config, **kwargs)

    def _run(self, **arguments: Any) -> tuple[Any, Artifact]:
        return self._shaped(*self._home.wait(self._answered(arguments)))

    async def _arun(self, **arguments: Any) -> tuple[Any, Artifact]:
        return self._shaped(*await self._home.visit(self._answered(arguments)))

    async def _answered(self, arguments: dict[str, Any]) -> tuple[Answer, str | None]:
        said = {name: value for name, value in arguments.items() if name != CALL_ID}
        call_id = arguments.get(CALL_ID)
        return await self._toolbox.call(self.name, said, tool_call_id=call_id), call_id

    def _shaped(self, answer: Answer, call_id: str | None) -> tuple[Any, Artifact]:
        references = dict(answer.structured)
        if not answer.is_error or call_id is None:
            return answer.text, references
        message = ToolMessage(
            content=answer.text, artifact=references, tool_call_id=call_id, name=self.name, status="error"
        )
        return message, references


def announce(state: Mapping[str, Any]) -> dict[str, Any]:
    """Tell on the graph's custom stream what the tools have made, changed or read since the model spoke last.

    It is a node to put behind the tools, and changes no state: who streams with the mode `custom` gets
    `{"type": "artifact", "artifact": reference}` for each.
    """
    writer = get_stream_writer()
    for message in _last_answers(cast("Sequence[AnyMessage]", state.get("messages", ()))):
        for reference in references_of(message):
            writer({"type": "artifact", "artifact": reference})
    return {}


def references_of(message: BaseMessage) -> list[Artifact]:
    """Return the references to artifacts that a tool has answered beside its text."""
    answered = cast("object", getattr(message, "artifact", None))
    found = cast("Mapping[str, Any]", answered).get("artifacts") if isinstance(answered, Mapping) else None
    return (
        [cast("Artifact", each) for each in cast("list[object]", found) if isinstance(each, Mapping)]
        if isinstance(found, list)
        else []
    )


async def expanded(session: AnySession, stream: AsyncIterable[tuple[Any, Told]]) -> AsyncIterator[tuple[Any, Told]]:
    """Yield a graph's stream of the mode `messages` with the references in the model's text expanded for the user.

    The state of the graph keeps the short references. What is held back of a message comes before the next one.
    """
    own, home = at_home(session)
    expander, current, told = own.expander("user"), None, None
    async for message, about in stream:
        is_text = isinstance(message, AIMessage | AIMessageChunk) and isinstance(message.content, str)
        if current is not None and (not is_text or message.id != current.id):
            if rest := await home.visit(expander.end()):
                yield current.model_copy(update={"content": rest}), cast("Told", told)
            expander, current = own.expander("user"), None
        if not is_text:
            yield message, about
            continue
        current, told = message, about
        shown = await home.visit(expander.take(cast("str", message.content)))
        yield message.model_copy(update={"content": shown}), about
    if current is not None and (rest := await home.visit(expander.end())):
        yield current.model_copy(update={"content": rest}), cast("Told", told)


def _last_answers(messages: Sequence[AnyMessage]) -> list[ToolMessage]:
    found: list[ToolMessage] = []
    for message in reversed(messages):
        if not isinstance(message, ToolMessage):
            break
        found.append(message)
    return found[::-1]


def _with_id(given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    call = cast("dict[str, Any]", given)
    if call.get("type") != "tool_call" or not isinstance(call.get("args"), dict):
        return call
    return {**call, "args": {**call["args"], CALL_ID: call.get("id")}}
