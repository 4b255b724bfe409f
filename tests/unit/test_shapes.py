from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

from handiwork.events import Event
from handiwork.ids import ArtifactId, EventId, ExecutionId, Handle
from handiwork.model import (
    Artifact,
    Execution,
    Isolation,
    Outcome,
    Principal,
    ProgramError,
    Provenance,
    Refused,
    Scope,
    SessionSummary,
    Version,
    Violation,
)
from handiwork.shapes import artifact_shape, event_shape, execution_shape, isolation_shape, made_shape, session_shape

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 891_234, tzinfo=UTC)
SCOPE = Scope(tenant="t", user="ada", session="conv-42")
VERSION = Version(
    artifact_id=ArtifactId("art_1"),
    number=2,
    name="chart.png",
    media_type="image/png",
    category="image",
    size=10,
    sha256="ab",
    created_at=MOMENT,
    summary="a chart",
    metadata={"path": "a/chart.png"},
    provenance=Provenance(
        principal=Principal(kind="agent", id="ada"),
        execution_id=ExecutionId("exc_1"),
        tool_call_id="call",
        request_id="req",
        inputs=("art_0@1",),
    ),
)
ARTIFACT = Artifact(
    id=ArtifactId("art_1"),
    handle=Handle("chart_k3x9"),
    scope=SCOPE,
    type="file",
    title="Chart",
    created_at=MOMENT,
    updated_at=MOMENT.astimezone(timezone(timedelta(hours=2))),
    expires_at=MOMENT + timedelta(days=7),
    version=VERSION,
    labels=("final",),
)
OUTCOME = Outcome(
    status="failed",
    exit_code=1,
    signal=None,
    stdout="out",
    stderr="err",
    stdout_truncated=False,
    stderr_truncated=True,
    error=ProgramError(type="KeyError", message="'a'", line=3, traceback="Traceback", hint="Look."),
    violations=(Violation(line=1, column=4, rule="call", message="no"),),
    duration_ms=81.23,
    cpu_ms=74.06,
    peak_memory_bytes=61_865_984,
    isolation=Isolation(level="full", memory_by="cgroup", walls={"seccomp": True}),
    refused=(Refused(name="evil", reason="symlink"), Refused(name="a.mp4", reason="unsupported_format", hint="GIF")),
)
EXECUTION = Execution(id=ExecutionId("exc_1"), scope=SCOPE, created_at=MOMENT, outcome=OUTCOME, artifacts=(ARTIFACT,))


def test_an_artifact_on_the_wire() -> None:
    assert artifact_shape(ARTIFACT) == {
        "id": "art_1",
        "handle": "chart_k3x9",
        "type": "file",
        "title": "Chart",
        "state": None,
        "facts": {},
        "session": "conv-42",
        "user": "ada",
        "createdAt": "2026-03-04T05:06:07.891Z",
        "updatedAt": "2026-03-04T05:06:07.891Z",
        "expiresAt": "2026-03-11T05:06:07.891Z",
        "held": False,
        "labels": ["final"],
        "version": {
            "number": 2,
            "mediaType": "image/png",
            "name": "chart.png",
            "category": "image",
            "size": 10,
            "sha256": "ab",
            "summary": "a chart",
            "summaryData": {},
            "language": None,
            "metadata": {"path": "a/chart.png"},
            "createdAt": "2026-03-04T05:06:07.891Z",
            "provenance": {
                "principal": "agent",
                "executionId": "exc_1",
                "toolCallId": "call",
                "requestId": "req",
                "inputs": ["art_0@1"],
                "reason": None,
                "title": None,
            },
        },
    }


def test_an_artifact_that_is_pinned_says_so() -> None:
    assert artifact_shape(replace(ARTIFACT, held=True))["held"] is True


