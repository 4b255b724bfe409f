"""What the wires of others have in common: each is a fold of what a session tells into the frames of a protocol.

Events carry no titles and no content, so a wire says what it has to look at before it can speak of an event, and is
shown that. Where it is looked up, and how frames get to a client, is not known here.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from handiwork.events import Event, Told
from handiwork.ids import ArtifactId
from handiwork.shapes import Shape

REMEMBERED = 500
"""Of how many artifacts a client's wire knows what it has said; of others it says everything again."""
SHOWS_ARTIFACT = frozenset(
    {
        "artifact-created",
        "artifact-revised",
        "artifact-state-changed",
        "artifact-failed",
        "artifact-expired",
        "tool-result-cached",
    }
)
MAKES_VERSION = frozenset({"artifact-created", "artifact-revised", "tool-result-cached"})

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a wire wants to see: an artifact at its head or at a version, whole or without its content."""

    artifact_id: ArtifactId
    version: int | None = None
    is_whole: bool = True


class Wire(Protocol):
    """One client's connection, in the words of a protocol. Each method returns the frames to send, in order.

    A client that is cut off at any frame and comes back with the last cursor it saw is whole again: of what it was not
    told on this connection it is told everything.
    """

    headers: Mapping[str, str]
    last_words: bytes
    """What follows the last frame."""

    def look(self, told: Told) -> Look | None:
        """Return what has to be seen before this can be told."""
        ...

    def begin(self) -> Sequence[Shape]: ...
    def tell(self, told: Told, seen: Shape | None) -> Sequence[Shape]:
        """Tell this; `seen` is the artifact that `look` asked for, None if there is none to be had."""
        ...

    def list(self, artifact: Shape) -> Sequence[Shape]:
        """Tell of an artifact whose events are kept no longer."""
        ...

    def break_off(self, code: str, message: str) -> Sequence[Shape]: ...
    def end(self) -> Sequence[Shape]: ...


class Newest(Generic[Value]):
    """The newest values by id, a bounded number of them."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._most = most

    def get(self, id: str) -> Value | None:
        return self._values.get(id)

    def put(self, id: str, value: Value) -> None:
        self._values[id] = value
        self._values.move_to_end(id)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def pop(self, id: str) -> Value | None:
        return self._values.pop(id, None)


def standing(event: Event, seen: Shape | None) -> Shape | None:
    """Return how an artifact stands after an event of it; None if nothing can be said, as of one that has gone since.

    `status` is `ready`, `failed` or `expired`; there is nothing of the latter two but their id.
    """
    if event.type == "artifact-expired":
        return {"id": event.artifact_id, "status": "expired"}
    if seen is not None:
        return {**seen, "status": "ready"}
    if event.type == "artifact-failed":
        return {"id": event.artifact_id, "status": "failed", "code": event.facts["code"]}
    return None


def whole_text(text: str) -> str:
    """Return text without halves of characters, which others do not take for text."""
    return text.encode("utf-8", "replace").decode() if _has_half(text) else text


def digest(value: object) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("ascii")).digest()


def _has_half(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)
