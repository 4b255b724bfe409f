"""The events of a session as an A2A 1.0 stream of one task: versions are artifacts, all else is the task's status.

A version is sealed by its last chunk and never touched again, so the next one is an artifact of its own, `art_…@2`,
that says what it supersedes; which artifact and version it is stands in its metadata under our extension. Content that
is being written comes in chunks under the id that its version will have. What has no place in A2A, such as that an
artifact has expired or is in another state, is metadata of a status. A fold, without input: how an artifact is found
is not known here.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from handiwork.events import Delta, Event, Output, Settled, Told
from handiwork.shapes import Shape, event_shape, passing_shape
from handiwork.wires.wire import MAKES_VERSION, Look, Newest, whole_text

EXTENSION = "urn:handiwork:artifact:1"
WORKING = "TASK_STATE_WORKING"
JSON = "application/json"
DEEPEST = 16
"""Structured content that is deeper goes as text: readers of protocol buffers bound how deep a message is."""
LARGEST_WHOLE = 2**53
"""Numbers from here on are not exact as A2A carries them, so content that has one goes as text."""


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A version that is being written: its number to be, and what has been sent of it."""

    number: int
    length: int = 0
    hashed: Any = field(default_factory=hashlib.sha256)

    def grow(self, text: str) -> None:
        self.length += len(text)
        self.hashed.update(text.encode("utf-8", "surrogatepass"))


@dataclass(slots=True, kw_only=True)
class _SoFar:
    """Text that had been written before the client came, as far as it has been told."""

    begun: Delta
    seen: Shape | None
    texts: list[str]
    lacks: int

    def takes(self, delta: Delta) -> bool:
        """Take what follows what has come."""
        follows = len(self.begun.text) + self.begun.more - self.lacks
        if delta.artifact_id != self.begun.artifact_id or delta.offset != follows:
            return False
        self.texts.append(delta.text)
        self.lacks -= len(delta.text)
        return True

    @property
    def whole(self) -> Delta:
        return replace(self.begun, text="".join(self.texts), more=0)