def test_an_event_on_the_wire_has_its_own_facts_beside_its_numbers_and_ids() -> None:
    event = Event(
        seq=7,
        id=EventId("evt_1"),
        scope=SCOPE,
        type="artifact-created",
        at=MOMENT,
        artifact_id=ArtifactId("art_1"),
        facts={"artifactType": "file", "version": 1},
    )
    assert event_shape(event) == {
        "seq": 7,
        "id": "evt_1",
        "type": "artifact-created",
        "session": "conv-42",
        "artifactId": "art_1",
        "executionId": None,
        "at": "2026-03-04T05:06:07.891Z",
        "artifactType": "file",
        "version": 1,
    }


def test_a_session_on_the_wire() -> None:
    later = MOMENT + timedelta(days=1)
    session = SessionSummary(session="conv-42", created_at=MOMENT, updated_at=later, artifacts=3, size=4096)
    assert session_shape(session) == {
        "session": "conv-42",
        "createdAt": "2026-03-04T05:06:07.891Z",
        "updatedAt": "2026-03-05T05:06:07.891Z",
        "artifacts": 3,
        "bytes": 4096,
    }


def test_a_run_that_waits_has_no_walls_yet() -> None:
    shape = execution_shape(replace(EXECUTION, outcome=Outcome(status="queued"), artifacts=()))
    assert (shape["status"], shape["isolation"], shape["exitCode"]) == ("queued", None, None)


def test_an_artifact_that_is_kept_for_ever_has_no_end() -> None:
    assert artifact_shape(replace(ARTIFACT, expires_at=None))["expiresAt"] is None


def test_a_run_as_the_command_line_prints_it() -> None:
    assert execution_shape(EXECUTION, paths={"art_1": "out/chart.png"}) == {
        "id": "exc_1",
        "status": "failed",
        "exitCode": 1,
        "signal": None,
        "stdout": "out",
        "stderr": "err",
        "stdoutTruncated": False,
        "stderrTruncated": True,
        "error": {"type": "KeyError", "message": "'a'", "line": 3, "traceback": "Traceback", "hint": "Look."},
        "violations": [{"line": 1, "column": 4, "rule": "call", "message": "no"}],
        "durationMs": 81.2,
        "cpuMs": 74.1,
        "peakMemoryBytes": 61_865_984,
        "isolation": {"level": "full", "memoryBy": "cgroup", "walls": {"seccomp": True}},
        "artifacts": [
            {
                "id": "art_1",
                "handle": "chart_k3x9",
                "name": "chart.png",
                "type": "file",
                "category": "image",
                "mediaType": "image/png",
                "size": 10,
                "sha256": "ab",
                "path": "out/chart.png",
            }
        ],
        "refused": [
            {"name": "evil", "reason": "symlink"},
            {"name": "a.mp4", "reason": "unsupported_format", "hint": "GIF"},
        ],
    }


def test_a_run_that_succeeded_has_no_error_and_its_files_no_place() -> None:
    shape = execution_shape(replace(EXECUTION, outcome=replace(OUTCOME, error=None, refused=(), violations=())))
    assert (shape["error"], shape["refused"], shape["violations"]) == (None, [], [])
    assert "path" not in shape["artifacts"][0]
    assert made_shape(ARTIFACT) == shape["artifacts"][0]


def test_isolation_tells_every_wall() -> None:
    assert OUTCOME.isolation is not None
    assert isolation_shape(OUTCOME.isolation)["walls"] == {"seccomp": True}


def test_the_shortcuts_of_an_artifact_and_a_run_are_those_of_their_parts() -> None:
    short = (ARTIFACT.name, ARTIFACT.media_type, ARTIFACT.category, ARTIFACT.size, ARTIFACT.sha256)
    assert short == (VERSION.name, VERSION.media_type, VERSION.category, VERSION.size, VERSION.sha256)
    assert (EXECUTION.status, EXECUTION.ok, EXECUTION.stdout, EXECUTION.stderr) == ("failed", False, "out", "err")
    assert EXECUTION.error is OUTCOME.error
    assert {field.name for field in fields(ARTIFACT)} >= {"id", "handle", "scope"}
