"""The nouns of Handiwork as frozen values. Nothing here reads, writes or decides; how they look is `notebook`'s."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from handiwork.ids import ActionId, ArtifactId, ExecutionId, Handle
from handiwork.notebook import Bundle, Card, Types
from handiwork.quantities import size_text

KIB = 1024
MIB = 1024 * KIB

PrincipalKind = Literal["user", "agent", "admin", "system"]
Level = Literal["full", "unprivileged", "none"]
MemoryBy = Literal["cgroup", "watch"]
Category = Literal["text", "document", "spreadsheet", "image", "data", "archive"]
Disposition = Literal["inline", "attachment"]
Status = Literal[
    "queued",
    "running",
    "succeeded",
    "failed",
    "rejected",
    "timed_out",
    "out_of_memory",
    "output_too_large",
    "killed",
    "cancelled",
    "lost",
]
ActionStatus = Literal["proposed", "rejected", "finished"]
"""How an action stands. One that goes out into the world will have more ways to stand than these."""
TOOL_RESULT = "tool_result"
"""The type of artifact that the recorded result of a tool is."""
LONGEST_RETENTION = timedelta(days=36_525)
"""A hundred years: longer times are no dates any more."""
UNFINISHED: frozenset[Status] = frozenset({"queued", "running"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose it is: tenant, user and session (a conversation). Part of every query."""

    tenant: str = "default"
    user: str = "local"
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a caller sees: a tenant, one user of it or all, one session or all. A `Scope` is the narrowest."""

    tenant: str
    user: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling."""

    kind: PrincipalKind = "user"
    id: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one execution may use."""

    wall_seconds: float = 30.0
    memory_bytes: int = 512 * MIB
    output_bytes: int = 10 * MIB
    file_bytes: int = 10 * MIB
    processes: int = 64
    stdout_bytes: int = 1 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a version comes from."""

    principal: Principal = field(default_factory=Principal)
    execution_id: ExecutionId | None = None
    tool_call_id: str | None = None
    request_id: str | None = None
    inputs: tuple[str, ...] = ()
    reason: str | None = None
    """Why it was made, in the words of who made it."""
    title: str | None = None
    """What the artifact was called then, so that a change of its title can be told from one meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One immutable revision of an artifact; `sha256` is of the content, `size` in bytes."""

    artifact_id: ArtifactId
    number: int
    name: str
    media_type: str
    category: Category
    size: int
    sha256: str
    created_at: datetime
    summary: str = ""
    summary_data: Mapping[str, object] = field(default_factory=dict[str, object])
    """What it holds in short, as JSON, in the words of a summarizer; empty where none has seen it."""
    language: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A named, typed identity in a scope. `version` is the head, or the version that was asked for."""

    id: ArtifactId
    handle: Handle
    scope: Scope
    type: str
    title: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    version: Version
    state: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict[str, object])
    """What is noted about it beside its content, such as where it was sent."""
    labels: tuple[str, ...] = ()
    held: bool = False
    """Pinned: it stays past its expiry until it is let go."""

    @property
    def name(self) -> str:
        return self.version.name

    @property
    def media_type(self) -> str:
        return self.version.media_type

    @property
    def category(self) -> Category:
        return self.version.category

    @property
    def size(self) -> int:
        return self.version.size

    @property
    def sha256(self) -> str:
        return self.version.sha256

    def _repr_mimebundle_(self, include: Types = None, exclude: Types = None) -> Bundle:
        version = self.version
        facts = (
            ("handle", self.handle),
            ("type", self.type if self.state is None else f"{self.type}, {self.state}"),
            ("file", f"{self.name} ({self.media_type}, {size_text(self.size)})"),
            ("version", str(version.number)),
            ("summary", version.summary),
            ("labels", ", ".join(self.labels)),
            ("expires", "" if self.expires_at is None else f"{self.expires_at:%Y-%m-%d %H:%M %Z}"),
        )
        return Card(title=self.title, facts=facts).bundle(include, exclude)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A row of the ledger: what is to be done, or was done, with one version of an artifact, and with no other.

    `version` and `sha256` are those of the version that was decided on, and with `name` and `params` they are what an
    approval is for. From `expires_at` on it can be approved no more; what was done without being proposed has none.
    """

    id: ActionId
    scope: Scope
    artifact_id: ArtifactId
    name: str
    version: int
    sha256: str
    status: ActionStatus
    principal: Principal
    """Who has proposed or done it."""
    proposed_at: datetime
    expires_at: datetime | None
    params: Mapping[str, object] = field(default_factory=dict[str, object])
    idempotency_key: str | None = None
    decided_by: Principal | None = None
    """Who has approved or rejected it, or done it without being asked."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: Mapping[str, object] | None = None
    """What it has come to, as JSON; None as long as nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What asking for an action has come to: its row of the ledger, and the artifact as it is now."""

    action: Action
    artifact: Artifact

    @property
    def is_done(self) -> bool:
        return self.action.status == "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """What a session adds up to; `size` is in bytes and counts what has not been purged."""

    session: str
    created_at: datetime
    updated_at: datetime
    artifacts: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that the check refuses: line from 1, column from 0."""

    line: int
    column: int
    rule: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramError:
    """How the user's program failed, as far as its own words tell."""

    type: str
    message: str
    line: int | None = None
    traceback: str = ""
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file of the run that was not kept, and why."""

    name: str
    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """The walls that stood around one execution."""

    level: Level
    memory_by: MemoryBy
    walls: Mapping[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one program in the sandbox, measured from outside it.

    `exit_code` is None when the program was stopped by a signal, never began or has not ended; `isolation` is None
    as long as no walls stood. `peak_memory_bytes` is what the job added to the preloaded interpreter.
    """

    status: Status
    exit_code: int | None = None
    signal: str | None = None
    stdout: str = ""
    stderr: str = ""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    error: ProgramError | None = None
    violations: tuple[Violation, ...] = ()
    duration_ms: float = 0.0
    cpu_ms: float = 0.0
    peak_memory_bytes: int = 0
    isolation: Isolation | None = None
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of a program, with what it made."""

    id: ExecutionId
    scope: Scope
    created_at: datetime
    outcome: Outcome
    artifacts: tuple[Artifact, ...] = ()

    @property
    def status(self) -> Status:
        return self.outcome.status

    @property
    def ok(self) -> bool:
        return self.outcome.status == "succeeded"

    @property
    def is_finished(self) -> bool:
        return self.outcome.status not in UNFINISHED

    @property
    def stdout(self) -> str:
        return self.outcome.stdout

    @property
    def stderr(self) -> str:
        return self.outcome.stderr

    @property
    def error(self) -> ProgramError | None:
        return self.outcome.error

    def _repr_mimebundle_(self, include: Types = None, exclude: Types = None) -> Bundle:
        outcome, error = self.outcome, self.error
        facts = (
            ("took", f"{outcome.duration_ms / 1000:.2f} s" if self.is_finished else ""),
            ("error", "" if error is None else f"{error.type}: {error.message}"),
            ("hint", "" if error is None else error.hint or ""),
            ("check", "; ".join(f"line {each.line}: {each.message}" for each in outcome.violations[:3])),
        )
        made = [(each.handle, each.name, each.media_type, size_text(each.size)) for each in self.artifacts]
        refused = [(each.name, f"not kept: {each.reason}") for each in outcome.refused]
        texts = (("printed", outcome.stdout), ("traceback", "" if error is None else error.traceback))
        card = Card(title=f"{self.id}: {outcome.status}", facts=facts, rows=[*made, *refused], texts=texts)
        return card.bundle(include, exclude)
