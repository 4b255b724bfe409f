"""Routes for live events: Server-Sent Events and WebSockets, both from a cursor on. The frames are made in `wires`.

What happened is read and kept by `feed`; nothing is queued here. A follower is a few tasks of which the first that
ends, ends the stream: one hands out events, the others watch for what else can end it. A client that takes nothing
holds up its own tasks alone, and after a while it is sent away; its cursor lets it come back and miss nothing.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, WebSocket
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as Connection
from starlette.websockets import WebSocketDisconnect

from handiwork.access.policy import Caller
from handiwork.errors import CursorTooOld, HandiworkError, NotAuthenticated
from handiwork.events import Event, Settled, Told
from handiwork.model import Scope
from handiwork.server.answers import problems
from handiwork.server.callers import TheCaller, TheDesk, demands, desk_of
from handiwork.server.desk import API, Desk
from handiwork.server.path_names import PathName
from handiwork.server.problems import CLOSE_CODE_BASE, problem_of
from handiwork.server.projections import Format, Listed, Own, Projected, Spelling, spelling_of
from handiwork.wires.frames import (
    HEARTBEAT,
    Frames,
    PassingFrames,
    message,
    passing_message,
    resync_reason,
)

SUBPROTOCOL = "handiwork"
BEARER = "bearer."
LARGEST_CURSOR = 2**53 - 1
LARGEST_MESSAGE_BYTES = 4096
LAST_WORDS_SECONDS = 1.0

Cursor = Annotated[int, Field(ge=0, le=LARGEST_CURSOR)]
End = Literal["gone", "stopping", "stalled", "too_big", "invalid_request"]

# The codes of RFC 6455 and its registry, and those of `problems` for what is wrong with the request.
_CLOSED: Mapping[End, int] = {
    "gone": 1000,
    "stopping": 1012,
    "stalled": 1013,
    "too_big": 1009,
    "invalid_request": CLOSE_CODE_BASE + 422,
}
_CURSOR = re.compile(r"[0-9]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a stream goes without something, in seconds.

    Callers are confirmed so often that a key which another process has revoked ends its streams within 5 s: what is
    known of a key may be 2 s old.
    """

    heartbeat_seconds: float = 15.0
    confirm_seconds: float = 2.5
    stall_seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """What all streams of one application share, in its `state`.

    Callers are confirmed one after another: of those who hold one key, the first asks the store for all of them.
    """

    pace: Pace = field(default_factory=Pace)
    confirming: asyncio.Lock = field(default_factory=asyncio.Lock)
    own: Own = field(default_factory=Own)
    messages: Frames[str] = field(default_factory=lambda: Frames(message))
    passing_messages: PassingFrames[str] = field(default_factory=lambda: PassingFrames(passing_message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """Somebody who follows one session from a cursor on, as long as they may.

    `catching_up` is told first, and the last of it may say from where to follow instead.
    """

    desk: Desk
    streams: Streams
    caller: Caller
    scope: Scope
    after: int
    catching_up: Callable[[], AsyncGenerator[Listed]] | None = None

    async def follow(
        self, hand_out: Callable[[Told | Listed], Awaitable[None]], *others: Coroutine[Any, Any, End]
    ) -> End:
        """Hand out events until that or one of the others comes to an end, and return why.

        Raises:
            CursorTooOld, NotAuthenticated, StorageFailed: the stream cannot go on.
        """
        over = until_over(self.desk, self.streams, lambda: self.caller)
        return await _first_of(self._all(hand_out), over, *others)

    async def sent(self, sending: Awaitable[None]) -> End | None:
        """Wait until the client has taken something; return why that is the end, if it is."""
        try:
            async with asyncio.timeout(self.streams.pace.stall_seconds):
                await sending
        except TimeoutError:
            return "stalled"
        except (OSError, WebSocketDisconnect):  # How a web server says that nobody is there any more.
            return "gone"
        return None

    async def _all(self, hand_out: Callable[[Told | Listed], Awaitable[None]]) -> End:
        async with aclosing(self._told()) as told:
            async for each in told:
                if self.caller.is_over_at(self.desk.clock()):
                    raise NotAuthenticated
                if end := await self.sent(hand_out(each)):
                    return end
        return "stopping"

    async def _told(self) -> AsyncGenerator[Told | Listed]:
        after = self.after
        if self.catching_up is not None:
            async with aclosing(self.catching_up()) as listed:
                async for each in listed:
                    yield each
                    after = each.seq or after
        async with aclosing(self.desk.engine.feed.follow_live(self.scope, after=after)) as told:
            async for each in told:
                yield each


async def until_over(desk: Desk, streams: Streams, caller: Callable[[], Caller]) -> End:
    """Return when the server stops. Raises `NotAuthenticated` when the key or token of the caller has ended."""
    while True:
        try:
            async with asyncio.timeout(streams.pace.confirm_seconds):
                await desk.stopping.wait()
        except TimeoutError:
            async with streams.confirming:
                await desk.authenticator.confirm(caller())
        else:
            return "stopping"


class EventStream(Response):
    """Sends a follower's events. A stream that cannot go on for want of events ends with one that says so."""

    media_type = "text/event-stream"

    def __init__(self, follower: Follower, spelling: Spelling) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no", **spelling.headers})
        del self.headers["content-length"]
        self._follower, self._spelling = follower, spelling

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        streams, spelling = self._follower.streams, self._spelling

        async def write(chunk: bytes, *, is_last: bool = False) -> None:
            await send({"type": "http.response.body", "body": chunk, "more_body": not is_last})

        async def hand_out(told: Told | Listed) -> None:
            if chunk := await spelling.tell(told):
                await write(chunk)

        async def beat() -> End:
            while True:
                await asyncio.sleep(streams.pace.heartbeat_seconds)
                if end := await self._follower.sent(write(HEARTBEAT)):
                    return end

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await write(spelling.begin())
        try:
            if await self._follower.follow(hand_out, _until_gone(receive), beat()) != "stopping":
                # Nobody is there, or takes anything: without an end the web server cuts the connection.
                return
            last_words = spelling.end()
        except HandiworkError as failure:
            # The status was sent long ago.
            last_words = spelling.break_off(failure)
        with contextlib.suppress(OSError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await write(last_words, is_last=True)


async def streams_of(connection: HTTPConnection) -> Streams:
    return connection.app.state.streams


async def cursor_of(
    after: Annotated[Cursor, Query(description="The `seq` of the last event you have seen.")] = 0,
    last_event_id: Annotated[
        Cursor | SkipJsonSchema[None],
        Header(alias="Last-Event-ID", description="The same, as browsers send it; it wins."),
    ] = None,
) -> int:
    return after if last_event_id is None else last_event_id


TheStreams = Annotated[Streams, Depends(streams_of)]
TheCursor = Annotated[int, Depends(cursor_of)]

router = APIRouter(tags=["events"])


@router.get(
    f"{API}/sessions/{{session}}/events",
    status_code=200,
    response_class=EventStream,
    response_model=None,
    responses=problems(401, 403, 404, 410, 422),
    **demands("artifact:read"),
)
async def events(
    session: PathName,
    desk: TheDesk,
    caller: TheCaller,
    streams: TheStreams,
    after: TheCursor,
    format: Annotated[Format, Query(description="How events are spelled.")] = "handiwork",
) -> EventStream:
    """What happens in a session, live, from a cursor on: Server-Sent Events without end.

    An event has its `seq` as id, so a browser that comes back goes on from there. A cursor whose events are kept no
    longer, or that the session has not reached, is a problem of code `resync`, and while the stream runs an event
    `resync` before its end: list the artifacts again and follow from the `seq` of that answer. What a program writes
    while it runs comes as `execution-output`, which has no id and which nobody keeps.

    In another `format` the same is told in the frames of AG-UI, of the AI SDK's UI message stream, or of A2A.
    """
    scope = caller.scope(session)
    # Looked at here, since once the stream has begun there is no other status.
    spelling, catching_up = spelling_of(format, desk=desk, scope=scope, after=after, own=streams.own), None
    try:
        await desk.engine.retention.log.after(scope, after, limit=1)
    except CursorTooOld:
        if after or not isinstance(spelling, Projected):
            raise
        # Other protocols know no list that a client could begin with.
        catching_up = spelling.listed
    follower = Follower(desk=desk, streams=streams, caller=caller, scope=scope, after=after, catching_up=catching_up)
    return EventStream(follower, spelling)


@router.websocket(f"{API}/sessions/{{session}}/ws")
async def socket(websocket: WebSocket, session: PathName, streams: TheStreams) -> None:
    """The same over a WebSocket, each event a message, with the key or token as a subprotocol `bearer.…`."""
    offered: list[str] = websocket.scope["subprotocols"]

    async def hand_out(told: Told | Listed) -> None:
        if isinstance(told, Event):
            await websocket.send_text(streams.messages.of(told))
        elif not isinstance(told, Settled | Listed):
            await websocket.send_text(streams.passing_messages.of(told))

    # A browser tells its page the code of the end only of a WebSocket that was accepted.
    try:
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
    except OSError:
        return
    try:
        caller = await _recognised(websocket, offered)
        scope, after = caller.scope(session), _cursor(websocket.query_params.get("after", "0"))
        # The protocols of others are spoken over Server-Sent Events.
        if after is None or websocket.query_params.get("format", "handiwork") != "handiwork":
            end: End = "invalid_request"
        else:
            follower = Follower(desk=desk_of(websocket), streams=streams, caller=caller, scope=scope, after=after)
            end = await follower.follow(hand_out, _until_gone(websocket.receive))
        code, reason = _CLOSED[end], end
    except HandiworkError as failure:
        code = CLOSE_CODE_BASE + problem_of(failure)[0]
        reason = resync_reason(failure) if isinstance(failure, CursorTooOld) else failure.code
    if code != _CLOSED["gone"]:
        with contextlib.suppress(OSError, WebSocketDisconnect):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await websocket.close(code, reason)


async def _recognised(websocket: WebSocket, offered: list[str]) -> Caller:
    """Return who follows: by the header, which browsers cannot send here, or by the subprotocol, which they can."""
    told = websocket.headers.get("authorization")
    shown = next((name.removeprefix(BEARER) for name in offered if name.startswith(BEARER)), None)
    caller = await desk_of(websocket).recognised(shown if told is None else told)
    caller.require("artifact:read")
    user = websocket.headers.get("x-handiwork-user")
    return caller if user is None else replace(caller, user=caller.within(user=user).user)


def _cursor(told: str) -> int | None:
    return int(told) if _CURSOR.fullmatch(told) and int(told) <= LARGEST_CURSOR else None


async def _until_gone(receive: Receive) -> End:
    """Take what the client sends, which means nothing, until it has gone."""
    while True:
        taken = await receive()
        if taken["type"] in {"http.disconnect", "websocket.disconnect"}:
            return "gone"
        content: str | bytes = taken.get("text") or taken.get("bytes") or b""
        if len(content if isinstance(content, bytes) else content.encode()) > LARGEST_MESSAGE_BYTES:
            return "too_big"


async def _first_of(*ways: Coroutine[Any, Any, End]) -> End:
    """Return what the first way to end comes to; the others are ended with it."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in ended).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            # Looked at, so that asyncio does not report it as forgotten.
            _ = task.cancelled() or task.exception()
