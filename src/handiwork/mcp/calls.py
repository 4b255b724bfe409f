"""The tools of a session as MCP lists and calls them. What they do is known to `tools`, and their words are from there.

An answer is text first, then a link for each artifact, and the same for programs as structured content. What a model
did wrong is an answer too, which says what to change, and never an error of the protocol.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import mcp_types as mcp
from mcp.server.session import ServerSession

from handiwork.mcp.approvals import Approvals, Context
from handiwork.mcp.shelf import Shelf
from handiwork.mcp.visitors import Visitor
from handiwork.tools.spelling import reference_of
from handiwork.tools.table import PROPOSE
from handiwork.tools.tool import Answer, Tool

PROGRESS_SECONDS = 1.0

_REFERENCE = {
    "type": "object",
    "properties": {
        "uri": {"type": "string"},
        "id": {"type": "string"},
        "handle": {"type": "string"},
        "version": {"type": "integer"},
        "type": {"type": "string"},
        "title": {"type": "string"},
        "name": {"type": "string"},
        "mediaType": {"type": "string"},
        "size": {"type": "integer"},
        "summary": {"type": "string"},
    },
    "required": ["uri", "id", "version", "type", "mediaType"],
}
_ERROR = {
    "type": "object",
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "hint": {"type": ["string", "null"]}},
    "required": ["code", "message"],
}
_ACTION = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "action": {"type": "string"},
        "status": {"enum": ["proposed", "rejected", "finished"]},
        "version": {"type": "integer"},
    },
    "required": ["id", "action", "status", "version"],
}
OUTPUT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"artifacts": {"type": "array", "items": _REFERENCE}, "action": _ACTION, "error": _ERROR},
    "required": ["artifacts"],
}
"""What every tool answers beside its text."""


def listed(visitor: Visitor) -> list[mcp.Tool]:
    """Return the tools that the visitor may use."""
    told = zip(visitor.toolbox, visitor.toolbox.mcp(), strict=True)
    return [mcp.Tool.model_validate({**entry, "outputSchema": OUTPUT}) for tool, entry in told if visitor.may_use(tool)]


async def called(
    visitor: Visitor, approvals: Approvals, context: Context, asked: mcp.CallToolRequestParams
) -> mcp.CallToolResult | mcp.InputRequiredResult:
    """Carry out a call, and say meanwhile that it goes on to a client that wants to know."""
    tool = next((each for each in visitor.toolbox if each.name == asked.name), None)
    if tool is not None and not visitor.may_use(tool):
        return _refused(tool)
    reporting = asyncio.create_task(_report(context.session, asked.name))
    try:
        if asked.name != PROPOSE:
            return _result(visitor, await visitor.toolbox.call(asked.name, asked.arguments or {}))
        settled = await approvals.resumed(asked)
        if settled is None:
            proposed = await visitor.toolbox.call(asked.name, asked.arguments or {})
            settled = await approvals.settled(context, proposed)
        return _result(visitor, settled) if isinstance(settled, Answer) else settled
    finally:
        reporting.cancel()
        await asyncio.wait([reporting])
        # Looked at, so that asyncio does not report it as forgotten when the client has gone.
        _ = reporting.cancelled() or reporting.exception()


def _result(visitor: Visitor, answer: Answer) -> mcp.CallToolResult:
    shelf = Shelf(visitor.session)
    references = [{"uri": str(shelf.address_of(each)), **reference_of(each)} for each in answer.artifacts]
    return mcp.CallToolResult(
        content=[mcp.TextContent(text=answer.text), *(shelf.link(each) for each in answer.artifacts)],
        structured_content={**answer.structured, "artifacts": references},
        is_error=answer.is_error,
    )


def _refused(tool: Tool) -> mcp.CallToolResult:
    said = (
        f"`{tool.name}` is not permitted with the key of this connection; do without it, or ask the user for another."
    )
    error = {"code": "not_allowed", "message": said, "hint": None}
    return mcp.CallToolResult(
        content=[mcp.TextContent(text=said)], structured_content={"artifacts": [], "error": error}, is_error=True
    )


async def _report(client: ServerSession, name: str) -> None:
    """Tell each second that a call goes on; who has not asked for it is told nothing."""
    seconds = 0.0
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        seconds += PROGRESS_SECONDS
        await client.report_progress(seconds, message=f"{name} is at work, {seconds:.0f} s so far")
