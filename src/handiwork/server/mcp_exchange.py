"""One request of the Model Context Protocol over HTTP, answered. Who sent it is known to the route.

The newest form of the protocol needs nothing else, and each of its requests stands for itself; the forms before it
begin with a handshake and have a conversation.
"""

import contextlib
from collections.abc import Callable

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import PARSE_ERROR, ErrorData, JSONRPCError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import JsonValue
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Send
from starlette.types import Scope as Connection

from handiwork.access.policy import Caller, Permission
from handiwork.errors import HandiworkError
from handiwork.mcp.protocol import server_for
from handiwork.mcp.visitors import Visitor
from handiwork.model import Scope
from handiwork.server.desk import Desk
from handiwork.server.mcp_conversations import Conversations, Holder
from handiwork.server.outlets import Outlet
from handiwork.server.problems import problem_response
from handiwork.server.refusals import MalformedRequest
from handiwork.server.streams import Streams, until_over
from handiwork.server.strict_bodies import MOST_VALUES_OF_CONTENT, looked_at
from handiwork.tools.tool import Tool

VERSION_HEADER = "mcp-protocol-version"
READ = "resources/read"


def permission_for(tool: Tool) -> Permission:
    """Return what a caller must be permitted to use a tool."""
    if tool.name == "generate_file":
        return "execution:run"
    return "artifact:read" if tool.annotations.get("readOnlyHint") is True else "artifact:write"


class Exchange(Response):
    """The answer to one request, whatever it asks: it is made while it is sent."""

    def __init__(
        self, desk: Desk, streams: Streams, conversations: Conversations, *, caller: Caller, place: Scope
    ) -> None:
        super().__init__()
        self._desk, self._streams, self._conversations = desk, streams, conversations
        self._holder = Holder(caller=caller, scope=place)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        outlet = Outlet(scope, send, stall_seconds=self._streams.pace.stall_seconds)
        await outlet.answer(lambda taken: self._answer(scope, receive, taken))

    async def _answer(self, scope: Connection, receive: Receive, send: Send) -> None:
        request, asked = Request(scope, receive), None
        try:
            if request.method == "POST":
                asked, receive = await _whole(request)
            is_read = isinstance(asked, dict) and asked.get("method") == READ
            place, key_id = self._holder.scope, self._holder.caller.key_id
            client = (place.tenant, place.user, key_id)
            turn = self._desk.reads.turn(client) if is_read else contextlib.nullcontext()
            async with turn:
                await self._pass_on(request, receive, send)
        except (MalformedRequest, RequestValidationError) as wrong:
            await _unreadable(wrong)(scope, receive, send)
        except HandiworkError as refused:
            await problem_response(refused)(scope, receive, send)

    async def _pass_on(self, request: Request, receive: Receive, send: Send) -> None:
        version = request.headers.get(VERSION_HEADER)
        if version is None or version in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._conversations.answer(self._holder, self._visitor, request.scope, receive, send)
            return
        server = server_for(self._visitor(lambda: self._holder.caller))
        manager = StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=self._desk.body_limit)
        async with manager.run():
            await manager.handle_request(request.scope, receive, send)

    def _visitor(self, caller: Callable[[], Caller]) -> Visitor:
        """Return the client as the protocol knows it; `caller` tells as whom it was last recognised."""
        desk, place, may = self._desk, self._holder.scope, self._holder.caller.permissions
        session = desk.engine.session(place.session, user=place.user, tenant=place.tenant)

        async def over() -> None:
            with contextlib.suppress(HandiworkError):  # Its key has ended.
                await until_over(desk, self._streams, caller)

        return Visitor(
            session=session,
            toolbox=session.tools(),
            may_use=lambda tool: permission_for(tool) in may,
            # An agent's key is held by whoever runs the agent, so that nothing it says is a user's word.
            may_approve="action:execute" in may,
            until_over=over,
            is_over=lambda: caller().is_over_at(desk.clock()),
        )


async def _whole(request: Request) -> tuple[JsonValue, Receive]:
    """Return what the body says, and what hands it out. Raises what an unreadable one is refused with."""
    try:
        body = await request.body()
    except ClientDisconnect as gone:
        raise MalformedRequest("body", expected="all of it") from gone
    told = await looked_at(body, most_values=MOST_VALUES_OF_CONTENT)
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else await request.receive()

    return told, receive


def _unreadable(wrong: MalformedRequest | RequestValidationError) -> Response:
    told = (
        str(wrong) if isinstance(wrong, MalformedRequest) else "The body is no JSON, or has a name twice in an object."
    )
    error = JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=PARSE_ERROR, message=told))
    body = error.model_dump_json(by_alias=True, exclude_unset=True)
    return Response(body, status_code=400, media_type="application/json")
