import json
from datetime import UTC, datetime

import pytest

from handiwork.errors import CursorTooOld
from handiwork.events import Event, Output, Passing
from handiwork.ids import ArtifactId, EventId, ExecutionId
from handiwork.model import Scope
from handiwork.shapes import event_shape
from handiwork.wires.frames import (
    HEARTBEAT,
    RETRY,
    Frames,
    PassingFrames,
    message,
    passing_message,
    resync_reason,
    server_sent,
    server_sent_passing,
    server_sent_resync,
)

LARGEST = 2**53 - 1


def happened(seq: int = 7, *, session: str = "s") -> Event:
    return Event(
        seq=seq,
        id=EventId(f"evt_{seq}"),
        scope=Scope(session=session),
        type="artifact-created",
        at=datetime(2026, 3, 1, 12, 0, 0, 5000, tzinfo=UTC),
        artifact_id=ArtifactId("art_1"),
        facts={"artifactType": "file"},
    )


def test_a_message_is_the_shape_of_the_event_as_json() -> None:
    event = happened()

    assert json.loads(message(event)) == event_shape(event)


def test_a_server_sent_event_has_the_cursor_as_id_and_the_type_as_name() -> None:
    event = happened()

    assert server_sent(event) == f"id: 7\nevent: artifact-created\ndata: {message(event)}\n\n".encode()


@pytest.mark.parametrize("session", ["a\nid: 99", "a\r\ndata: x", "a\u2028b", "日本", "\x85"])
def test_no_name_breaks_out_of_its_line(session: str) -> None:
    frame = server_sent(happened(session=session)).decode("ascii")

    assert frame.splitlines() == [*frame.removesuffix("\n\n").split("\n"), ""]
    assert len(frame.splitlines()) == 4
    assert json.loads(frame.splitlines()[2].removeprefix("data: "))["session"] == session


@pytest.mark.parametrize("text", ["a\n\nid: 99\n", "a\r\ndata: x", "\x1b[2J", "日本", "\ud800"])
def test_output_has_no_id_and_does_not_break_out_of_its_line(text: str) -> None:
    output = Output(scope=Scope(session="s"), execution_id=ExecutionId("exc_1"), stream="stderr", offset=7, text=text)

    frame = server_sent_passing(output).decode("ascii")

    assert frame == f"event: execution-output\ndata: {passing_message(output)}\n\n"
    assert len(frame.splitlines()) == 3
    assert json.loads(passing_message(output)) == {
        "type": "execution-output",
        "session": "s",
        "executionId": "exc_1",
        "stream": "stderr",
        "offset": 7,
        "text": text,
    }


def test_a_resync_has_no_id_and_tells_where_the_log_stands() -> None:
    failure = CursorTooOld(3, oldest=5, last=9)

    assert server_sent_resync(failure) == b'event: resync\ndata: {"code":"resync","oldest":5,"last":9}\n\n'
    assert json.loads(resync_reason(failure)) == {"code": "resync", "oldest": 5, "last": 9}


def test_the_reason_of_a_close_fits_into_its_frame_whatever_the_numbers() -> None:
    assert len(resync_reason(CursorTooOld(LARGEST, oldest=LARGEST, last=LARGEST))) <= 123


def test_what_is_no_event_ends_with_an_empty_line_too() -> None:
    assert RETRY == b"retry: 1000\n\n"
    assert HEARTBEAT == b":\n\n"


def test_a_frame_is_made_once_however_many_ask_for_it() -> None:
    made: list[int] = []

    def make(event: Event) -> str:
        made.append(event.seq)
        return message(event)

    frames = Frames(make)
    asked = [frames.of(happened(seq)) for _ in range(1000) for seq in (1, 2)]

    assert made == [1, 2]
    assert asked[::1000] == [message(happened(1)), message(happened(1))]


def test_only_the_newest_frames_are_kept() -> None:
    made: list[int] = []

    def make(event: Event) -> bytes:
        made.append(event.seq)
        return b"frame"

    frames = Frames(make, most=3)
    for seq in (1, 2, 3, 4, 4, 2, 1):
        frames.of(happened(seq))

    assert made == [1, 2, 3, 4, 1]


def test_the_frame_of_what_passes_by_is_made_once_for_all_and_never_taken_for_that_of_another() -> None:
    made: list[str] = []

    def make(passing: Passing) -> str:
        made.append(passing.text)
        return passing.text

    frames, shared = PassingFrames(make, most_bytes=5), output("a")
    assert [frames.of(shared) for _ in range(100)] == ["a"] * 100
    assert made == ["a"]
    # What is let go of gives its place to others.
    assert [frames.of(output(text)) for text in ("bbb", "cc", "ddddddd", "e")] == ["bbb", "cc", "ddddddd", "e"]
    assert frames.of(shared) == "a"
    assert made == ["a", "bbb", "cc", "ddddddd", "e", "a"]


def output(text: str) -> Output:
    return Output(scope=Scope(session="s"), execution_id=ExecutionId("exc_1"), stream="stdout", offset=0, text=text)
