"""Conversations of MCP over HTTP that last longer than a request, as clients of the handshake eras hold them.

Each has an id that only its own client may use, a server of the protocol for itself, and an end: when the client says
so, when it has been quiet for long, when its key ends, and when this server does. What is answered is known to the
room `mcp`, and who the client is to the route.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import anyio
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER, StreamableHTTPServerTransport
from starlette.types import Message, Receive, Send
from starlette.types import Scope as Connection

from handiwork.access.policy import Caller
from handiwork.ids import BASE62, nanoid
from handiwork.mcp.lines import Line
from handiwork.mcp.protocol import notifications, server_for
from handiwork.mcp.visitors import Visitor
from handiwork.model import Scope
from handiwork.server.headers import header_values
from handiwork.server.refusals import ConversationNotFound, TooManyConversations
from handiwork.tasks import trace_of

MOST_CONVERSATIONS = 1000
MOST_OF_ONE_CALLER = 100
QUIET_SECONDS = 1800.0
_ID_LENGTH = 32

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose a conversation is. A token that replaces another of the same rights goes on where that one was."""

    caller: Caller
    scope: Scope

    def is_same_as(self, other: "Holder") -> bool:
        return replace(self.caller, expires_at=None) == replace(other.caller, expires_at=None) and (
            self.scope == other.scope
        )


@dataclass(slots=True, kw_only=True, eq=False)
class Conversation:
    """One that is going on; `holder` is as its client was last recognised.

    `requests` are being answered now, streams included, and `questions` those among them that have an end. `line` is
    the stream that the client opens to be told of changes.
    """

    id: str
    holder: Holder
    transport: StreamableHTTPServerTransport
    requests: int = 0
    questions: int = 0
    line: Line = field(default_factory=lambda: Line(is_open=False))
    is_answered: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    async def answer(self, connection: Connection, receive: Receive, send: Send) -> int | None:
        """Answer a request of the client, and return the status."""
        status: int | None = None

        async def noted(message: Message) -> None:
            nonlocal status
            begins = status is None
            status = message.get("status", status)
            if connection["method"] != "GET" or status != HTTPStatus.OK:
                await send(message)
                return
            if begins:
                line.enter_context(self.line.opened())
            await self.line.hand_over(send(message))

        is_question = connection["method"] == "POST"
        self.requests += 1
        self.questions += is_question
        try:
            with contextlib.ExitStack() as line:
                await self.transport.handle_request(connection, receive, noted)
        finally:
            self.requests -= 1
            self.questions -= is_question
            self.is_answered.set()
        return status


class Conversations:
    """All that go on at one server. Each is a task, which ends with what it waits for."""

    def __init__(self, *, most: int = MOST_CONVERSATIONS, most_of_one: int = MOST_OF_ONE_CALLER) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._held: dict[str, Conversation] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def answer(
        self,
        holder: Holder,
        visitor: Callable[[Callable[[], Caller]], Visitor],
        connection: Connection,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer a request, in the conversation that it names or in a new one.

        Raises:
            ConversationNotFound: there is none of this id, or it is another's.
            TooManyConversations: there is no room for a new one.
        """
        named = header_values(connection, MCP_SESSION_ID_HEADER.encode("ascii"))
        if not named:
            await self._begin(holder, visitor, connection, receive, send)
            return
        held = self._held.get(named[0].decode("latin-1"))
        if held is None or not held.holder.is_same_as(holder):
            raise ConversationNotFound
        held.holder = holder
        # The one that was used last is the last to go.
        self._held[held.id] = self._held.pop(held.id)
        await held.answer(connection, receive, send)
        if held.transport.is_terminated:
            self._forget(held)

    async def _begin(
        self,
        holder: Holder,
        visitor: Callable[[Callable[[], Caller]], Visitor],
        connection: Connection,
        receive: Receive,
        send: Send,
    ) -> None:
        self._demand_room(holder)
        id = nanoid(_ID_LENGTH, alphabet=BASE62)
        transport = StreamableHTTPServerTransport(mcp_session_id=id, idle_timeout=QUIET_SECONDS)
        held = self._held[id] = Conversation(id=id, holder=holder, transport=transport)
        known = replace(visitor(lambda: held.holder.caller), line=held.line)
        can_begin = asyncio.Event()
        held.task = asyncio.create_task(self._hold(held, known, can_begin))
        status = None
        try:
            await can_begin.wait()
            status = await held.answer(connection, receive, send)
        finally:
            if status is None or status >= 400:
                # Only a handshake begins one.
                self._forget(held)

    def _demand_room(self, holder: Holder) -> None:
        own = [each for each in self._held.values() if each.holder.caller.key_id == holder.caller.key_id]
        if len(own) >= self._most_of_one:
            # Clients that begin anew do not always end what they had before.
            idle = next((each for each in own if not each.requests), None)
            if idle is None:
                raise TooManyConversations(self._most_of_one)
            self._forget(idle)
        if len(self._held) >= self._most:
            raise TooManyConversations(self._most)

    async def _hold(self, held: Conversation, visitor: Visitor, can_begin: asyncio.Event) -> None:
        """Serve one conversation until it ends. It is forgotten then, whatever it ended by."""
        server, transport = server_for(visitor), held.transport
        try:
            async with transport.connect() as (read, write):
                can_begin.set()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_end_in_time, held, visitor.until_over, tasks.cancel_scope)
                    with transport.idle_scope or contextlib.nullcontext():
                        await server.run(read, write, server.create_initialization_options(notifications()))
                    tasks.cancel_scope.cancel()
        except Exception as failure:  # noqa: BLE001  # the edge of this task: nobody waits for it
            _log.error("A conversation broke off: %s", trace_of(failure))
        finally:
            can_begin.set()
            self._held.pop(held.id, None)
            with anyio.CancelScope(shield=True):
                await transport.terminate()

    def _forget(self, held: Conversation) -> None:
        self._held.pop(held.id, None)
        if held.task is not None:
            held.task.cancel()


async def _end_in_time(
    held: Conversation, until_over: Callable[[], Awaitable[None]], everything: anyio.CancelScope
) -> None:
    """End a conversation that may not go on, when what was asked before that is answered."""
    await until_over()
    held.transport.close_standalone_sse_stream()
    while held.questions:
        held.is_answered.clear()
        await held.is_answered.wait()
    everything.cancel()
