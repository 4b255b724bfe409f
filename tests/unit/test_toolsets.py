"""Tools of ours with an agent of Pydantic AI, as its adapter and the Autopilot give them to it."""

from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from handiwork.tools.table import tools_for
from handiwork.tools.tool import Answer, Offer
from handiwork.toolsets import OURS, ArtifactToolset

TOOLS = tuple(tools_for(Offer(types=("markdown",))))

Called = tuple[str, dict[str, Any], str | None]


async def said_to(
    arguments: Sequence[str | dict[str, Any]], called: list[Called]
) -> tuple[list[ToolReturnPart], AgentInfo]:
    """Let a model call a tool with these arguments, one after the other, and return what it was told."""
    infos: list[AgentInfo] = []

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        infos.append(info)
        turn = sum(isinstance(each, ModelResponse) for each in messages)
        if turn == len(arguments):
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[ToolCallPart("list_artifacts", arguments[turn], f"call_{turn}")])

    async def call(name: str, arguments: dict[str, Any], tool_call_id: str | None) -> Answer:
        called.append((name, arguments, tool_call_id))
        return Answer(text="there is nothing", structured={"artifacts": []})

    result = await Agent(FunctionModel(model), toolsets=[ArtifactToolset(TOOLS, call, toolset_id=OURS)]).run("go")
    told = [part for each in result.all_messages() if isinstance(each, ModelRequest) for part in each.parts]
    return [part for part in told if isinstance(part, ToolReturnPart)], infos[0]


async def test_a_call_is_carried_out_by_its_name_and_id_and_its_references_are_for_no_model() -> None:
    called: list[Called] = []
    (told,), info = await said_to([{"type": "markdown"}], called)
    assert called == [("list_artifacts", {"type": "markdown"}, "call_0")]
    assert (told.content, told.metadata) == ("there is nothing", {"artifacts": []})
    offered = {each.name: each for each in info.function_tools}
    assert {tool.name: (tool.description, dict(tool.parameters)) for tool in TOOLS} == {
        name: (each.description, each.parameters_json_schema) for name, each in offered.items()
    }
    assert all(each.metadata == {OURS: True} for each in offered.values())


async def test_arguments_that_are_no_object_are_told_to_the_model_and_never_carried_out() -> None:
    called: list[Called] = []
    (wrong, right), _info = await said_to(["[1]", "{}"], called)
    assert "Input should be an object" in str(wrong.content)
    assert right.content == "there is nothing"
    assert called == [("list_artifacts", {}, "call_1")]
