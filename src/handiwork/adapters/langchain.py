"""LangChain and LangGraph: the tools of a session, what they make told on a graph's stream, and answers expanded.

What the tools do is known to `handiwork.tools`; here they get the shape that these frameworks call.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from pydantic import PrivateAttr

from handiwork.client.session import RemoteSession
from handiwork.context.expander import Expander
from handiwork.errors import ExtraMissing
from handiwork.loops import AnySession, Home, at_home
from handiwork.session import Session
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
Block = dict[str, Any]
Content = str | list[str | Block]
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

    The state of the graph keeps the short references. Messages may come at the same time, as those of parallel nodes
    do; what is held back of one comes with its last chunk, or where no chunk says that it is the last, at the end.
    """
    own, home = at_home(session)
    unended: dict[str | None, tuple[_Texts, Told]] = {}
    async for message, about in stream:
        if not isinstance(message, AIMessage | AIMessageChunk):
            yield message, about
            continue
        texts, _about = unended.pop(message.id, (_Texts(own), about))
        content = await home.visit(texts.shown(message.content))
        if isinstance(message, AIMessageChunk) and message.chunk_position != "last":
            unended[message.id] = texts, about
        else:
            content = _joined(content, await home.visit(texts.held()))
        yield message.model_copy(update={"content": content}), about
    for id, (texts, about) in unended.items():
        if held := _joined("", await home.visit(texts.held())):
            yield AIMessageChunk(content=held, id=id), about


class _Texts:
    """The texts of one message that comes in chunks: its content, or the blocks of text in it."""

    def __init__(self, session: Session | RemoteSession) -> None:
        self._session = session
        self._begun: dict[object, tuple[Block, Expander]] = {}

    async def shown(self, content: Content) -> Content:
        """Return what is decided of a chunk's content."""
        if isinstance(content, str):
            return await self._taken({}, content)
        return [await self._block(block) for block in content]

    async def held(self) -> list[Block]:
        """Return what is left of each text, since the message is at its end; what is no block has its text alone."""
        rests = [(block, await expander.end()) for block, expander in self._begun.values()]
        return [{**block, "text": rest} for block, rest in rests if rest]

    async def _block(self, block: str | Block) -> str | Block:
        if isinstance(block, str):
            return await self._taken({}, block)
        text = block.get("text")
        if block.get("type") != "text" or not isinstance(text, str):
            return block
        of_its_kind = {name: block[name] for name in ("type", "index") if name in block}
        return {**block, "text": await self._taken(of_its_kind, text)}

    async def _taken(self, block: Block, text: str) -> str:
        begun = self._begun.setdefault(block.get("index"), (block, self._session.expander("user")))
        return await begun[1].take(text)


def _joined(content: Content, held: list[Block]) -> Content:
    """Return content with what was held back of its texts behind it."""
    texts = [block["text"] for block in held if block.keys() == {"text"}]
    blocks = [block for block in held if block.keys() != {"text"}]
    if isinstance(content, str):
        text = content + "".join(texts)
        return [*([text] if text else []), *blocks] if blocks else text
    return [*content, *texts, *blocks]


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
