"""OpenAI's Agents SDK: tools with references beside their text, hand-offs that reveal, and streams expanded."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from agents import Agent, RunConfig, Runner, handoff
from agents.items import ToolCallOutputItem
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tool import FunctionTool

import handiwork
from handiwork.adapters.openai_agents import CollectingHooks, artifact_tools, expanded, handoff_filter, informed
from handiwork.collect.collector import ArtifactCollector

# Nothing is sent anywhere.
QUIET = RunConfig(tracing_disabled=True)


def agent_of(model: ScriptedModel, session: Any, **more: Any) -> Agent[Any]:
    return Agent(name="writer", model=model, tools=list(artifact_tools(session)), **more)


async def test_a_tool_answers_text_and_its_references_stay_beside_it(session: Any) -> None:
    note = {"type": "markdown", "title": "Tide", "content": "# Tide", "language": None, "mediaType": None}
    calls = [function_call("generate_artifact", json.dumps(note), call_id="call-1")]
    model = ScriptedModel([calls, [assistant_message("Done.")]])
    result = await Runner.run(agent_of(model, session), "hi", run_config=QUIET)
    (output,) = [item for item in result.new_items if isinstance(item, ToolCallOutputItem)]
    (reference,) = (output.custom_data or {})["artifacts"]
    artifact = await session.get(reference["id"])
    assert (artifact.name, artifact.version.provenance.tool_call_id) == ("Tide.md", "call-1")
    assert "sha256" not in json.dumps(model.calls[-1].input)


@pytest.mark.parametrize("arguments", ["", "{", "[]", '{"type": 1}', "[" * 500])
async def test_arguments_that_are_none_are_answered_in_words(session: Any, arguments: str) -> None:
    model = ScriptedModel(
        [[function_call("generate_artifact", arguments, call_id="call-1")], [assistant_message("Sorry.")]]
    )
    result = await Runner.run(agent_of(model, session), "hi", run_config=QUIET)
    assert result.final_output == "Sorry."
    assert (await session.list()).items == ()


async def test_the_table_is_strict_where_it_can_be(session: Any) -> None:
    tools = {tool.name: tool for tool in artifact_tools(session)}
    assert isinstance(tools["read_artifact"], FunctionTool)
    for tool in tools.values():
        required = tool.params_json_schema.get("required", [])
        assert not tool.strict_json_schema or set(required) == set(tool.params_json_schema["properties"])


@pytest.mark.parametrize(
    ("reveal", "is_seen", "is_summed_up"), [("none", False, False), ("summary", False, True), ("full", True, True)]
)
async def test_the_next_agent_sees_as_much_as_is_revealed(
    session: Any, reveal: Any, is_seen: bool, is_summed_up: bool
) -> None:
    draft = await session.create("markdown", title="Draft", content="# Fleet\n\nThree ships.\n")
    tag = f'<artifact id="{draft.handle}" />'
    reader = ScriptedModel([[assistant_message("Read.")]])
    writer = ScriptedModel(
        [[assistant_message(f"See {tag}"), function_call("transfer_to_reader", "{}", call_id="call-2")]]
    )
    handoffs: list[Any] = [handoff(Agent(name="reader", model=reader), input_filter=handoff_filter(session, reveal))]
    agent = Agent[Any](name="writer", model=writer, handoffs=handoffs)
    history: list[Any] = [{"role": "user", "content": f"Improve {tag}"}]
    result = await Runner.run(agent, history, run_config=QUIET)
    told = json.dumps(reader.calls[0].input)
    assert told.count("Three ships.") == (2 if is_seen else 0)
    assert ("Draft.md" in told) == (is_summed_up and not is_seen) or is_seen
    assert history == [{"role": "user", "content": f"Improve {tag}"}]
    assert result.final_output == "Read."


async def test_a_reference_of_another_session_reveals_nothing(session: Any, tmp_path: Path) -> None:
    async with handiwork.open(tmp_path / "other") as engine:
        other = engine.session("other")
        secret = await other.create("markdown", title="Secret", content="Three ships.")
        reader = ScriptedModel([[assistant_message("Read.")]])
        calls = [
            assistant_message(f'<artifact id="{secret.id}" />'),
            function_call("transfer_to_reader", "{}", call_id="call-2"),
        ]
        handoffs: list[Any] = [
            handoff(Agent(name="reader", model=reader), input_filter=handoff_filter(session, "full"))
        ]
        await Runner.run(Agent[Any](name="a", model=ScriptedModel([calls]), handoffs=handoffs), "hi", run_config=QUIET)
        assert "Three ships." not in json.dumps(reader.calls[0].input)


async def test_an_agent_is_told_what_there_is(session: Any) -> None:
    model = ScriptedModel([[assistant_message("Done.")]])
    await session.create("markdown", title="Tide", content="x")
    agent = Agent[Any](name="writer", model=model, instructions=informed(session, "Be brief."))
    await Runner.run(agent, "hi", run_config=QUIET)
    told = model.calls[0].system_instructions or ""
    assert told.startswith("Be brief.\n\n<system_context")
    assert "Tide" in told


async def test_the_stream_of_a_run_is_expanded(session: Any) -> None:
    tide = await session.create("markdown", title="Tide", content="**High** at 9:40")
    text = f'Here: <artifact id="{tide.handle}" /> if a < b'
    model = ScriptedModel([[assistant_message(text)]])
    run = Runner.run_streamed(agent_of(model, session), "hi", run_config=QUIET)
    assert "".join([piece async for piece in expanded(session, run.stream_events())]) == await session.expand(text)
    assert run.final_output == text


def said(kind: str, **facts: Any) -> Any:
    return SimpleNamespace(
        type="raw_response_event", data=SimpleNamespace(type=f"response.output_text.{kind}", **facts)
    )


async def test_a_stream_that_breaks_off_gives_what_was_held(session: Any) -> None:
    async def events() -> AsyncGenerator[Any]:
        yield said("delta", delta="if a <")

    assert "".join([piece async for piece in expanded(session, events())]) == "if a <"


async def test_each_text_of_a_stream_is_expanded_for_itself(session: Any) -> None:
    # Data is put into a fence where none is open, and a fence that one text leaves open is not that of the next.
    tide = await session.create("json", title="Tide", content='{"high": 9}')
    texts = ("```\nx = 1\n", f'Here: <artifact id="{tide.handle}" />\n')

    async def events() -> AsyncGenerator[Any]:
        for text in texts:
            yield said("delta", delta=text)
            yield said("done")

    told = "".join([piece async for piece in expanded(session, events())])
    assert told == "".join([await session.expand(text) for text in texts])
    assert "```json" in told


async def test_what_agents_answer_is_collected(session: Any) -> None:
    collector = ArtifactCollector()
    model = ScriptedModel([[assistant_message("Run this:\n\n```python\nprint(1)\n```\n")]])
    await Runner.run(agent_of(model, session), "hi", hooks=CollectingHooks(collector), run_config=QUIET)
    assert [(each.kind, each.content) for each in collector.all()] == [("code", "print(1)")]
