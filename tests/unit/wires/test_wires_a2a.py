"""The stream of A2A, by the messages of the protocol's own SDK and the way it puts chunks together."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from a2a.server.tasks.task_manager import append_artifact_to_task
from a2a.types.a2a_pb2 import StreamResponse, Task
from google.protobuf.json_format import MessageToDict, ParseDict
from happenings import PLAN, happened, piece, plan, printed, ran, settled, versioned

from handiwork.events import Told
from handiwork.wires.a2a import A2A, DEEPEST, EXTENSION

PUBLIC = "https://hands.example"
WHOLE = "# Plan\n"
SHA256 = hashlib.sha256(WHOLE.encode()).hexdigest()


class Connection:
    """One connection, and the task that the SDK makes of it."""

    def __init__(self, *, is_resumed: bool = False) -> None:
        self.wire = A2A("s", public=PUBLIC, is_resumed=is_resumed)
        self.task, self.sealed = Task(), list[str]()
        self.take(self.wire.begin())

    def take(self, frames: Sequence[dict[str, Any]]) -> None:
        for frame in frames:
            response = ParseDict(frame, StreamResponse())
            if response.HasField("task"):
                self.task = response.task
            if response.HasField("artifact_update"):
                update = response.artifact_update
                assert update.artifact.artifact_id not in self.sealed, "a write after the last chunk"
                append_artifact_to_task(self.task, update)
                if update.last_chunk:
                    self.sealed.append(update.artifact.artifact_id)

    def tell(self, told: Told, seen: dict[str, Any] | None = None) -> Sequence[dict[str, Any]]:
        frames = self.wire.tell(told, seen if self.wire.look(told) is not None else None)
        self.take(frames)
        return frames

    def text(self, artifact_id: str = PLAN) -> str:
        (artifact,) = [each for each in self.task.artifacts if each.artifact_id == artifact_id]
        return "".join(part.text for part in artifact.parts)


@pytest.fixture
def connection() -> Connection:
    return Connection()


def test_the_session_is_a_task_that_works(connection: Connection) -> None:
    assert MessageToDict(connection.task) == {"id": "s", "contextId": "s", "status": {"state": "TASK_STATE_WORKING"}}


def test_whoever_comes_back_has_the_task() -> None:
    assert Connection(is_resumed=True).wire.begin() == []


def test_a_version_is_one_artifact_with_its_content_and_where_to_get_it(connection: Connection) -> None:
    (frame,) = connection.tell(versioned(1), plan())

    update = frame["artifactUpdate"]
    assert (update["append"], update["lastChunk"]) == (False, True)
    artifact = update["artifact"]
    described = {"filename": "plan.md", "mediaType": "text/markdown"}
    url = f"{PUBLIC}/api/v1/artifacts/{PLAN}/content?version=1"
    assert artifact["parts"] == [{"text": WHOLE, **described}, {"url": url, **described}]
    assert (artifact["artifactId"], artifact["name"], artifact["description"]) == (PLAN, "Plan", "a plan")
    assert artifact["extensions"] == [EXTENSION]
    assert "supersedes" not in artifact["metadata"]
    assert artifact["metadata"][EXTENSION]["handle"] == "plan_k3x9"


def test_a_further_version_is_an_artifact_of_its_own_that_says_what_it_supersedes(connection: Connection) -> None:
    connection.tell(versioned(1), plan())
    connection.tell(versioned(2), plan(2, "# Plan B\n"))
    connection.tell(versioned(3), plan(3, "# Plan C\n"))

    assert connection.sealed == [PLAN, f"{PLAN}@2", f"{PLAN}@3"]
    assert [each.metadata["supersedes"] for each in connection.task.artifacts[1:]] == [PLAN, f"{PLAN}@2"]
    assert connection.text(f"{PLAN}@3") == "# Plan C\n"


def test_what_is_written_is_appended_and_sealed_by_an_appended_last_chunk(connection: Connection) -> None:
    first = connection.tell(piece("# P"))
    second = connection.tell(piece("lan\n", 3))
    last = connection.tell(versioned(1), plan(sha256=SHA256))

    flags = [(f["artifactUpdate"]["append"], f["artifactUpdate"]["lastChunk"]) for f in (*first, *second, *last)]
    assert flags == [(False, False), (True, False), (True, True)]
    assert connection.text() == WHOLE
    assert connection.sealed == [PLAN]
    assert MessageToDict(connection.task.artifacts[0].metadata)[EXTENSION]["status"] == "ready"


def test_what_was_stored_otherwise_than_it_was_written_replaces_it(connection: Connection) -> None:
    connection.tell(piece("# P"))
    (last,) = connection.tell(versioned(1), plan(1, "# Merged\n", sha256="1" * 64))

    assert (last["artifactUpdate"]["append"], last["artifactUpdate"]["lastChunk"]) == (False, True)
    assert connection.text() == "# Merged\n"


def test_a_revision_that_another_overtakes_writes_nothing_after_the_seal(connection: Connection) -> None:
    connection.tell(versioned(1), plan())
    connection.tell(piece("# B"), plan())
    connection.tell(versioned(2), plan(2, "# Theirs\n"))
    assert connection.tell(piece(" and more", 3)) == []
    connection.tell(versioned(3), plan(3, "# B and more"))

    assert connection.sealed == [PLAN, f"{PLAN}@2", f"{PLAN}@3"]
    assert connection.text(f"{PLAN}@2") == "# Theirs\n"
    assert connection.text(f"{PLAN}@3") == "# B and more"


def test_the_text_so_far_makes_the_artifact_anew(connection: Connection) -> None:
    connection.tell(piece("# P"))
    connection.tell(piece("# Plan"))
    connection.tell(piece("\n", 6))
    connection.tell(versioned(1), plan(sha256=SHA256))

    assert connection.text() == WHOLE


def test_whoever_comes_back_in_the_middle_gets_all_of_it() -> None:
    before = Connection()
    before.tell(piece("# P"))
    after = Connection(is_resumed=True)
    after.task = before.task
    after.tell(versioned(1), plan(sha256=SHA256))

    assert after.text() == WHOLE


def test_pieces_without_their_beginning_are_left_out(connection: Connection) -> None:
    assert connection.tell(piece("lan", 3)) == []


def test_text_that_was_stored_just_now_is_no_further_version(connection: Connection) -> None:
    connection.tell(versioned(1), plan(sha256=SHA256))

    assert connection.tell(piece(WHOLE), plan(sha256=SHA256)) == []
    assert connection.tell(piece("# Another"), plan(sha256=SHA256)) != []


def test_all_else_is_metadata_of_a_status(connection: Connection) -> None:
    marked = happened("artifact-state-changed", changed="state", state="final")
    (state,) = connection.tell(marked, plan(state="final", labels=["x"]))
    (failed,) = connection.tell(happened("artifact-failed", code="broken_off"))
    (expired,) = connection.tell(happened("artifact-expired", reason="removed"))
    (run,) = connection.tell(ran("execution-finished", status="succeeded"))
    (output,) = connection.tell(printed("hi\ud800"))

    told = [each["statusUpdate"]["metadata"][EXTENSION] for each in (state, failed, expired, run, output)]
    assert [each["type"] for each in told] == [
        "artifact-state-changed",
        "artifact-failed",
        "artifact-expired",
        "execution-finished",
        "execution-output",
    ]
    assert (told[0]["state"], told[0]["labels"]) == ("final", ["x"])
    assert told[4]["text"] == "hi?"
    assert connection.tell(settled()) == []


def test_of_a_version_that_has_gone_since_nothing_is_told(connection: Connection) -> None:
    assert connection.tell(versioned(1), None) == []


def test_content_that_is_too_long_to_show_is_told_by_its_address(connection: Connection) -> None:
    shown = plan()
    del shown["version"]["content"]
    (frame,) = connection.tell(versioned(1), shown)

    assert ["url" in part for part in frame["artifactUpdate"]["artifact"]["parts"]] == [True]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("content", "spelled"),
    [
        ({"a": [1, 0.5, None, True, "é"]}, "data"),
        ([], "data"),
        (nested(DEEPEST - 1), "data"),
        (nested(DEEPEST), "text"),
        (nested(200), "text"),
        ({"a": 2**53 - 1}, "data"),
        ({"a": [2**53]}, "text"),
        ({"a": -(10**400)}, "text"),
        (None, "text"),
        (True, "text"),
        ("a text", "text"),
        (7, "text"),
    ],
)
def test_structured_content_is_data_where_that_is_exact(connection: Connection, content: Any, spelled: str) -> None:
    stored = json.dumps(content, ensure_ascii=False)
    shown = plan(1, content)
    shown["version"] |= {"mediaType": "application/json", "size": len(stored.encode())}
    (frame,) = connection.tell(versioned(1), shown)

    part = connection.task.artifacts[0].parts[0]
    assert spelled in frame["artifactUpdate"]["artifact"]["parts"][0]
    read = MessageToDict(part)["data"] if spelled == "data" else json.loads(part.text)
    assert read == content


def test_text_that_looks_like_json_is_told_as_it_is(connection: Connection) -> None:
    shown = plan(1, '{"a": 1}')
    shown["version"] |= {"mediaType": "application/json", "size": 8}
    connection.tell(versioned(1), shown)

    assert connection.text() == '{"a": 1}'


def test_long_text_of_which_one_is_told_late_is_one_chunk_and_sealed_with_what_follows(connection: Connection) -> None:
    assert connection.tell(replace(piece("# P"), more=4)) == []
    assert connection.tell(piece("la", offset=3)) == []
    (frame,) = connection.tell(piece("n\n", offset=5))
    assert frame["artifactUpdate"]["append"] is False
    connection.tell(versioned(1), plan(sha256=SHA256))
    assert connection.text() == WHOLE
    assert connection.sealed == [PLAN]


def test_long_text_of_which_one_is_told_when_it_has_just_been_stored_is_no_further_version(
    connection: Connection,
) -> None:
    stored = plan(sha256=SHA256)
    connection.tell(versioned(1), stored)
    assert connection.tell(replace(piece("# P"), more=4), stored) == []
    assert connection.tell(piece("lan\n", offset=3)) == []
    # The control: text that is none of it is the next version.
    assert connection.tell(replace(piece("# P"), more=4), stored) == []
    (frame,) = connection.tell(piece("lot\n", offset=3))
    assert frame["artifactUpdate"]["artifact"]["artifactId"] == f"{PLAN}@2"
