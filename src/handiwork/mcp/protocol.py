"""One server of the protocol for one visitor: which question is answered by what. Transports are not known here.

The low-level server of the SDK is used, since the tools, their schemas and their answers are those of `tools`.
"""

import importlib.metadata
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
import mcp_types as mcp
from mcp import MCPError
from mcp.server import NotificationOptions, Server, ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from handiwork.errors import ArtifactExpired, ArtifactNotFound, HandiworkError, VersionNotFound
from handiwork.errors.telling import told_outside
from handiwork.mcp import calls
from handiwork.mcp.approvals import Approvals
from handiwork.mcp.changes import Subscriptions, listen
from handiwork.mcp.shelf import Shelf
from handiwork.mcp.visitors import Visitor
from handiwork.tasks import trace_of
from handiwork.tools.answers import hint_of

NAME = "handiwork"
INSTRUCTIONS = (
    "Makes and keeps artifacts: files, documents, drafts, tables. Show the user what you made by its reference, "
    '`<artifact id="…" />`, and read only the parts you need.'
)
# Until 2025-11-25; later the protocol has no code of its own for it.
_NOT_FOUND = -32002
_MISSING = (ArtifactNotFound, VersionNotFound, ArtifactExpired)

Context = ServerRequestContext[Subscriptions, Any]
Question = TypeVar("Question")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


def server_for(visitor: Visitor) -> Server[Subscriptions]:
    """Return a server for one connection, or for one request where that is all there is of one."""
    questions = Questions(visitor)
    answering, streaming = partial(_answering, visitor.backlog.one_more), partial(_answering, visitor.streams.one_more)
    return Server(
        NAME,
        version=importlib.metadata.version("handiwork"),
        title="Handiwork",
        instructions=INSTRUCTIONS,
        lifespan=questions.connection,
        get_tool_input_schema={tool.name: tool.parameters for tool in visitor.toolbox}.get,
        on_list_tools=answering(questions.tools),
        on_call_tool=answering(questions.call),
        on_list_resources=answering(questions.resources),
        on_list_resource_templates=answering(questions.templates),
        on_read_resource=answering(questions.read),
        on_subscribe_resource=answering(questions.subscribe),
        on_unsubscribe_resource=answering(questions.unsubscribe),
        on_subscriptions_listen=streaming(questions.listen),
    )


class Questions:
    """What a client asks, each with its answer; what goes wrong is raised."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor, self._shelf, self._approvals = visitor, Shelf(visitor.session), Approvals(visitor)

    @asynccontextmanager
    async def connection(self, _server: Server[Subscriptions]) -> AsyncGenerator[Subscriptions]:
        async with anyio.create_task_group() as tasks:
            yield Subscriptions(self._visitor, tasks)
            tasks.cancel_scope.cancel()

    async def tools(self, _: Context, __: mcp.PaginatedRequestParams | None) -> mcp.ListToolsResult:
        return mcp.ListToolsResult(tools=calls.listed(self._visitor))

    async def call(
        self, context: Context, asked: mcp.CallToolRequestParams
    ) -> mcp.CallToolResult | mcp.InputRequiredResult:
        return await calls.called(self._visitor, self._approvals, context, asked)

    async def resources(self, context: Context, asked: mcp.PaginatedRequestParams | None) -> mcp.ListResourcesResult:
        result, seq = await self._shelf.page(None if asked is None else asked.cursor)
        if not _is_modern(context):
            context.lifespan_context.follow(context.session, after=seq)
        return result

    async def templates(self, _: Context, __: mcp.PaginatedRequestParams | None) -> mcp.ListResourceTemplatesResult:
        return self._shelf.templates()

    async def read(self, _: Context, asked: mcp.ReadResourceRequestParams) -> mcp.ReadResourceResult:
        return await self._shelf.read(asked.uri)

    async def subscribe(self, context: Context, asked: mcp.SubscribeRequestParams) -> mcp.EmptyResult:
        await context.lifespan_context.add(asked.uri, context.session)
        return mcp.EmptyResult()

    async def unsubscribe(self, context: Context, asked: mcp.UnsubscribeRequestParams) -> mcp.EmptyResult:
        context.lifespan_context.drop(asked.uri)
        return mcp.EmptyResult()

    async def listen(
        self, context: Context, asked: mcp.SubscriptionsListenRequestParams
    ) -> mcp.SubscriptionsListenResult:
        return await listen(self._visitor, context, asked.notifications)


def notifications() -> NotificationOptions:
    """What a client of the handshake eras may count on to be told."""
    return NotificationOptions(resources_changed=True)


def _answering(
    counted: Callable[[], AbstractContextManager[None]],
    handler: Callable[[Context, Question], Awaitable[Result]],
) -> Callable[[Context, Question], Awaitable[Result]]:
    """Let what a handler raises be an error of the protocol that tells a client what to do, and no more than that."""

    async def answer(context: Context, asked: Question) -> Result:
        try:
            with counted():
                return await handler(context, asked)
        except MCPError:
            raise
        except HandiworkError as error:
            code = _NOT_FOUND if isinstance(error, _MISSING) and not _is_modern(context) else mcp.INVALID_PARAMS
            hint, message = hint_of(error), told_outside(error)
            told = {"code": error.code, "hint": hint}
            raise MCPError(code, message if hint is None else f"{message} {hint}", told) from error
        except Exception as error:
            # The edge of the protocol: what is unforeseen is for the log, and may quote what users store.
            _log.error("unforeseen %s", trace_of(error))
            raise MCPError(mcp.INTERNAL_ERROR, "This server has a fault; it is in its log.") from error

    return answer


def _is_modern(context: Context) -> bool:
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS
