"""The JSON shapes of the contract: an artifact, an execution, an isolation report. Pure functions, camelCase keys."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from handiwork.model import Artifact, Execution, Isolation, Version

Shape = dict[str, Any]


def artifact_shape(artifact: Artifact) -> Shape:
    """An artifact on the wire, with the version that it carries."""
    return {
        "id": artifact.id,
        "handle": artifact.handle,
        "type": artifact.type,
        "title": artifact.title,
        "state": artifact.state,
        "facts": {},
        "session": artifact.scope.session,
        "user": artifact.scope.user,
        "createdAt": _time(artifact.created_at),
        "updatedAt": _time(artifact.updated_at),
        "expiresAt": None if artifact.expires_at is None else _time(artifact.expires_at),
        "labels": list(artifact.labels),
        "version": _version_shape(artifact.version),
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
        "isolation": isolation_shape(outcome.isolation),
        "artifacts": [made_shape(a, path=places.get(a.id)) for a in execution.artifacts],
        "refused": [
            {"name": r.name, "reason": r.reason} | ({"hint": r.hint} if r.hint else {}) for r in outcome.refused
        ],
    }


def isolation_shape(isolation: Isolation) -> Shape:
    return {"level": isolation.level, "memoryBy": isolation.memory_by, "walls": dict(isolation.walls)}


def _version_shape(version: Version) -> Shape:
    provenance = version.provenance
    return {
        "number": version.number,
        "mediaType": version.media_type,
        "name": version.name,
        "category": version.category,
        "size": version.size,
        "sha256": version.sha256,
        "summary": version.summary,
        "summaryData": {},
        "language": version.language,
        "metadata": dict(version.metadata),
        "createdAt": _time(version.created_at),
        "provenance": {
            "principal": provenance.principal.kind,
            "executionId": provenance.execution_id,
            "toolCallId": provenance.tool_call_id,
            "requestId": provenance.request_id,
            "inputs": list(provenance.inputs),
        },
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
