"""Pydantic AI: one capability with the tools of a session, large answers kept apart, and answers expanded."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic_ai import Agent, BinaryContent, ToolReturn
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.models.test import TestModel

import handiwork
from handiwork.adapters.pydantic_ai import Artifacts

Step = str | tuple[str, Any]


def scripted(*steps: Step, size: int = 4, seen: Callable[[AgentInfo], None] = lambda info: None) -> FunctionModel:
    """A model that calls tools and speaks as it is told, a few characters at a time."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        seen(info)
        step = steps[sum(isinstance(message, ModelResponse) for message in messages)]
        if isinstance(step, tuple):
            arguments = step[1] if isinstance(step[1], str) else json.dumps(step[1])
            yield {0: DeltaToolCall(step[0], arguments, tool_call_id="call-1")}
            return
        for start in range(0, len(step), size):
            yield step[start : start + size]

    return FunctionModel(stream_function=stream)


def returns_of(messages: list[ModelMessage]) -> list[ToolReturnPart]:
    return [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]


async def test_the_tools_are_called_and_the_references_are_metadata(session: Any) -> None:
    note = {"type": "markdown", "title": "Tide", "content": "# Tide"}
    agent = Agent(scripted(("generate_artifact", note), "Done."), capabilities=[Artifacts(session)])
    result = await agent.run("hi")
    (returned,) = returns_of(result.all_messages())
    (reference,) = returned.metadata["artifacts"]
    artifact = await session.get(reference["id"])
    assert (artifact.name, artifact.version.provenance.tool_call_id) == ("Tide.md", "call-1")
    assert f'<artifact id="{artifact.handle}"' in str(returned.content)


async def test_the_agent_is_told_what_there_is_before_each_request(session: Any) -> None:
    told: list[str] = []
    note = {"type": "markdown", "title": "Tide", "content": "# Tide"}
    model = scripted(("generate_artifact", note), "Done.", seen=lambda info: told.append(info.instructions or ""))
    await session.create("markdown", title="First </system_context>", content="x")
    await Agent(model, instructions="Be brief.", capabilities=[Artifacts(session)]).run("hi")
    assert ["Tide" in text for text in told] == [False, True]
    assert all(text.count("</system_context>") == 1 and "First" in text and "Be brief." in text for text in told)


async def test_every_tool_can_be_called_as_its_schema_says(session: Any) -> None:
    agent = Agent(TestModel(call_tools=["list_artifacts", "read_artifact"]), capabilities=[Artifacts(session)])
    result = await agent.run("hi")
    listed, read = returns_of(result.all_messages())
    assert listed.content == "There is none."
    assert "No artifact" in str(read.content)


@pytest.mark.parametrize("arguments", ["{", "[]", "[" * 100_000, '{"type": 1}'])
async def test_arguments_that_are_none_are_told_to_the_model(session: Any, arguments: str) -> None:
    agent = Agent(scripted(("generate_artifact", arguments), "Sorry."), capabilities=[Artifacts(session)])
    assert (await agent.run("hi")).output == "Sorry."
    assert (await session.list()).items == ()


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
async def test_the_answer_is_expanded_also_on_the_stream_and_the_messages_stay_short(session: Any, size: int) -> None:
    tide = await session.create("markdown", title="Tide", content="**High** at 9:40")
    text = f'Here: <artifact id="{tide.handle}" /> if a < b, <artifact id="none_0000"/> <'
    agent = Agent(scripted(text, size=size), capabilities=[Artifacts(session)])
    shown = await session.expand(text)
    result = await agent.run("hi")
    assert result.output == shown
    assert result.all_messages()[-1].parts == [TextPart(text)]
    said: list[str] = []
    ended: list[str] = []
    async with agent.run_stream_events("hi") as events:
        async for event in events:
            match event:
                case PartStartEvent(part=TextPart(content)) | PartDeltaEvent(delta=TextPartDelta(content)):
                    said.append(content)
                case PartEndEvent(part=TextPart(content)):
                    ended.append(content)
                case _:
                    pass
    assert "".join(said) == shown
    assert ended == [shown]


async def test_large_answers_of_other_tools_are_kept_and_small_ones_pass(session: Any) -> None:
    agent = Agent(
        scripted(("large", {}), ("small", {}), ("picture", {}), ("own", {}), "Done."), capabilities=[Artifacts(session)]
    )
    picture = BinaryContent(b"\x89PNG" * 5000, media_type="image/png")

    @agent.tool_plain
    def large() -> list[dict[str, int]]:
        return [{"day": day} for day in range(2000)]

    @agent.tool_plain
    def small() -> list[int]:
        return [1, 2]

    @agent.tool_plain(name="picture")
    def shown() -> BinaryContent:
        return picture

    @agent.tool_plain
    def own() -> ToolReturn:
        return ToolReturn(return_value="x" * 20_000, metadata={"mine": True})

    result = await agent.run("hi")
    answers = returns_of(result.all_messages())
    (kept, dump) = [await session.get(each.metadata["artifacts"][0]["id"]) for each in (answers[0], answers[3])]
    assert json.loads(await session.read(kept.id)) == [{"day": day} for day in range(2000)]
    assert await session.read(dump.id) == b"x" * 20_000
    assert "cache_id" in str(answers[0].content)
    assert answers[1].content == [1, 2]
    assert answers[3].metadata["mine"]
    assert answers[2].content == picture


async def test_what_another_tool_yields_is_not_used_up_by_looking_at_it(session: Any) -> None:
    agent = Agent(scripted(("days", {}), "Done."), capabilities=[Artifacts(session)])

    @agent.tool_plain
    def days() -> Any:
        return iter([1, 2])

    (returned,) = returns_of((await agent.run("hi")).all_messages())
    assert returned.content == "[1,2]"


async def test_functions_of_ones_own_are_among_the_tools(session: Any) -> None:
    @handiwork.tool
    def rainfall() -> list[int]:
        """Measurements."""
        return [1, 2]

    agent = Agent(scripted(("rainfall", {}), "Done."), capabilities=[Artifacts(session, [rainfall])])
    result = await agent.run("hi")
    assert returns_of(result.all_messages())[0].content == "[1,2]"


async def test_an_answer_that_is_no_text_is_left_alone(session: Any) -> None:
    agent = Agent(scripted(("final_result", {"response": 3})), output_type=int, capabilities=[Artifacts(session)])
    assert (await agent.run("hi")).output == 3
