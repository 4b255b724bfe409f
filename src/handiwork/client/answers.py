"""What a server answers, as values. Names that are not known are left alone, so that a newer server can be read.

An answer that does not hold what it must is `Misread`; which request it was is known to whoever asked.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import unquote

from handiwork.access.policy import Caller
from handiwork.context.turn import Part, TurnContext
from handiwork.events import Event, Output
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
from handiwork.store.expiry import Erased
from handiwork.store.records import Page, SessionPage
from handiwork.store.revisions import VersionPage
from handiwork.tools.tool import Offer
from handiwork.versions.selection import Selection
from handiwork.versions.texts import Difference

Value = TypeVar("Value")
Told = Mapping[str, Any]

_ERROR = ("type", "message", "line", "traceback", "hint")
_SEEN_IN_EVENTS = frozenset({"seq", "id", "type", "session", "artifactId", "executionId", "at"})


class Misread(Exception):  # never leaves this room
    """The answer is not what it should be."""


def read_as(read: Callable[[Any], Value], told: object) -> Value:
    """Return the value that an answer tells. Raises `Misread`."""
    try:
        return read(told)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as wrong:
        raise Misread(f"{type(wrong).__name__}: {wrong}"[:200]) from wrong


def caller(told: Told) -> Caller:
    user = _text_or_none(told["user"])
    return Caller(
        tenant=_text(told["tenant"]),
        user=user,
        session=_text_or_none(told["session"]),
        principal=Principal(kind=told["principal"], id=user or "local"),
        permissions=frozenset(told["permissions"]),
        expires_at=_moment_or_none(told["expiresAt"]),
    )


def offer(told: Told) -> Offer:
    """Read what tools can be used for; a server that does not say so offers what is to be found out."""
    offered: Told = told.get("offer", {})
    return Offer(
        types=tuple(map(_text, offered.get("types", ()))),
        actions=tuple(map(_text, offered.get("actions", ()))),
        libraries={_text(name): _text(version) for name, version in offered.get("libraries", {}).items()},
    )


def artifact(told: Told, scope: Scope) -> Artifact:
    """Read an artifact; `scope` tells the tenant, which no answer repeats."""
    id = ArtifactId(_text(told["id"]))
    user = _text(told["user"])
    return Artifact(
        id=id,
        handle=Handle(_text(told["handle"])),
        scope=Scope(tenant=scope.tenant, user=user, session=_text(told["session"])),
        type=_text(told["type"]),
        title=_text(told["title"]),
        created_at=_moment(told["createdAt"]),
        updated_at=_moment(told["updatedAt"]),
        expires_at=_moment_or_none(told["expiresAt"]),
        version=version(told["version"], id, user),
        state=_text_or_none(told["state"]),
        facts=dict(told["facts"]),
        labels=tuple(map(_text, told["labels"])),
        held=bool(told["held"]),
    )


def first_artifact(told: Told, scope: Scope) -> Artifact:
    """Read the one artifact that was made, of a form too."""
    return artifact(told["items"][0] if "items" in told else told, scope)


def artifacts(told: Told, scope: Scope) -> tuple[Artifact, ...]:
    return tuple(artifact(each, scope) for each in told["items"])


def version(told: Told, artifact_id: ArtifactId, user: str) -> Version:
    return Version(
        artifact_id=artifact_id,
        number=_number(told["number"]),
        name=_text(told["name"]),
        media_type=_text(told["mediaType"]),
        category=told["category"],
        size=_number(told["size"]),
        sha256=_text(told["sha256"]),
        created_at=_moment(told["createdAt"]),
        summary=_text(told["summary"]),
        summary_data=dict(told["summaryData"]),
        language=_text_or_none(told["language"]),
        metadata=dict(told["metadata"]),
        provenance=_provenance(told["provenance"], user),
    )


def page(told: Told, scope: Scope) -> Page:
    return Page(items=artifacts(told, scope), next_cursor=_text_or_none(told["nextCursor"]), seq=_number(told["seq"]))


def version_page(told: Told, scope: Scope) -> VersionPage:
    following = _text_or_none(told["nextCursor"])
    items = tuple(version(each, ArtifactId(_text(each["artifactId"])), scope.user) for each in told["items"])
    return VersionPage(items=items, next_before=None if following is None else int(following))


def session_page(told: Told) -> SessionPage:
    return SessionPage(
        items=tuple(
            SessionSummary(
                session=_text(each["session"]),
                created_at=_moment(each["createdAt"]),
                updated_at=_moment(each["updatedAt"]),
                artifacts=_number(each["artifacts"]),
                size=_number(each["bytes"]),
            )
            for each in told["items"]
        ),
        next_cursor=_text_or_none(told["nextCursor"]),
    )


def erased(told: Told) -> Erased:
    return Erased(
        artifacts=_number(told["artifacts"]), executions=_number(told["executions"]), size=_number(told["bytes"])
    )


def caps(told: Told) -> Mapping[str, int]:
    """Read how many bytes content of each type may have."""
    return {_text(each["name"]): _number(each["cap"]) for each in told["items"]}


def selection(headers: Mapping[str, str], body: bytes) -> Selection:
    continuation, total = headers.get("x-continuation"), headers.get("x-total")
    return Selection(
        text=body.decode(),
        media_type=unquote(headers["x-media-type"]),
        continuation=None if continuation is None else unquote(continuation),
        total=None if total is None else int(total),
        is_cut=headers.get("x-cut") == "true",
    )


def turn_context(told: Told) -> TurnContext:
    return TurnContext(parts=tuple(Part(kind=each["kind"], text=_text(each["text"])) for each in told["parts"]))


def expanded(told: Told) -> str:
    return _text(told["text"])


def address(told: Told) -> str:
    return _text(told["url"])


def difference(told: Told) -> Difference:
    changes = told["changes"]
    return Difference(
        start=_number(told["start"]),
        end=_number(told["end"]),
        is_same=bool(told["isSame"]),
        text=_text_or_none(told["text"]),
        changes=None if changes is None else tuple(dict(each) for each in changes),
        left_out=_number(told["leftOut"]),
    )


def execution(told: Told, scope: Scope) -> Execution:
    return Execution(
        id=ExecutionId(_text(told["id"])),
        scope=Scope(tenant=scope.tenant, user=_text(told["user"]), session=_text(told["session"])),
        created_at=_moment(told["createdAt"]),
        outcome=_outcome(told),
        artifacts=tuple(artifact(each, scope) for each in told["artifacts"]),
    )


def event(told: Told, scope: Scope) -> Event:
    artifact_id, execution_id = _text_or_none(told["artifactId"]), _text_or_none(told["executionId"])
    return Event(
        seq=_number(told["seq"]),
        id=EventId(_text(told["id"])),
        scope=scope,
        type=told["type"],
        at=_moment(told["at"]),
        artifact_id=None if artifact_id is None else ArtifactId(artifact_id),
        execution_id=None if execution_id is None else ExecutionId(execution_id),
        facts={name: fact for name, fact in told.items() if name not in _SEEN_IN_EVENTS},
    )


def output(told: Told, scope: Scope) -> Output:
    return Output(
        scope=scope,
        execution_id=ExecutionId(_text(told["executionId"])),
        stream=told["stream"],
        offset=_number(told["offset"]),
        text=_text(told["text"]),
    )


def _outcome(told: Told) -> Outcome:
    error, isolation = told["error"], told["isolation"]
    return Outcome(
        status=told["status"],
        exit_code=told["exitCode"],
        signal=_text_or_none(told["signal"]),
        stdout=_text(told["stdout"]),
        stderr=_text(told["stderr"]),
        stdout_truncated=bool(told["stdoutTruncated"]),
        stderr_truncated=bool(told["stderrTruncated"]),
        error=error
        and ProgramError(**{name: error[name] for name in ("type", "message", "line", "traceback", "hint")}),
        violations=tuple(
            Violation(line=v["line"], column=v["column"], rule=_text(v["rule"]), message=_text(v["message"]))
            for v in told["violations"]
        ),
        duration_ms=float(told["durationMs"]),
        cpu_ms=float(told["cpuMs"]),
        peak_memory_bytes=_number(told["peakMemoryBytes"]),
        isolation=isolation
        and Isolation(level=isolation["level"], memory_by=isolation["memoryBy"], walls=dict(isolation["walls"])),
        refused=tuple(
            Refused(name=_text(r["name"]), reason=_text(r["reason"]), hint=r.get("hint")) for r in told["refused"]
        ),
    )


def _provenance(told: Told, user: str) -> Provenance:
    execution_id = _text_or_none(told["executionId"])
    return Provenance(
        principal=Principal(kind=told["principal"], id=user),
        execution_id=None if execution_id is None else ExecutionId(execution_id),
        tool_call_id=_text_or_none(told["toolCallId"]),
        request_id=_text_or_none(told["requestId"]),
        inputs=tuple(map(_text, told["inputs"])),
        reason=_text_or_none(told["reason"]),
        # Servers from before it was told leave it out.
        title=_text_or_none(told.get("title")),
    )


def _text(told: object) -> str:
    if not isinstance(told, str):
        raise TypeError(f"a `{type(told).__name__}` for a text")
    return told


def _text_or_none(told: object) -> str | None:
    return None if told is None else _text(told)


def _number(told: object) -> int:
    if not isinstance(told, int):
        raise TypeError(f"a `{type(told).__name__}` for a number")
    return told


def _moment(told: object) -> datetime:
    return datetime.fromisoformat(_text(told))


def _moment_or_none(told: object) -> datetime | None:
    return None if told is None else _moment(told)
