"""Events, pieces and artifacts as a wire is told and shown them. Nothing is asserted here."""

from datetime import UTC, datetime
from typing import Any

from handiwork.events import Delta, Event, EventType, Output, Settled
from handiwork.ids import ArtifactId, EventId, ExecutionId
from handiwork.model import Scope

NOON = datetime(2026, 3, 1, 12, 0, 0, 5000, tzinfo=UTC)
SCOPE = Scope(session="s")
PLAN = ArtifactId("art_plan")
RUN = ExecutionId("exc_1")


def happened(type: EventType, *, seq: int = 1, **facts: str | int) -> Event:
    """Something about the plan."""
    return Event(seq=seq, id=EventId(f"evt_{seq}"), scope=SCOPE, type=type, at=NOON, artifact_id=PLAN, facts=facts)


def versioned(number: int, *, seq: int = 1) -> Event:
    """The plan was made, or made anew."""
    type_: EventType = "artifact-created" if number == 1 else "artifact-revised"
    return happened(type_, seq=seq, artifactType="markdown", version=number)


def ran(type: EventType, *, seq: int = 1, **facts: str) -> Event:
    return Event(seq=seq, id=EventId(f"evt_{seq}"), scope=SCOPE, type=type, at=NOON, execution_id=RUN, facts=facts)


def piece(text: str, offset: int = 0) -> Delta:
    return Delta(scope=SCOPE, artifact_id=PLAN, artifact_type="markdown", offset=offset, text=text)


def settled() -> Settled:
    return Settled(scope=SCOPE, artifact_id=PLAN)


def printed(text: str) -> Output:
    return Output(scope=SCOPE, execution_id=RUN, stream="stdout", offset=0, text=text)


def plan(number: int = 1, content: object = "# Plan\n", *, sha256: str = "0" * 64, **more: Any) -> dict[str, Any]:
    """The plan as it is shown at a version."""
    version: dict[str, Any] = {
        "number": number,
        "mediaType": "text/markdown",
        "name": "plan.md",
        "category": "text",
        "size": 7,
        "sha256": sha256,
        "summary": "a plan",
        "language": None,
        "content": content,
    }
    return {
        "id": PLAN,
        "handle": "plan_k3x9",
        "type": "markdown",
        "title": "Plan",
        "state": None,
        "facts": {},
        "labels": [],
        "version": version,
        "links": {"content": f"/api/v1/artifacts/{PLAN}/content?version={number}"},
        **more,
    }
