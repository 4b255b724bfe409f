"""The tools that a model has during a run: plain functions, and the tools of a session. What they do is theirs.

What they tell of artifacts is collected here, and a tool that fails is told to the model, which may go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext, Tool
from pydantic_ai import exceptions as signals
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset, WrapperToolset
from pydantic_ai.toolsets.abstract import ToolsetTool

from handiwork.collect.tool_output import ToolOutput
from handiwork.errors import HandiworkError
from handiwork.errors.telling import told_with_hint
from handiwork.tasks import is_given_up, words_of
from handiwork.tools.marks import mark_or_none
from handiwork.tools.tool import Answer
from handiwork.tools.toolbox import Toolbox
from handiwork.toolsets import ArtifactToolset

Ingest = Callable[[object, str | None], Awaitable[object]]
"""Takes in the metadata of an answer, with the id of the call."""
Keep = Callable[[Answer], Awaitable[object]]
# What these answer with they have only looked at; what others answer with was made or changed by them.
_LOOKING = frozenset({"read_artifact", "list_artifacts", "get_cached_result", "propose_action"})
LONGEST_FAILURE = 500
# With these a function speaks to pydantic-ai, and not to the model.
_SIGNALS = (
    signals.ModelRetry,
    signals.ToolFailed,
    signals.CallDeferred,
    signals.ApprovalRequired,
    signals.SkipToolExecution,
    signals.AgentRunError,
    signals.UserError,
)


@dataclass
class Watched(WrapperToolset[object]):
    """Functions whose metadata is collected, and whose failures are told to the model."""

    ingest: Ingest

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[object], tool: ToolsetTool[object]
    ) -> Any:
        try:
            returned: object = await self.wrapped.call_tool(name, tool_args, ctx, tool)
        except _SIGNALS:
            raise
        except (asyncio.CancelledError, SystemExit) as failure:
            if isinstance(failure, asyncio.CancelledError) and is_given_up():
                raise
            return f"`{name}` failed: {_said(failure)}"
        except Exception as failure:  # noqa: BLE001  # a tool of others may fail in any way, and the model may go on
            return f"`{name}` failed: {_said(failure)}"
        if not isinstance(returned, ToolOutput):
            return returned
        await self.ingest(returned.metadata, ctx.tool_call_id)
        return returned.text


def toolsets_of(tools: Sequence[object], *, ingest: Ingest, keep: Keep) -> list[AbstractToolset[object]]:
    """Return functions and toolboxes as pydantic-ai takes them."""
    functions = [each for each in tools if not isinstance(each, Toolbox)]
    found: list[AbstractToolset[object]] = [_boxed(each, ingest, keep) for each in tools if isinstance(each, Toolbox)]
    if functions:
        found.append(Watched(FunctionToolset([_named(each) for each in functions]), ingest))
    return found


def _named(function: Any) -> Tool[object]:
    mark = mark_or_none(function)
    return Tool(function) if mark is None else Tool(function, name=mark.name, description=mark.description)


def _boxed(toolbox: Toolbox, ingest: Ingest, keep: Keep) -> ArtifactToolset:
    async def call(name: str, arguments: dict[str, Any], tool_call_id: str | None) -> Answer:
        answer = await toolbox.call(name, arguments, tool_call_id=tool_call_id)
        if answer.metadata is not None:
            await ingest(answer.metadata, tool_call_id)
        elif name not in _LOOKING:
            await keep(answer)
        return answer

    return ArtifactToolset(toolbox, call)


def _said(failure: BaseException) -> str:
    said = told_with_hint(failure) if isinstance(failure, HandiworkError) else words_of(failure)
    return said[:LONGEST_FAILURE]
