"""What those at the other end of a wire make of its frames: small folds, each with the rules of its protocol.

A fold takes frames as they come, over one connection after the other, and says which artifacts there are. Each frame
is read by the models of the protocol's own SDK, where there is one for Python. What is right is asserted elsewhere.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jsonpatch
from a2a.types.a2a_pb2 import StreamResponse
from ag_ui.core import Event
from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import TypeAdapter

from handiwork.server.projections import Format
from handiwork.wires.a2a import EXTENSION

Frame = dict[str, Any]
NO_CONTENT = "no content"
DONE = "[DONE]"

_EVENTS: TypeAdapter[Any] = TypeAdapter(Event)


class Standing(NamedTuple):
    """How one artifact stands, as far as every wire tells it."""

    number: int
    sha256: str
    title: str
    state: str | None
    labels: tuple[str, ...]
    content: object


class Side(Protocol):
    """Somebody who folds the frames of a format."""

    def connect(self) -> None: ...
    def take(self, frame: Frame) -> None: ...
    def artifacts(self) -> Mapping[str, Standing]: ...


class AgUiSide:
    """Messages of activities: a snapshot makes or replaces one, and a patch has to fit the one that is there."""

    def __init__(self) -> None:
        self.contents: dict[str, Any] = {}
        self.run: str | None = None
        self._shown: set[str] = set()

    def connect(self) -> None:
        self.run, self._shown = None, set()

    def take(self, frame: Frame) -> None:
        _EVENTS.validate_python(frame)
        match frame["type"]:
            case "RUN_STARTED":
                assert self.run is None
                self.run = frame["runId"]
            case "ACTIVITY_SNAPSHOT":
                assert self.run
                self.contents[frame["messageId"]] = frame["content"]
                self._shown.add(frame["messageId"])
            case "ACTIVITY_DELTA":
                assert frame["messageId"] in self._shown, "a patch before its snapshot"
                self.contents[frame["messageId"]] = jsonpatch.apply_patch(
                    self.contents[frame["messageId"]], frame["patch"]
                )
            case _:
                assert self.run

    def artifacts(self) -> Mapping[str, Standing]:
        return _standing({id: each for id, each in self.contents.items() if "sha256" in each.get("version", {})})


class AiSdkSide:
    """One message: a data part replaces the one of its type and id, and a transient one is not kept."""

    def __init__(self) -> None:
        self.message: str | None = None
        self.parts: dict[tuple[str, str], Any] = {}
        self.previews: list[Any] = []

    def connect(self) -> None:
        pass

    def take(self, frame: Frame) -> None:
        if frame["type"] == "start":
            assert self.message in (None, frame["messageId"]), "another message begins"
            self.message = frame["messageId"]
        elif frame.get("transient"):
            self.previews.append(frame["data"])
        elif frame["type"].startswith("data-"):
            self.parts[frame["type"], frame["id"]] = frame["data"]

    def artifacts(self) -> Mapping[str, Standing]:
        parts = {id: data for (type_, id), data in self.parts.items() if type_ == "data-artifact"}
        return _standing({id: data for id, data in parts.items() if data["status"] == "ready"})


class A2ASide:
    """Artifacts of a task: they are made, replaced or appended to until their last chunk, and then never touched."""

    def __init__(self) -> None:
        self.versions: dict[str, Any] = {}
        self.sealed: set[str] = set()
        self.marks: dict[str, Any] = {}
        self.gone: set[str] = set()
        self.statuses: list[Any] = []
        self._sealed_now: set[str] = set()

    def connect(self) -> None:
        self._sealed_now = set()

    def take(self, frame: Frame) -> None:
        response = MessageToDict(ParseDict(frame, StreamResponse()))
        if "task" in response:
            self.versions.clear()
            self.sealed.clear()
            self.marks.clear()
            self.gone.clear()
        elif "statusUpdate" in response:
            self._take_status(response["statusUpdate"]["metadata"][EXTENSION])
        else:
            self._take_artifact(response["artifactUpdate"])

    def _take_status(self, told: Any) -> None:
        self.statuses.append(told)
        if told["type"] == "artifact-expired":
            self.gone.add(told["artifactId"])
        if told["type"] == "artifact-state-changed" and "labels" in told:
            self.marks[told["artifactId"]] = told

    def _take_artifact(self, update: Any) -> None:
        artifact = update["artifact"]
        id: str = artifact["artifactId"]
        assert id not in self._sealed_now, "a write after the last chunk"
        assert artifact["parts"], "an artifact of no parts"
        if update.get("append"):
            assert id in self.versions, "something is appended to an artifact that was not made"
            kept = self.versions[id]
            parts = [*kept["parts"], *artifact["parts"]]
            metadata = {**kept["metadata"], **artifact["metadata"]}
            self.versions[id] = {**kept, **artifact, "parts": parts, "metadata": metadata}
        else:
            self.versions[id] = artifact
        if update.get("lastChunk"):
            self.sealed.add(id)
            self._sealed_now.add(id)
            told = artifact["metadata"][EXTENSION]
            self.marks[told["artifactId"]] = told

    def artifacts(self) -> Mapping[str, Standing]:
        newest: dict[str, Any] = {}
        for name in self.sealed:
            told = self.versions[name]["metadata"][EXTENSION]
            if told["version"] > newest.get(told["artifactId"], {EXTENSION: {"version": 0}})[EXTENSION]["version"]:
                newest[told["artifactId"]] = {EXTENSION: told, **self.versions[name]}
        return {
            id: Standing(
                number=int(each[EXTENSION]["version"]),
                sha256=each[EXTENSION]["sha256"],
                title=each["name"],
                state=self.marks[id].get("state"),
                labels=tuple(self.marks[id].get("labels", ())),
                content=content_of_parts(each["parts"]),
            )
            for id, each in newest.items()
            if id not in self.gone
        }


def content_of_parts(parts: Sequence[Any]) -> object:
    """The content in the parts of an artifact: structured, or its text."""
    data = [part["data"] for part in parts if "data" in part]
    texts = [part["text"] for part in parts if "text" in part]
    if data or not texts:
        return data[0] if data else NO_CONTENT
    text = "".join(texts)
    return json.loads(text) if parts[-1]["mediaType"] == "application/json" else text


def blocks_of(chunk: bytes) -> Iterator[tuple[int | None, Frame | None]]:
    """The cursor and the frame of each block of a stream, as far as it has them."""
    for block in chunk.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        data = fields.get("data")
        yield (
            int(fields["id"]) if "id" in fields else None,
            None if data is None or data == DONE else json.loads(data),
        )


SIDES: Mapping[Format, type[Side]] = {"ag-ui": AgUiSide, "ai-sdk": AiSdkSide, "a2a": A2ASide}


def _standing(shapes: Mapping[str, Any]) -> Mapping[str, Standing]:
    return {
        id: Standing(
            number=each["version"]["number"],
            sha256=each["version"]["sha256"],
            title=each["title"],
            state=each["state"],
            labels=tuple(each["labels"]),
            content=each["version"].get("content", NO_CONTENT),
        )
        for id, each in shapes.items()
    }
