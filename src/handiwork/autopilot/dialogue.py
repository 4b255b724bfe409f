"""A model in a conversation: one turn after the other, with tools, told moment by moment.

How a call is carried out, and what the conversation is about, is known to who holds it.
"""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.agent import CallToolsNode
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model

from handiwork.autopilot.models import model_of
from handiwork.errors import ModelUnusable
from handiwork.tools.tool import Tool
from handiwork.toolsets import ArtifactToolset, Call

LONGEST_FAILURE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The model has called tools, which are about to be carried out."""

    tools: tuple[str, ...]


class Dialogue:
    """One model that remembers what was said."""

    def __init__(self, llm: Model[Any] | str, *, instructions: str) -> None:
        """Raises `ModelUnusable`."""
        model = model_of(llm)
        self._name = llm if isinstance(llm, str) else model.model_name
        self._agent: Agent[None, str] = Agent(model, instructions=instructions, deps_type=type(None))
        self._history: list[ModelMessage] = []

    async def say(self, message: str, *, tools: Iterable[Tool] = (), call: Call) -> AsyncGenerator[Begun | str]:
        """Say something, and yield the names of tools before they are called, and at last the answer.

        Raises:
            ModelUnusable: the model, or the way to it, fails.
        """
        toolset = ArtifactToolset(tools, call)
        try:
            async with self._agent.iter(message, message_history=self._history, toolsets=[toolset]) as run:
                async for node in run:
                    if isinstance(node, CallToolsNode) and (called := node.model_response.tool_calls):
                        yield Begun(tools=tuple(each.tool_name for each in called))
        except (AgentRunError, UserError) as failure:
            raise ModelUnusable(self._name, why=str(failure)[:LONGEST_FAILURE].rstrip(".")) from failure
        assert run.result is not None
        self._history = run.result.all_messages()
        yield str(run.result.output)
