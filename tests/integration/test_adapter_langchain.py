"""LangChain and LangGraph: the official suites of tools, a graph that tells what was made, and a stream expanded."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

import handiwork
from handiwork.adapters.langchain import CALL_ID, announce, artifact_tools, expanded, references_of

NOTE = {"type": "markdown", "title": "Tide", "content": "**High** at 9:40"}


class OneTool:
    """The tool that the official suites are given, of an engine without `await`."""

    @pytest.fixture
    def tool(self, tmp_path: Path) -> Iterator[BaseTool]:
        with handiwork.open_sync(tmp_path) as engine:
            yield named(artifact_tools(engine.session("suite")), "generate_artifact")

    @property
    def tool_constructor(self) -> Any:
        return BaseTool  # the fixture above is what makes one

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return NOTE


class TestTheOfficialSuiteOfUnits(OneTool, ToolsUnitTests):
    @pytest.fixture(autouse=True)
    def made_by_the_fixture(self, tool: BaseTool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(OneTool, "tool_constructor", tool)


class TestTheOfficialSuiteOfCalls(OneTool, ToolsIntegrationTests):
    pass


class Scripted(BaseChatModel):
    """A chat model that says what it was given to say, a few characters at a time."""

    messages: list[AIMessage]
    size: int = 3

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **options: Any) -> "Scripted":
        return self

    def _generate(self, messages: list[BaseMessage], *_rest: Any, **_more: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    async def _astream(
        self, messages: list[BaseMessage], *_rest: Any, **_more: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        said = self._next(messages)
        if said.tool_calls:
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_calls=said.tool_calls))
        for start in range(0, len(said.text), self.size):
            yield ChatGenerationChunk(message=AIMessageChunk(content=said.text[start : start + self.size]))

    def _next(self, messages: list[BaseMessage]) -> AIMessage:
        return self.messages[sum(isinstance(message, AIMessage) for message in messages)]


def named(tools: list[BaseTool], name: str) -> BaseTool:
    return next(tool for tool in tools if tool.name == name)


def call(name: str, arguments: Any, id: str = "call-1") -> AIMessage:
    return AIMessage(content="", tool_calls=[{"name": name, "args": arguments, "id": id, "type": "tool_call"}])


def graph_of(model: Scripted, tools: list[BaseTool]) -> Any:
    async def speak(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def then(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    graph: Any = StateGraph(MessagesState)
    graph.add_node("speak", speak)
    graph.add_node("tools", ToolNode(tools))
    graph.add_node("announce", announce)
    graph.add_edge(START, "speak")
    graph.add_conditional_edges("speak", then)
    graph.add_edge("tools", "announce")
    graph.add_edge("announce", "speak")
    return graph.compile()


@pytest.fixture
async def tools(session: Any) -> list[BaseTool]:
    return artifact_tools(session)


async def test_a_call_answers_text_for_the_model_and_references_beside_it(tools: list[BaseTool], session: Any) -> None:
    message = await named(tools, "generate_artifact").ainvoke(
        {"type": "tool_call", "id": "call-1", "name": "generate_artifact", "args": NOTE}
    )
    (made,) = references_of(message)
    artifact = await session.get(made["id"])
    assert f'<artifact id="{artifact.handle}"' in message.content
    assert (message.status, artifact.version.provenance.tool_call_id) == ("success", "call-1")
    assert artifact.version.provenance.principal.kind in ("agent", "user")  # on a server the key decides


async def test_a_mistake_is_an_answer_with_the_status_of_one(tools: list[BaseTool], session: Any) -> None:
    wrong = {"type": "tool_call", "id": "call-1", "name": "generate_artifact", "args": {"type": "nothing"}}
    message = await named(tools, "generate_artifact").ainvoke(wrong)
    assert message.status == "error"
    assert references_of(message) == []
    assert message.artifact["error"]["code"]
    assert (await session.list()).items == ()


async def test_no_model_is_shown_the_argument_with_the_id(tools: list[BaseTool]) -> None:
    assert CALL_ID not in str([convert_to_openai_tool(tool) for tool in tools])


async def test_functions_of_ones_own_are_among_the_tools(session: Any) -> None:
    @handiwork.tool
    def rainfall(days: int) -> list[int]:
        """Measurements."""
        return list(range(days))

    assert await named(artifact_tools(session, [rainfall]), "rainfall").ainvoke({"days": 3}) == "[0,1,2]"


async def test_a_graph_tells_what_its_tools_made(tools: list[BaseTool]) -> None:
    model = Scripted(messages=[call("generate_artifact", NOTE), AIMessage(content="Done.")])
    graph = graph_of(model, tools)
    told = [event async for event in graph.astream({"messages": ["hi"]}, stream_mode="custom")]
    assert [(each["type"], each["artifact"]["name"]) for each in told] == [("artifact", "Tide.md")]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_a_stream_is_expanded_at_every_size_of_token(session: Any, tools: list[BaseTool], size: int) -> None:
    tide = await session.create("markdown", title="Tide", content="**High** at 9:40")
    text = f'Here: <artifact id="{tide.handle}" summary="a &lt; b"/> and <artifact id="none_0000"/> if a < b <'
    model = Scripted(messages=[call("list_artifacts", {}), AIMessage(content=text)], size=size)
    graph = graph_of(model, tools)
    said: list[str] = []
    kinds: set[type] = set()
    async for message, about in expanded(session, graph.astream({"messages": ["hi"]}, stream_mode="messages")):
        kinds.add(type(message))
        if about["langgraph_node"] == "speak":
            said.append(message.content)
    assert "".join(said) == await session.expand(text)
    assert "**High** at 9:40" in "".join(said)
    assert ToolMessage in kinds
    ended = await graph.ainvoke({"messages": ["hi"]})
    assert ended["messages"][-1].content == text


def cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


async def streamed(messages: list[AIMessageChunk]) -> AsyncIterator[tuple[AIMessageChunk, str]]:
    for message in messages:
        yield message, f"about {message.id}"


@pytest.mark.parametrize("ends", [True, False], ids=["last chunks are marked", "no chunk is marked"])
async def test_messages_that_come_at_the_same_time_are_expanded_each_for_itself(session: Any, ends: bool) -> None:
    tide = await session.create("markdown", title="Tide", content="**High** at 9:40")
    texts = {id: f'{id}: <artifact id="{tide.handle}"/> if a <' for id in ("one", "two")}
    pieces = zip(*(cut(text, 3) for text in texts.values()), strict=True)
    chunks = [AIMessageChunk(content=each, id=id) for pair in pieces for id, each in zip(texts, pair, strict=True)]
    if ends:
        chunks += [AIMessageChunk(content="", id=id, chunk_position="last") for id in texts]
    said = dict.fromkeys(texts, "")
    async for message, about in expanded(session, streamed(chunks)):
        assert about == f"about {message.id}"
        said[message.id] += message.content
    assert said == {id: await session.expand(text) for id, text in texts.items()}
    assert "**High** at 9:40" in said["one"]


@pytest.mark.parametrize("last", [[], ""], ids=["of blocks", "of text"])
async def test_blocks_of_text_are_expanded_and_others_left_alone(session: Any, last: Any) -> None:
    tide = await session.create("markdown", title="Tide", content="**High** at 9:40")
    text = f'Here: <artifact id="{tide.handle}"/> if a <'
    thought = {"type": "reasoning", "reasoning": text, "index": 0}
    blocks = [thought, *({"type": "text", "text": each, "index": 1} for each in cut(text, 3))]
    chunks = [AIMessageChunk(content=[each], id="one") for each in blocks]
    chunks.append(AIMessageChunk(content=last, id="one", chunk_position="last"))
    said = [message async for message, _about in expanded(session, streamed(chunks))]
    whole = said[0]
    for each in said[1:]:
        whole += each
    assert whole.content == [thought, {"type": "text", "text": await session.expand(text), "index": 1}]


async def test_a_message_that_comes_whole_is_expanded_at_once(session: Any) -> None:
    async def stream() -> AsyncIterator[tuple[Any, None]]:
        yield AIMessage(content="if a <", id="one"), None
        yield ToolMessage(content="if a <", tool_call_id="call-1"), None
        yield AIMessage(content=["if b <"], id="two"), None

    said = [message.content async for message, _about in expanded(session, stream())]
    assert said == ["if a <", "if a <", ["if b ", "<"]]


async def test_calls_from_a_thread_reach_the_session_in_its_loop(tools: list[BaseTool]) -> None:
    tool = named(tools, "list_artifacts")
    assert await asyncio.to_thread(tool.invoke, {}) == "There is none."
    with pytest.raises(RuntimeError, match="`ainvoke`"):
        tool.invoke({})
