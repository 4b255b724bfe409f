"""Our tools as Pydantic AI takes them, for its adapter and for the Autopilot, which works with its models.

How a call is carried out is known to who asks for the toolset, and what a tool does to the tool.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pydantic_ai.messages import ToolReturn
from pydantic_ai.tools import RunContext, ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from handiwork.tools.tool import Answer, Tool

OURS = "handiwork"
"""What our tools are known by in their metadata."""
_OBJECT = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))

Call = Callable[[str, dict[str, Any], str | None], Awaitable[Answer]]
"""Carries out the call of a tool: name, arguments, and the id that the model gave it."""


class ArtifactToolset(AbstractToolset[Any]):
    """Tools of ours. What was wrong with a call is told to the model as its answer."""

    def __init__(self, tools: Iterable[Tool], call: Call, *, toolset_id: str | None = None) -> None:
        self._tools, self._call, self._id = tuple(tools), call, toolset_id

    @property
    def id(self) -> str | None:
        """What the toolset is called in an agent."""
        return self._id

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """Return the tools by name."""
        return {
            tool.name: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(
                    name=tool.name,
                    description=tool.description,
                    parameters_json_schema=dict(tool.parameters),
                    metadata={OURS: True},
                ),
                max_retries=1,
                args_validator=_OBJECT,
            )
            for tool in self._tools
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> ToolReturn:
        """Carry out a call; the references are in the metadata, which no model is sent."""
        answer = await self._call(name, tool_args, ctx.tool_call_id)
        return ToolReturn(return_value=answer.text, metadata=dict(answer.structured))
