"""The frames of AG-UI, by the models and the validator of the protocol."""

from collections.abc import Sequence
from typing import Any

import jsonpatch
import pytest
from ag_ui.core import Event as AgUiEvent
from ag_ui_validate.pytest_plugin import assert_valid_agui
from happenings import PLAN, RUN, happened, piece, plan, printed, ran, settled, versioned
from pydantic import TypeAdapter

from handiwork.events import Told
from handiwork.wires.ag_ui import AgUi
from handiwork.wires.wire import REMEMBERED, Look

_EVENTS: TypeAdapter[Any] = TypeAdapter(AgUiEvent)


class Run:
    """One connection, and what its client makes of it."""

    def __init__(self) -> None:
        self.wire = AgUi("s", run_id="run_1")
        self.frames = list(self.wire.begin())
        self.activities: dict[str, Any] = {}

    def tell(self, told: Told, seen: dict[str, Any] | None = None) -> Sequence[dict[str, Any]]:
        looks = self.wire.look(told) is not None
        frames = self.wire.tell(told, seen if looks else None)
        self.frames += frames
        for frame in frames:
            if frame["type"] == "ACTIVITY_SNAPSHOT":
                self.activities[frame["messageId"]] = frame["content"]
            if frame["type"] == "ACTIVITY_DELTA":
                self.activities[frame["messageId"]] = jsonpatch.apply_patch(
                    self.activities[frame["messageId"]], frame["patch"]
                )
        return frames

    @property
    def plan(self) -> Any:
        return self.activities[PLAN]


@pytest.fixture
def run() -> Run:
    return Run()


def test_a_whole_run_is_valid_by_the_protocols_own_models_and_validator(run: Run) -> None:
    run.tell(piece("# P"))
    run.tell(piece("lan\n", 3))
    run.tell(settled(), plan())
    run.tell(versioned(1), plan())
    run.tell(ran("execution-started"))
    run.tell(printed("hi\n"))
    run.tell(ran("execution-finished", status="succeeded"))
    run.tell(versioned(2), plan(2, "# Plan B\n"))
    run.tell(happened("artifact-state-changed", changed="labels"), plan(2, "# Plan B\n", labels=["x"]))
    run.tell(happened("artifact-expired", reason="removed"))
    run.frames += run.wire.end()

    for frame in run.frames:
        _EVENTS.validate_python(frame)
    assert_valid_agui(run.frames, max_warnings=0)
    assert run.frames[0] == {"type": "RUN_STARTED", "threadId": "s", "runId": "run_1", "protocolVersion": "1.0"}
    assert run.frames[-1] == {"type": "RUN_FINISHED", "threadId": "s", "runId": "run_1"}


def test_the_validator_does_find_a_patch_without_its_end() -> None:
    with pytest.raises(AssertionError, match="AGUI"):
        assert_valid_agui([{"type": "ACTIVITY_DELTA", "messageId": PLAN, "activityType": "artifact", "patch": 7}])


def test_the_first_that_is_told_of_an_artifact_is_a_snapshot_and_what_follows_are_patches(run: Run) -> None:
    first = run.tell(versioned(1), plan())
    second = run.tell(versioned(2), plan(2, "# Plan B\n"))

    assert [frame["type"] for frame in (*first, *second)] == ["ACTIVITY_SNAPSHOT", "ACTIVITY_DELTA"]
    assert [each["path"] for each in second[0]["patch"]] == ["/version", "/links"]
    assert run.plan == {**plan(2, "# Plan B\n"), "status": "ready", "pieces": []}


def test_whoever_comes_back_gets_a_snapshot_first(run: Run) -> None:
    (frame,) = run.tell(happened("artifact-state-changed", seq=7, changed="labels"), plan(labels=["x"]))

    assert frame["type"] == "ACTIVITY_SNAPSHOT"


