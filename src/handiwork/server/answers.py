"""What the server answers, as pydantic models for its OpenAPI document. The answers themselves are made by `shapes`.

Nothing is serialised with these. Fields may be added to an answer at any time, so none of them forbids more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from handiwork.model import Status

PROBLEM_NAME = "Problem"


class Answer(BaseModel):
    """A JSON object with camelCase keys."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Problem(Answer):
    """Why a request came to nothing, as RFC 9457 has it; `code` is for programs, further facts stand beside it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str | None


class ProgramFault(Answer):
    """How the program failed."""

    type: str
    message: str
    line: int | None
    traceback: str
    hint: str | None


class CheckFault(Answer):
    """One thing that the check refuses."""

    line: int
    column: int
    rule: str
    message: str


class Walls(Answer):
    """The walls that stood around the run."""

    level: Literal["full", "unprivileged", "none"]
    memory_by: Literal["cgroup", "watch"]
    walls: Mapping[str, bool]


class Origin(Answer):
    """Who made a version, and in which call; `title` is what the artifact was called then."""

    principal: str
    execution_id: str | None
    tool_call_id: str | None
    request_id: str | None
    inputs: Sequence[str]
    reason: str | None
    title: str | None


class VersionAnswer(Answer):
    """One version of an artifact; sizes are in bytes.

    `content` is there, as text or JSON, where one artifact is asked for whose content is short and no file.
    """

    number: int
    media_type: str
    name: str
    category: str
    size: int
    sha256: str
    summary: str
    summary_data: Mapping[str, Any]
    language: str | None
    metadata: Mapping[str, Any]
    created_at: datetime
    provenance: Origin
    content: JsonValue = None


class DifferenceAnswer(Answer):
    """What differs between two versions: `text` as a unified diff, or `changes` of structured content."""

    start: int
    end: int
    is_same: bool
    text: str | None
    changes: Sequence[Mapping[str, Any]] | None
    left_out: int


class ArtifactLinks(Answer):
    """Paths on this server; without a picture `thumbnail` is null."""

    self: str
    content: str
    view: str
    thumbnail: str | None


class ArtifactAnswer(Answer):
    """An artifact at its head, or at the version that was asked for."""

    id: str
    handle: str
    type: str
    title: str
    state: str | None
    facts: Mapping[str, Any]
    session: str
    user: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    held: bool
    labels: Sequence[str]
    version: VersionAnswer
    links: ArtifactLinks


class ToolResultAnswer(ArtifactAnswer):
    """What a tool has answered, as an artifact; `cacheId` is its id, as models know it."""

    cache_id: str


class ArtifactsAnswer(Answer):
    """Artifacts of a session, newest first; who follows the events after `seq` misses nothing that is not here."""

    items: Sequence[ArtifactAnswer]
    next_cursor: str | None
    seq: int


class UploadedAnswer(Answer):
    """What the files of a form have become, in their order."""

    items: Sequence[ArtifactAnswer]


class CollectedAnswer(Answer):
    """What an output has come to, in its order; some of it may have been kept before."""

    items: Sequence[ArtifactAnswer]


class ListedVersion(VersionAnswer):
    """One of the versions of an artifact."""

    artifact_id: str


class VersionsAnswer(Answer):
    """Versions of an artifact, the newest first."""

    items: Sequence[ListedVersion]
    next_cursor: str | None


class LinkAnswer(Answer):
    """An address that works without a key until it expires."""

    url: str
    expires_at: datetime


class ContextPart(Answer):
    """One tag of XML for the next turn."""

    kind: Literal["system_context", "artifact_action"]
    text: str


class ContextAnswer(Answer):
    """What an agent is told before it goes on; `tokens` is about what it costs a model."""

    parts: Sequence[ContextPart]
    tokens: int


class ExpandedAnswer(Answer):
    """A text with what its references lead to."""

    text: str


class MadeFile(ArtifactAnswer):
    """A file that a run made: an artifact, with what is most asked of its version beside it."""

    name: str
    category: str
    media_type: str
    size: int
    sha256: str


class RefusedFile(Answer):
    """A file that a run left and that was not kept; `hint` may be absent."""

    name: str
    reason: str
    hint: str = ""


class FileData(Answer):
    """A file itself, in base64."""

    name: str
    media_type: str
    data: str


class RunLinks(Answer):
    """The path of the run, and the address at which a person sees its session."""

    self: str
    gallery: str


class RunAnswer(Answer):
    """How a run stands or went: `text` says it in one paragraph. `files` is there when it was asked for.

    `filesLeftOut` is there with it: the names of those that are too large to come along, or have gone.
    """

    id: str
    session: str
    user: str
    created_at: datetime
    status: Status
    text: str
    exit_code: int | None
    signal: str | None
    stdout: str
    stderr: str
    stdout_truncated: bool
    stderr_truncated: bool
    error: ProgramFault | None
    violations: Sequence[CheckFault]
    duration_ms: float
    cpu_ms: float
    peak_memory_bytes: int
    isolation: Walls | None
    artifacts: Sequence[MadeFile]
    refused: Sequence[RefusedFile]
    links: RunLinks
    files: Sequence[FileData] = ()
    files_left_out: Sequence[str] = ()


class ActionTypeAnswer(Answer):
    """What can be done with an artifact, and the JSON Schema of the arguments."""

    name: str
    schema_: Annotated[Mapping[str, Any], Field(alias="schema")]


class ArtifactTypeAnswer(Answer):
    """What an artifact can be; `cap` is the most bytes that one may have."""

    name: str
    label: str
    icon: str
    category: str | None
    display: Literal["panel", "inline"]
    streaming: bool
    schema_: Annotated[Mapping[str, Any] | None, Field(alias="schema")]
    states: Sequence[str]
    transitions: Mapping[str, Sequence[str]]
    actions: Sequence[ActionTypeAnswer]
    cap: int
    media_type: str


class ArtifactTypesAnswer(Answer):
    """Every registered type of artifact."""

    items: Sequence[ArtifactTypeAnswer]


class SessionAnswer(Answer):
    """What a session adds up to."""

    session: str
    created_at: datetime
    updated_at: datetime
    artifacts: int
    bytes: int


class SessionsAnswer(Answer):
    """Sessions of a user, the one that was active last first."""

    items: Sequence[SessionAnswer]
    next_cursor: str | None


class ErasedAnswer(Answer):
    """What an erasure took."""

    artifacts: int
    executions: int
    bytes: int


class OfferAnswer(Answer):
    """What the tools for models can be used for: types to create, their actions, and what programs can import."""

    types: Sequence[str]
    actions: Sequence[str]
    libraries: Mapping[str, str]


class CallerAnswer(Answer):
    """Who calls: `user` null may name any user of the tenant, `session` null any session."""

    tenant: str
    user: str | None
    session: str | None
    principal: Literal["user", "agent", "admin", "system"]
    permissions: Sequence[str]
    expires_at: datetime | None
    offer: OfferAnswer


class TokenAnswer(Answer):
    """A token, which is told this once."""

    token: str
    expires_at: datetime


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return, for `responses` of a route, these problems and that each other error is a problem too."""
    content = {"application/problem+json": {"schema": {"$ref": f"#/components/schemas/{PROBLEM_NAME}"}}}
    named: Mapping[int | str, str] = {status: HTTPStatus(status).phrase for status in statuses}
    return {
        status: {"description": description, "content": content}
        for status, description in (named | {"default": "Any other problem"}).items()
    }
