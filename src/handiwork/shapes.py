"""The JSON shapes of the contract: an artifact, an execution, an isolation report. Pure functions, camelCase keys."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from handiwork.events import Delta, Event, Output, Passing
from handiwork.model import Action, Artifact, Execution, Isolation, SessionSummary, Version

Shape = dict[str, Any]


def artifact_shape(artifact: Artifact) -> Shape:
    """An artifact on the wire, with the version that it carries."""
    return {
        "id": artifact.id,
        "handle": artifact.handle,
        "type": artifact.type,
        "title": artifact.title,
        "state": artifact.state,
        "facts": dict(artifact.facts),
        "session": artifact.scope.session,
        "user": artifact.scope.user,
        "createdAt": time_shape(artifact.created_at),
        "updatedAt": time_shape(artifact.updated_at),
        "expiresAt": None if artifact.expires_at is None else time_shape(artifact.expires_at),
        "held": artifact.held,
        "labels": list(artifact.labels),
        "version": version_shape(artifact.version),
    }


def action_shape(action: Action) -> Shape:
    """A row of the ledger on the wire."""
    return {
        "id": action.id,
        "action": action.name,
        "status": action.status,
        "artifactId": action.artifact_id,
        "version": action.version,
        "sha256": action.sha256,
        "params": dict(action.params),
        "principal": action.principal.kind,
        "decidedBy": None if action.decided_by is None else action.decided_by.kind,
        "idempotencyKey": action.idempotency_key,
        "proposedAt": time_shape(action.proposed_at),
        "expiresAt": None if action.expires_at is None else time_shape(action.expires_at),
        "startedAt": None if action.started_at is None else time_shape(action.started_at),
        "finishedAt": None if action.finished_at is None else time_shape(action.finished_at),
        "outcome": None if action.outcome is None else dict(action.outcome),
    }


def made_shape(artifact: Artifact, *, path: str | None = None) -> Shape:
    """An artifact as a run lists it, `path` being where the file was put, if it was."""
    shape: Shape = {
        "id": artifact.id,
        "handle": artifact.handle,
        "name": artifact.name,
        "type": artifact.type,
        "category": artifact.category,
        "mediaType": artifact.media_type,
        "size": artifact.size,
        "sha256": artifact.sha256,
    }
    return shape if path is None else shape | {"path": path}


def execution_shape(execution: Execution, *, paths: Mapping[str, str] | None = None) -> Shape:
    """The object of `run --json`; `paths` are places of files by artifact id."""
    outcome = execution.outcome
    error = outcome.error
    places = paths or {}
    return {
        "id": execution.id,
        "status": outcome.status,
        "exitCode": outcome.exit_code,
        "signal": outcome.signal,
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "stdoutTruncated": outcome.stdout_truncated,
        "stderrTruncated": outcome.stderr_truncated,
        "error": error
        and {
            "type": error.type,
            "message": error.message,
            "line": error.line,
            "traceback": error.traceback,
            "hint": error.hint,
        },
        "violations": [
            {"line": v.line, "column": v.column, "rule": v.rule, "message": v.message} for v in outcome.violations
        ],
        "durationMs": round(outcome.duration_ms, 1),
        "cpuMs": round(outcome.cpu_ms, 1),
        "peakMemoryBytes": outcome.peak_memory_bytes,
        "isolation": outcome.isolation and isolation_shape(outcome.isolation),
        "artifacts": [made_shape(a, path=places.get(a.id)) for a in execution.artifacts],
        "refused": [
            {"name": r.name, "reason": r.reason} | ({"hint": r.hint} if r.hint else {}) for r in outcome.refused
        ],
    }


def event_shape(event: Event) -> Shape:
    """An event on every wire: what it tells beside its own facts are numbers, ids and states."""
    return {
        "seq": event.seq,
        "id": event.id,
        "type": event.type,
        "session": event.scope.session,
        "artifactId": event.artifact_id,
        "executionId": event.execution_id,
        "at": time_shape(event.at),
        **event.facts,
    }


def passing_shape(passing: Passing) -> Shape:
    """What passes by, on every wire: without `seq` and `id`, since nobody can come back for it."""
    return _delta_shape(passing) if isinstance(passing, Delta) else _output_shape(passing)


def _delta_shape(delta: Delta) -> Shape:
    return {
        "type": "artifact-delta",
        "session": delta.scope.session,
        "artifactId": delta.artifact_id,
        "artifactType": delta.artifact_type,
        "offset": delta.offset,
        "text": delta.text,
    }


def _output_shape(output: Output) -> Shape:
    return {
        "type": "execution-output",
        "session": output.scope.session,
        "executionId": output.execution_id,
        "stream": output.stream,
        "offset": output.offset,
        "text": output.text,
    }


def session_shape(session: SessionSummary) -> Shape:
    return {
        "session": session.session,
        "createdAt": time_shape(session.created_at),
        "updatedAt": time_shape(session.updated_at),
        "artifacts": session.artifacts,
        "bytes": session.size,
    }


def isolation_shape(isolation: Isolation) -> Shape:
    return {"level": isolation.level, "memoryBy": isolation.memory_by, "walls": dict(isolation.walls)}


def version_shape(version: Version) -> Shape:
    """A version on the wire; whoever has its content at hand puts it in as `content`, which may be `null`."""
    provenance = version.provenance
    return {
        "number": version.number,
        "mediaType": version.media_type,
        "name": version.name,
        "category": version.category,
        "size": version.size,
        "sha256": version.sha256,
        "summary": version.summary,
        "summaryData": dict(version.summary_data),
        "language": version.language,
        "metadata": dict(version.metadata),
        "createdAt": time_shape(version.created_at),
        "provenance": {
            "principal": provenance.principal.kind,
            "executionId": provenance.execution_id,
            "toolCallId": provenance.tool_call_id,
            "requestId": provenance.request_id,
            "inputs": list(provenance.inputs),
            "reason": provenance.reason,
            "title": provenance.title,
        },
    }


def time_shape(moment: datetime) -> str:
    """A moment as RFC 3339 has it, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