def test_what_is_written_grows_by_pieces_and_then_is_content(run: Run) -> None:
    run.tell(piece("# P"))
    run.tell(piece("lan\n", 3))
    assert run.plan == {"id": PLAN, "type": "markdown", "status": "writing", "pieces": ["# P", "lan\n"]}

    run.tell(versioned(1), plan())
    assert run.plan == {**plan(), "status": "ready", "pieces": []}


def test_a_revision_that_is_written_leaves_what_there_is_until_it_is_done(run: Run) -> None:
    run.tell(versioned(1), plan())
    run.tell(piece("# B"))
    assert run.plan == {**plan(), "status": "writing", "pieces": ["# B"]}

    run.tell(happened("artifact-failed", code="broken_off"), plan())
    assert run.plan == {**plan(), "status": "ready", "pieces": []}


def test_a_revision_is_seen_by_who_has_just_come_with_what_it_revises(run: Run) -> None:
    assert run.wire.look(piece("# B")) == Look(artifact_id=PLAN)
    run.tell(piece("# B"), plan())

    assert run.plan == {**plan(), "status": "writing", "pieces": ["# B"]}


def test_the_text_so_far_replaces_the_pieces(run: Run) -> None:
    run.tell(piece("# P"))
    run.tell(piece("# Plan"))
    run.tell(piece("\n", 6))

    assert run.plan["pieces"] == ["# Plan", "\n"]


def test_pieces_without_their_beginning_are_left_out(run: Run) -> None:
    assert run.tell(piece("lan", 3)) == []
    run.tell(piece("# P"))
    run.tell(versioned(1), plan())

    assert run.tell(piece("lan", 3)) == []
    assert run.plan["pieces"] == []


def test_writing_that_comes_to_nothing_is_over(run: Run) -> None:
    run.tell(versioned(1), plan())
    run.tell(piece("# P"))
    run.tell(settled(), plan())
    assert run.plan == {**plan(), "status": "ready", "pieces": []}
    assert run.tell(settled(), plan()) == []


def test_what_failed_at_first_is_told_as_failed(run: Run) -> None:
    run.tell(piece("# P"))
    run.tell(settled(), None)
    assert run.plan == {"id": PLAN, "status": "failed", "pieces": []}

    run.tell(happened("artifact-failed", code="broken_off"), None)
    assert run.plan == {"id": PLAN, "status": "failed", "code": "broken_off", "pieces": []}


def test_of_what_has_expired_nothing_is_left_but_its_id(run: Run) -> None:
    run.tell(versioned(1), plan())
    run.tell(happened("artifact-expired", reason="retention"))

    assert run.plan == {"id": PLAN, "status": "expired", "pieces": []}


def test_what_the_client_knows_already_is_not_told_again(run: Run) -> None:
    run.tell(versioned(1), plan(3))

    assert run.tell(versioned(1), plan(3)) == []
    assert run.wire.look(versioned(2)) is None, "it was newer when it was looked at"
    assert run.wire.look(versioned(3)) is not None


def test_a_run_is_an_activity_too(run: Run) -> None:
    run.tell(ran("execution-started"))
    (patch,) = run.tell(ran("execution-finished", status="timed_out"))

    assert patch["patch"] == [{"op": "replace", "path": "/status", "value": "timed_out"}]
    assert run.activities[RUN] == {"id": RUN, "status": "timed_out"}
    assert "execution.output" in [frame.get("name") for frame in run.tell(printed("\ud800"))]


def test_an_artifact_that_is_known_no_more_is_told_from_the_start(run: Run) -> None:
    run.tell(versioned(1), plan())
    for number in range(REMEMBERED):
        run.wire.list({**plan(), "id": f"art_{number}"})

    (frame,) = run.tell(versioned(2), plan(2))
    assert frame["type"] == "ACTIVITY_SNAPSHOT"


def test_a_stream_that_cannot_go_on_is_an_error_of_the_run(run: Run) -> None:
    assert run.wire.break_off("resync", "Too old") == [{"type": "RUN_ERROR", "message": "Too old", "code": "resync"}]
