"""Artifacts and runs as a store is given them, scopes that do not see each other, and a clock that a test moves.

Nothing is stored here: `sqlite_store` opens a real store.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from handiwork.ids import ArtifactId, ExecutionId, Handle
from handiwork.media.places import Place
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
    Status,
    Version,
    Violation,
)
from handiwork.store.keys import blob_key
from handiwork.store.outlines import Outline
from handiwork.store.pieces import OUTLINED_BYTES, PIECE_BYTES
from handiwork.store.records import Filed

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
ADA = Scope(user="ada", session="s-1")
FOREIGN = [
    Scope(user="ada", session="s-2"),
    Scope(user="bo", session="s-1"),
    Scope(tenant="other", user="ada", session="s-1"),
]


@dataclass(slots=True)
class Hands:
    """A clock whose hands the test moves."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class InVain:
    """Bytes that set out and never arrive."""

    failure: Exception
    has_begun: bool = False

    def begin(self) -> None:
        self.has_begun = True

    def wait(self) -> None:
        assert self.has_begun
        raise self.failure


def filed(
    name: str = "chart", *, scope: Scope = ADA, at: datetime = NOON, execution: str | None = None, size: int = 10
) -> Filed:
    artifact_id = ArtifactId(f"art_{name}")
    version = Version(
        artifact_id=artifact_id,
        number=1,
        name=f"{name}.png",
        media_type="image/png",
        category="image",
        size=size,
        sha256="0" * 64,
        created_at=at,
        summary="Größe 図",
        summary_data={"total_count": 3, "fields": ["Größe"], "preview": [{"Größe": None}]},
        language="de",
        metadata={"rows": 3, "nested": {"list": [1, None, "x"]}},
        provenance=Provenance(
            principal=Principal(kind="agent", id="writer"),
            execution_id=ExecutionId(execution) if execution else None,
            tool_call_id="call-1",
            request_id="req-1",
            inputs=("art_in",),
        ),
    )
    artifact = Artifact(
        id=artifact_id,
        handle=Handle(f"{name}_k3x9"),
        scope=scope,
        type="file",
        title=name.title(),
        created_at=at,
        updated_at=at,
        expires_at=at + timedelta(days=7),
        version=version,
        state="draft",
        labels=("q3", "sales"),
    )
    return Filed(artifact=artifact, blob_key=blob_key(scope, artifact_id, 1, version.name))


def outlined(entry: Filed) -> Filed:
    """Return an entry of long content with what is to be kept of it; nobody has its bytes."""
    size = OUTLINED_BYTES + 1
    version = replace(entry.artifact.version, size=size)
    outline = Outline(pieces=bytes(range(32)) * -(-size // PIECE_BYTES))
    outline.places.learn("rows,", [Place(PIECE_BYTES + 7, 300), Place(3 * PIECE_BYTES, 900)])
    return replace(entry, artifact=replace(entry.artifact, version=version), outline=outline)


def execution(id: str = "exc_1", *, status: Status = "failed", scope: Scope = ADA) -> Execution:
    outcome = Outcome(
        status=status,
        exit_code=1,
        signal=None,
        stdout="a\0b\n",
        stderr="",
        stdout_truncated=False,
        stderr_truncated=True,
        error=ProgramError(type="ValueError", message="no", line=3),
        violations=(Violation(line=1, column=0, rule="import", message="no"),),
        duration_ms=1.5,
        cpu_ms=1.25,
        peak_memory_bytes=7,
        isolation=Isolation(level="full", memory_by="cgroup", walls={"network": True}),
        refused=(Refused(name="evil", reason="symlink"),),
    )
    return Execution(id=ExecutionId(id), scope=scope, created_at=NOON, outcome=outcome)


def with_handle_of(entry: Filed, other: Filed) -> Filed:
    return replace(entry, artifact=replace(entry.artifact, handle=other.artifact.handle))
