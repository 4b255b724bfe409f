"""Following a session on a server: events from a cursor on, whatever happens to the connection or the server meanwhile.

The cursor is the number of the last event that was handed on. A stream that leaves out a number has lost something on
its way, and is begun again from there.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import httpx2

from handiwork.client import answers
from handiwork.client.answers import Misread, read_as
from handiwork.client.connection import Call, Connection, Interrupted, Outage, will_pass
from handiwork.errors import CursorTooOld, HandiworkError
from handiwork.events import Event, Output
from handiwork.model import MIB, Scope

LARGEST_FRAME_BYTES = MIB


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream has begun, or has begun again: what is written from now on is seen."""


@dataclass(slots=True)
class Frame:
    """One event of the stream as it is written there."""

    id: str | None = None
    event: str = ""
    data: list[str] = field(default_factory=list[str])
    is_greeting: bool = False


async def follow(
    connection: Connection, call: Call, scope: Scope, *, after: int
) -> AsyncGenerator[Event | Output | Opened]:
    """Yield the events of a session after the cursor, and what programs write meanwhile.

    Raises:
        CursorTooOld: those events are kept no longer.
        ServerUnreachable: the server was away for too long.
    """
    outage, seen = Outage(connection), after
    while True:
        resumed = replace(call, headers={**call.headers, "last-event-id": str(seen)})
        try:
            async with aclosing(_once(connection, resumed, scope, seen)) as told:
                async for each in told:
                    # That a stream begins says little: it may break off each time.
                    if not isinstance(each, Opened):
                        outage.is_over()
                    if isinstance(each, Event):
                        seen = each.seq
                    if each is not None:
                        yield each
            interrupted: Exception = Interrupted("it ended", was_sent=True)
        except Interrupted as failure:
            interrupted = failure
        except HandiworkError as refused:
            if not will_pass(refused):
                raise
            interrupted = refused
        await outage.wait(interrupted)


async def _once(
    connection: Connection, call: Call, scope: Scope, seen: int
) -> AsyncGenerator[Event | Output | Opened | None]:
    """Yield what one stream tells, as far as nothing is left out; None is a sign of life."""
    async with connection.opened(call) as response, aclosing(_told(connection, call, response, scope)) as told:
        yield Opened()
        async for each in told:
            match each:
                case CursorTooOld():
                    raise CursorTooOld(seen, oldest=each.oldest, last=each.last)
                case Event() if each.seq <= seen:
                    continue
                case Event() if each.seq > seen + 1:
                    raise Interrupted("an event was lost on its way", was_sent=True)
                case Event():
                    seen = each.seq
                    yield each
                case _:
                    yield each


async def _told(
    connection: Connection, call: Call, response: httpx2.Response, scope: Scope
) -> AsyncGenerator[Event | Output | CursorTooOld | None]:
    """Yield what the frames tell; None is a sign of life."""
    async with aclosing(_frames(connection, call, response)) as frames:
        async for frame in frames:
            try:
                yield None if frame is None else _read(frame, scope)
            except (Misread, ValueError, RecursionError) as wrong:
                got = "a frame that is none"
                raise connection.unexpected(call, expected="events of a session", got=got) from wrong


def _read(frame: Frame, scope: Scope) -> Event | Output | CursorTooOld | None:
    told = json.loads("\n".join(frame.data))
    if frame.id is not None:
        return read_as(lambda found: answers.event(found, scope), told)
    if frame.event == CursorTooOld.code:
        return read_as(lambda found: CursorTooOld(0, oldest=found["oldest"], last=found["last"]), told)
    if frame.event == "execution-output":
        return read_as(lambda found: answers.output(found, scope), told)
    # Something of a newer server, which has no number and so is no event that could be missed.
    return None


async def _frames(connection: Connection, call: Call, response: httpx2.Response) -> AsyncGenerator[Frame | None]:
    frame = Frame()
    async with aclosing(_lines(connection, call, response)) as lines:
        async for line in lines:
            if line:
                name, _, value = line.partition(":")
                _put(frame, name, value.removeprefix(" "))
                continue
            if frame.data or not frame.is_greeting:
                yield frame if frame.data else None
            frame = Frame()


def _put(frame: Frame, name: str, value: str) -> None:
    match name:
        case "id":
            frame.id = value
        case "event":
            frame.event = value
        case "data":
            frame.data.append(value)
        case "retry":
            frame.is_greeting = True
        case _:
            pass


async def _lines(connection: Connection, call: Call, response: httpx2.Response) -> AsyncGenerator[str]:
    """Yield the lines. A frame, the lines before an empty one, is no longer than `LARGEST_FRAME_BYTES`."""
    waiting, size = b"", 0
    async for piece in _pieces(response):
        *lines, waiting = (waiting + piece).split(b"\n")
        for line in lines:
            size = size + len(line) if line.strip() else 0
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
        if size + len(waiting) > LARGEST_FRAME_BYTES:
            expected = f"events of at most {LARGEST_FRAME_BYTES:,} bytes"
            raise connection.unexpected(call, expected=expected, got="a longer one")


def _pieces(response: httpx2.Response) -> AsyncIterator[bytes]:
    return response.aiter_raw()
