"""The chunks of a UI message stream; the AI SDK's own reader is asked in `tests/integration/test_wires_in_node.py`."""

import pytest
from happenings import PLAN, RUN, happened, piece, plan, printed, ran, settled, versioned

from handiwork.wires.ai_sdk import AiSdk
from handiwork.wires.wire import Look


@pytest.fixture
def wire() -> AiSdk:
    return AiSdk("s")


def test_the_message_is_the_same_on_every_connection(wire: AiSdk) -> None:
    assert wire.begin() == AiSdk("s").begin() == [{"type": "start", "messageId": "handiwork:s"}]


def test_an_artifact_is_one_part_that_is_always_whole(wire: AiSdk) -> None:
    first = wire.tell(versioned(1), plan())
    second = wire.tell(versioned(2), plan(2, "# Plan B\n"))

    assert first == [{"type": "data-artifact", "id": PLAN, "data": {**plan(), "status": "ready"}}]
    assert second == [{"type": "data-artifact", "id": PLAN, "data": {**plan(2, "# Plan B\n"), "status": "ready"}}]


def test_what_the_client_knows_already_is_not_told_again(wire: AiSdk) -> None:
    wire.tell(versioned(1), plan(3))

    assert wire.tell(versioned(3), plan(3)) == []
    assert wire.look(versioned(2)) is None
    assert wire.look(versioned(3)) == Look(artifact_id=PLAN)


def test_what_is_being_written_passes_by(wire: AiSdk) -> None:
    (chunk,) = wire.tell(piece("# P\ud800"), None)

    assert (chunk["type"], chunk["transient"]) == ("data-artifact-delta", True)
    assert {"artifactId": PLAN, "artifactType": "markdown", "offset": 0, "text": "# P?"}.items() <= chunk[
        "data"
    ].items()
    assert "id" not in chunk
    assert wire.look(piece("# P")) is None
    assert wire.tell(settled(), None) == []


def test_what_failed_or_expired_is_told_as_such(wire: AiSdk) -> None:
    failed = wire.tell(happened("artifact-failed", code="broken_off"), None)
    expired = wire.tell(happened("artifact-expired", reason="removed"), None)

    assert failed[0]["data"] == {"id": PLAN, "status": "failed", "code": "broken_off"}
    assert expired[0]["data"] == {"id": PLAN, "status": "expired"}
    assert wire.look(happened("artifact-expired", reason="removed")) is None


def test_a_run_is_a_part_and_its_output_passes_by(wire: AiSdk) -> None:
    begun = wire.tell(ran("execution-started"), None)
    ended = wire.tell(ran("execution-finished", status="failed"), None)
    (output,) = wire.tell(printed("hi\n"), None)

    assert begun == [{"type": "data-execution", "id": RUN, "data": {"id": RUN, "status": "running"}}]
    assert ended == [{"type": "data-execution", "id": RUN, "data": {"id": RUN, "status": "failed"}}]
    assert (output["type"], output["transient"], output["data"]["text"]) == ("data-execution-output", True, "hi\n")


def test_the_stream_ends_as_the_protocol_has_it(wire: AiSdk) -> None:
    assert wire.headers == {"x-vercel-ai-ui-message-stream": "v1"}
    assert wire.end() == [{"type": "finish"}]
    assert wire.break_off("resync", "Too old") == [{"type": "error", "errorText": "Too old (resync)"}]
    assert wire.last_words == b"data: [DONE]\n\n"
