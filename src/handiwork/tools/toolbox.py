"""The tools of one session, ready to be handed to a model of any provider, and to carry out what it calls.

Which tools there are is known to `table`, and what they do to `calls`.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

from handiwork.errors import HandiworkError, InvalidName, InvalidTool
from handiwork.tools import answers
from handiwork.tools.arguments import arguments_of
from handiwork.tools.calls import Calls, Verbs
from handiwork.tools.own import OwnTool
from handiwork.tools.table import tools_for
from handiwork.tools.tool import Answer, Offer, Tool
from handiwork.versions.tool_results import demand_tool_call_id

Entry = dict[str, Any]
Call = Callable[[Mapping[str, object], str | None], Awaitable[Answer]]
LONGEST_NAME_TOLD = 60


class Toolbox:
    """The tools of one session: iterate over them, or take the table in the shape of a provider."""

    def __init__(self, verbs: Verbs, offer: Offer, extra: Iterable[object] = ()) -> None:
        """Take functions that are marked with `@handiwork.tool` as `extra`.

        Raises `InvalidTool` for what is none, cannot be told to a model, or has the name of another tool.
        """
        self._calls: dict[str, Call] = dict(Calls(verbs, types=offer.types).by_name)
        self._tools: dict[str, Tool] = {tool.name: tool for tool in tools_for(offer)}
        for each in extra:
            own = OwnTool(each, verbs)
            if own.tool.name in self._calls:
                raise InvalidTool(own.tool.name, problem="another tool has this name")
            self._calls[own.tool.name], self._tools[own.tool.name] = own, own.tool

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def openai(self) -> list[Entry]:
        """Return the table for OpenAI's Responses API."""
        return [{"type": "function", "name": tool.name, **_function(tool)} for tool in self]

    def openai_chat(self) -> list[Entry]:
        """Return the table for Chat Completions, which many other servers speak too."""
        return [{"type": "function", "function": {"name": tool.name, **_function(tool)}} for tool in self]

    def anthropic(self) -> list[Entry]:
        """Return the table for Anthropic's Messages API."""
        return [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)} for tool in self
        ]

    def mcp(self) -> list[Entry]:
        """Return the table as an MCP server lists it."""
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "inputSchema": dict(tool.parameters),
                "annotations": dict(tool.annotations),
            }
            for tool in self
        ]

    async def call(self, name: str, arguments: object, *, tool_call_id: str | None = None) -> Answer:
        """Carry out what a model calls, with arguments as JSON text or as a mapping.

        What is wrong with the call, or went wrong in it, is an answer that says what to change; nothing is raised for
        it. `tool_call_id` is the provider's id of the call, which is noted with what is made.
        """
        try:
            if tool_call_id is not None:
                demand_tool_call_id(tool_call_id)
            if not isinstance(name, str) or name not in self._tools:  # pyright: ignore[reportUnnecessaryIsInstance]  # what a model says
                told = name[:LONGEST_NAME_TOLD] if isinstance(name, str) else f"a {type(name).__name__}"  # pyright: ignore[reportUnnecessaryIsInstance]  # likewise
                raise InvalidName("tool", told, expected=f"one of {', '.join(self._tools)}")
            return await self._calls[name](await arguments_of(arguments), tool_call_id)
        except HandiworkError as error:
            return answers.mistake(error)


def _function(tool: Tool) -> Entry:
    """Return a function as OpenAI's models are held to it, wherever it can be said strictly."""
    is_strict = tool.strict_parameters is not None
    parameters = tool.parameters if tool.strict_parameters is None else tool.strict_parameters
    return {"description": tool.description, "parameters": dict(parameters), "strict": is_strict}
