"""The events of a session as a UI message stream of the AI SDK: data parts of one message. A fold, without input.

A part of the same id replaces the earlier one, so an artifact is one part that is always whole, and a run is another.
What is being written, and what programs write, goes in transient parts, which the message does not keep. Files and
sources have no id and would come twice, so an artifact names its content in its part. How parts are shown is not known
here.
"""

from collections.abc import Mapping, Sequence

from handiwork.events import Delta, Event, Output, Settled, Told
from handiwork.shapes import Shape, event_shape, passing_shape
from handiwork.wires.wire import MAKES_VERSION, SHOWS_ARTIFACT, Look, Newest, digest, standing, whole_text

VERSION = "v1"


class AiSdk:
    """One message of the AI SDK, and the same again on the next connection to the session."""

    headers: Mapping[str, str] = {"x-vercel-ai-ui-message-stream": VERSION}
    last_words = b"data: [DONE]\n\n"

    def __init__(self, session: str) -> None:
        self._message_id = f"handiwork:{session}"
        self._known: Newest[tuple[int, bytes]] = Newest()

    def look(self, told: Told) -> Look | None:
        match told:
            case Event(artifact_id=str() as id, type=type_) if type_ in SHOWS_ARTIFACT:
                version, _ = self._known.get(id) or (0, b"")
                is_old = type_ in MAKES_VERSION and version > int(told.facts["version"])
                return None if is_old or type_ == "artifact-expired" else Look(artifact_id=id)
            case _:
                return None

    def begin(self) -> Sequence[Shape]:
        return [{"type": "start", "messageId": self._message_id}]

    def tell(self, told: Told, seen: Shape | None) -> Sequence[Shape]:
        match told:
            case Event():
                return self._happened(told, seen)
            case Delta() | Output():
                shape = passing_shape(told)
                data = {**shape, "text": whole_text(told.text)}
                return [{"type": f"data-{shape['type']}", "data": data, "transient": True}]
            case Settled():
                return []

    def list(self, artifact: Shape) -> Sequence[Shape]:
        return self._show({**artifact, "status": "ready"})

    def break_off(self, code: str, message: str) -> Sequence[Shape]:
        return [{"type": "error", "errorText": f"{message} ({code})"}]

    def end(self) -> Sequence[Shape]:
        return [{"type": "finish"}]

    def _happened(self, event: Event, seen: Shape | None) -> Sequence[Shape]:
        if event.type in SHOWS_ARTIFACT:
            stands = standing(event, seen)
            return [] if stands is None else self._show(stands)
        if event.execution_id is not None and event.type in {"execution-started", "execution-finished"}:
            data = {"id": event.execution_id, "status": event.facts.get("status", "running")}
            return [{"type": "data-execution", "id": event.execution_id, "data": data}]
        return [{"type": f"data-{event.type}", "id": event.id, "data": event_shape(event)}]

    def _show(self, data: Shape) -> Sequence[Shape]:
        id, version = data["id"], data.get("version", {}).get("number", 0)
        mark = digest(data)
        known = self._known.get(id)
        self._known.put(id, (version, mark))
        if known is not None and known[1] == mark:
            return []
        return [{"type": "data-artifact", "id": id, "data": data}]
