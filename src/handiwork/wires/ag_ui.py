"""The events of a session as AG-UI 1.0 has them: each artifact and each run is an activity. A fold, without input.

A connection is a run that lasts as long as it does. Of each activity it sends a snapshot first and then patches of it
(RFC 6902), so no patch ever comes before its snapshot. What text is being written grows as an array of pieces, since
a patch cannot append to a string. Where artifacts are looked up is not known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from handiwork.events import Delta, Event, Output, Settled, Told
from handiwork.ids import ArtifactId
from handiwork.shapes import Shape, event_shape, passing_shape
from handiwork.wires.wire import MAKES_VERSION, SHOWS_ARTIFACT, Look, Newest, digest, standing, whole_text

PROTOCOL = "1.0"
ARTIFACT, EXECUTION = "artifact", "execution"


@dataclass(slots=True, kw_only=True)
class _Activity:
    """What a client has been told of one activity: of each part of its content what it is known by."""

    parts: dict[str, bytes]
    version: int = 0
    written: int | None = None
    """How many characters of text that is being written; None is that none is."""


class AgUi:
    """One run of AG-UI. The thread is the session."""

    headers: Mapping[str, str] = {}
    last_words = b""

    def __init__(self, session: str, *, run_id: str) -> None:
        self._run = {"threadId": session, "runId": run_id}
        self._known: Newest[_Activity] = Newest()

    def look(self, told: Told) -> Look | None:
        match told:
            case Event(artifact_id=str() as id, type=type_) if type_ in SHOWS_ARTIFACT:
                known = self._known.get(id)
                is_old = known is not None and type_ in MAKES_VERSION and known.version > int(told.facts["version"])
                return None if is_old or type_ == "artifact-expired" else Look(artifact_id=id)
            case Delta(artifact_id=id):
                return Look(artifact_id=id) if told.offset == 0 and self._known.get(id) is None else None
            case Settled(artifact_id=id):
                return Look(artifact_id=id) if self._is_written(id) else None
            case _:
                return None

    def begin(self) -> Sequence[Shape]:
        return [{"type": "RUN_STARTED", **self._run, "protocolVersion": PROTOCOL}]

    def tell(self, told: Told, seen: Shape | None) -> Sequence[Shape]:
        match told:
            case Event():
                return [frame | {"timestamp": _milliseconds(told.at)} for frame in self._happened(told, seen)]
            case Delta():
                return self._written(told, seen)
            case Settled(artifact_id=id) if self._is_written(id):
                stands = {"id": id, "status": "failed"} if seen is None else {**seen, "status": "ready"}
                return self._show(ARTIFACT, {**stands, "pieces": []})
            case Settled():
                return []
            case Output():
                return [_custom("execution.output", {**passing_shape(told), "text": whole_text(told.text)})]

    def list(self, artifact: Shape) -> Sequence[Shape]:
        return self._show(ARTIFACT, {**artifact, "status": "ready", "pieces": []})

    def break_off(self, code: str, message: str) -> Sequence[Shape]:
        return [{"type": "RUN_ERROR", "message": message, "code": code}]

    def end(self) -> Sequence[Shape]:
        return [{"type": "RUN_FINISHED", **self._run}]

    def _happened(self, event: Event, seen: Shape | None) -> Sequence[Shape]:
        if event.type in SHOWS_ARTIFACT:
            stands = standing(event, seen)
            return [] if stands is None else self._show(ARTIFACT, {**stands, "pieces": []})
        if event.execution_id is not None and event.type in {"execution-started", "execution-finished"}:
            status = event.facts.get("status", "running")
            return self._show(EXECUTION, {"id": event.execution_id, "status": status})
        return [_custom(event.type.replace("-", ".", 1), event_shape(event))]

    def _written(self, delta: Delta, seen: Shape | None) -> Sequence[Shape]:
        """Tell of text that is being written: the text so far as the first piece, and each further one."""
        known, text = self._known.get(delta.artifact_id), whole_text(delta.text)
        if delta.offset:
            if known is None or known.written != delta.offset:
                # Its beginning was overtaken by an event; the end will be told.
                return []
            known.written = delta.offset + len(delta.text)
            return [_patch(ARTIFACT, delta.artifact_id, [{"op": "add", "path": "/pieces/-", "value": text}])]
        if known is None:
            stands = seen or {"id": delta.artifact_id, "type": delta.artifact_type}
            frames = self._show(ARTIFACT, {**stands, "status": "writing", "pieces": [text]})
            known = self._known.get(delta.artifact_id)
        else:
            changed = {"status": "writing", "pieces": [text]}
            frames = [_patch(ARTIFACT, delta.artifact_id, _replaced(changed))]
        if known is not None:
            # Whatever pieces there are by then, the next look at it takes them away.
            known.parts |= {"status": b"", "pieces": b""}
            known.written = len(delta.text)
        return frames

    def _show(self, kind: str, content: Shape) -> Sequence[Shape]:
        """Tell how something stands, as far as the client does not know it."""
        id: str = content["id"]
        parts, known = {name: digest(value) for name, value in content.items()}, self._known.get(id)
        version = content.get("version", {}).get("number", 0)
        self._known.put(id, _Activity(parts=parts, version=version))
        if known is None or content["status"] in {"failed", "expired"}:
            snapshot = {"type": "ACTIVITY_SNAPSHOT", "messageId": id, "activityType": kind, "content": content}
            return [snapshot | {"replace": True}]
        gone = [{"op": "remove", "path": f"/{name}"} for name in known.parts.keys() - parts.keys()]
        added = [
            {"op": "add", "path": f"/{name}", "value": content[name]} for name in parts.keys() - known.parts.keys()
        ]
        changed = {name: content[name] for name, part in known.parts.items() if name in parts and parts[name] != part}
        operations = [*gone, *added, *_replaced(changed)]
        return [_patch(kind, id, operations)] if operations else []

    def _is_written(self, id: ArtifactId) -> bool:
        known = self._known.get(id)
        return known is not None and known.written is not None


def _patch(kind: str, id: str, operations: Sequence[Shape]) -> Shape:
    return {"type": "ACTIVITY_DELTA", "messageId": id, "activityType": kind, "patch": list(operations)}


def _replaced(changed: Mapping[str, object]) -> list[Shape]:
    return [{"op": "replace", "path": f"/{name}", "value": value} for name, value in changed.items()]


def _custom(name: str, value: Shape) -> Shape:
    return {"type": "CUSTOM", "name": name, "value": value}


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
