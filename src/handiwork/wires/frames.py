"""Events as they go over the wire: as a message of a WebSocket, as a frame of Server-Sent Events. Pure functions.

To whom a frame is sent, and when, is not known here. `Frames` and `PassingFrames` keep what was made, so that an event
is put into words once however many follow it. What the protocols of others say in a frame is known to `ag_ui`, `ai_sdk`
and `a2a`.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from handiwork.errors import CursorTooOld
from handiwork.events import Event, Passing
from handiwork.ids import EventId
from handiwork.model import MIB
from handiwork.shapes import Shape, event_shape, passing_shape

RETRY = b"retry: 1000\n\n"
"""Tells a client to come back a second after its stream has ended."""
HEARTBEAT = b":\n\n"
"""A comment, which clients pass over and which keeps proxies from closing a quiet stream."""
FRAMES_KEPT = 2000
PASSING_KEPT_BYTES = 8 * MIB

Frame = TypeVar("Frame", bytes, str)


def message(event: Event) -> str:
    """Return the event as one line of JSON, in ASCII."""
    return _json(event_shape(event))


def server_sent(event: Event) -> bytes:
    """Return the event as a frame whose id is the cursor to go on from."""
    return f"id: {event.seq}\nevent: {event.type}\ndata: {message(event)}\n\n".encode("ascii")


def passing_message(passing: Passing) -> str:
    """Return what passes by as one line of JSON, in ASCII."""
    return _json(passing_shape(passing))


def server_sent_passing(passing: Passing) -> bytes:
    """Return what passes by as a frame without an id: the cursor stays where it is."""
    shape = passing_shape(passing)
    return f"event: {shape['type']}\ndata: {_json(shape)}\n\n".encode("ascii")


def server_sent_resync(failure: CursorTooOld) -> bytes:
    """Return the frame that ends a stream which cannot go on. It has no id: there is no cursor to go on from."""
    return f"event: {failure.code}\ndata: {_json(_standing(failure))}\n\n".encode("ascii")


def server_sent_shapes(shapes: Sequence[Shape], *, seq: int | None = None) -> bytes:
    """Return what another protocol says of one event: a frame without a name for each shape.

    The cursor stands in the last of them, or alone if there is none: who is cut off before it gets all of them again.
    """
    frames = [f"data: {_json(shape)}\n\n" for shape in shapes]
    if seq is not None:
        frames[-1:] = [f"id: {seq}\n{frames[-1]}" if frames else f"id: {seq}\n\n"]
    return "".join(frames).encode("ascii")


def resync_reason(failure: CursorTooOld) -> str:
    """Return the reason with which a WebSocket is closed that cannot go on; it has to be under 124 bytes."""
    return _json(_standing(failure))


class Frames(Generic[Frame]):
    """Makes the frame of each event once, as long as it is among the newest; ids of events are never used twice."""

    def __init__(self, make: Callable[[Event], Frame], *, most: int = FRAMES_KEPT) -> None:
        self._make, self._most = make, most
        self._made: OrderedDict[EventId, Frame] = OrderedDict()

    def of(self, event: Event) -> Frame:
        frame = self._made.get(event.id)
        if frame is None:
            frame = self._made[event.id] = self._make(event)
            if len(self._made) > self._most:
                self._made.popitem(last=False)
        return frame


class PassingFrames(Generic[Frame]):
    """Makes the frame of what passes by once, as long as it is among the newest. All who follow are told the same."""

    def __init__(self, make: Callable[[Passing], Frame], *, most_bytes: int = PASSING_KEPT_BYTES) -> None:
        self._make, self._room = make, most_bytes
        # What passes by has no id; as long as it is kept, no other has its place in memory.
        self._made: OrderedDict[int, tuple[Passing, Frame]] = OrderedDict()

    def of(self, passing: Passing) -> Frame:
        made = self._made.get(id(passing))
        if made is not None:
            return made[1]
        frame = self._make(passing)
        self._made[id(passing)] = passing, frame
        self._room -= len(frame)
        while self._room < 0:
            _, (_, gone) = self._made.popitem(last=False)
            self._room += len(gone)
        return frame


def _standing(failure: CursorTooOld) -> Shape:
    return {"code": failure.code, "oldest": failure.oldest, "last": failure.last}


def _json(shape: Shape) -> str:
    return json.dumps(shape, separators=(",", ":"))