class A2A:
    """One connection to the task that a session is; `public` is the origin at which content is to be had."""

    headers: Mapping[str, str] = {}
    last_words = b""

    def __init__(self, session: str, *, public: str, is_resumed: bool) -> None:
        self._task = {"taskId": session, "contextId": session}
        self._public = public
        self._is_resumed = is_resumed
        self._drafts: Newest[_Draft] = Newest()
        self._so_far: _SoFar | None = None

    def look(self, told: Told) -> Look | None:
        match told:
            case Event(artifact_id=str() as id, type=type_) if type_ in MAKES_VERSION:
                return Look(artifact_id=id, version=int(told.facts["version"]))
            case Event(artifact_id=str() as id, type="artifact-state-changed"):
                return Look(artifact_id=id, is_whole=False)
            case Delta(artifact_id=id) if told.offset == 0 and self._drafts.get(id) is None:
                return Look(artifact_id=id, is_whole=False)
            case _:
                return None

    def begin(self) -> Sequence[Shape]:
        """Tell the task, unless the client has it with its artifacts and would take this for all of it."""
        if self._is_resumed:
            return []
        task = {"id": self._task["taskId"], "contextId": self._task["contextId"], "status": {"state": WORKING}}
        return [{"task": task}]

    def tell(self, told: Told, seen: Shape | None) -> Sequence[Shape]:
        match told:
            case Event():
                return self._happened(told, seen)
            case Delta():
                return self._written(told, seen)
            case Output():
                return [self._status({**passing_shape(told), "text": whole_text(told.text)})]
            case Settled():
                return []

    def list(self, artifact: Shape) -> Sequence[Shape]:
        return [self._sealed(artifact)]

    def break_off(self, code: str, message: str) -> Sequence[Shape]:
        return [self._status({"type": code, "message": message})]

    def end(self) -> Sequence[Shape]:
        return []

    def _happened(self, event: Event, seen: Shape | None) -> Sequence[Shape]:
        if event.artifact_id is not None and event.type in MAKES_VERSION:
            draft = self._drafts.get(event.artifact_id)
            if draft is not None and draft.number <= int(event.facts["version"]):
                self._drafts.pop(event.artifact_id)
            else:
                draft = None
            return [] if seen is None else [self._sealed(seen, draft)]
        if event.type == "artifact-failed" and event.artifact_id is not None:
            self._drafts.pop(event.artifact_id)
        now = {} if seen is None else {name: seen[name] for name in ("state", "labels", "facts")}
        return [self._status({**event_shape(event), **now}, at=event_shape(event)["at"])]

    def _written(self, delta: Delta, seen: Shape | None) -> Sequence[Shape]:
        """Tell of a piece: the text so far makes the artifact anew, and a further piece is appended."""
        if delta.more:
            # Only from all of it is known whether it has just been stored.
            self._so_far = _SoFar(begun=delta, seen=seen, texts=[delta.text], lacks=delta.more)
            return []
        if self._so_far is not None and self._so_far.takes(delta):
            if self._so_far.lacks:
                return []
            delta, seen = self._so_far.whole, self._so_far.seen
            self._so_far = None
        id, draft = delta.artifact_id, self._drafts.get(delta.artifact_id)
        if delta.offset == 0:
            if seen is not None and seen["version"]["sha256"] == _sha256(delta.text):
                # It has just been stored, and its version is sealed.
                return []
            number = draft.number if draft else 1 + (seen["version"]["number"] if seen else 0)
            draft = _Draft(number=number)
            self._drafts.put(id, draft)
        elif draft is None or draft.length != delta.offset:
            # Its beginning was overtaken by an event; the end will be told.
            return []
        draft.grow(delta.text)
        told = {"artifactId": id, "version": draft.number, "type": delta.artifact_type, "status": "writing"}
        parts = [{"text": whole_text(delta.text)}]
        return [self._update(id, told, {"parts": parts}, append=delta.offset > 0, last_chunk=False)]

    def _sealed(self, artifact: Shape, draft: _Draft | None = None) -> Shape:
        """Tell a version for good: all of it, or only that it is whole if its text has been sent to the end."""
        version = artifact["version"]
        told = {"artifactId": artifact["id"], "version": version["number"], "status": "ready"}
        told |= {name: artifact[name] for name in ("handle", "type", "state", "labels", "facts")}
        told |= {name: version[name] for name in ("sha256", "size", "language")}
        described = {"filename": version["name"], "mediaType": version["mediaType"]}
        parts: list[Shape] = [{"url": self._public + artifact["links"]["content"], **described}]
        number = version["number"]
        is_sent = draft is not None and draft.number == number and draft.hashed.hexdigest() == version["sha256"]
        if "content" in version and not is_sent:
            parts.insert(0, {**_content(version), **described})
        shape = {"name": artifact["title"], "description": version["summary"], "parts": parts}
        return self._update(artifact["id"], told, shape, append=is_sent, last_chunk=True)

    def _update(self, id: str, told: Shape, shape: Shape, *, append: bool, last_chunk: bool) -> Shape:
        number: int = told["version"]
        metadata: Shape = {EXTENSION: told} | ({"supersedes": _name(id, number - 1)} if number > 1 else {})
        artifact = {"artifactId": _name(id, number), **shape, "metadata": metadata, "extensions": [EXTENSION]}
        return {
            "artifactUpdate": {**self._task, "artifact": artifact, "append": append, "lastChunk": last_chunk},
        }

    def _status(self, told: Shape, *, at: str | None = None) -> Shape:
        status = {"state": WORKING} | ({} if at is None else {"timestamp": at})
        return {"statusUpdate": {**self._task, "status": status, "metadata": {EXTENSION: told}}}


def _name(id: str, number: int) -> str:
    return id if number == 1 else f"{id}@{number}"


def _content(version: Shape) -> Shape:
    """Return content as text, or as data where that is exact; `null` and texts of JSON are told as JSON text."""
    content: Any = version["content"]
    is_plain = version["mediaType"] != JSON or version["size"] == len(str(content).encode("utf-8", "surrogatepass"))
    if isinstance(content, str) and is_plain:
        return {"text": content}
    is_carried = isinstance(content, (dict, list)) and _is_carried(cast("object", content))
    return {"data": content} if is_carried else {"text": json.dumps(content, ensure_ascii=False)}


def _is_carried(content: object) -> bool:
    """Tell whether a value of JSON comes out of protocol buffers as it went in."""
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        if any(isinstance(each, int) and abs(each) >= LARGEST_WHOLE for each in level):
            return False
        deeper: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                deeper += each.values()
            elif isinstance(each, list):
                deeper += each
        if not deeper:
            return True
        level = deeper
    return False


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
