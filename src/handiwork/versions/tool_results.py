"""What tools have answered: recorded for a while by the id of the tool call, and promoted to artifacts that stay.

What is an answer's format, and what a type demands of content, is known to `types`.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from handiwork.clock import Clock
from handiwork.errors import AlreadyPromoted, InvalidContent, InvalidLimit, InvalidName, ToolResultNotFound
from handiwork.media.names import named_after
from handiwork.model import TOOL_RESULT, Artifact, Provenance, Scope
from handiwork.store.blobs import Blobs
from handiwork.store.promotions import Promotions
from handiwork.store.reading import read_verified, unless_gone
from handiwork.store.records import Filed, Promotion, Records
from handiwork.tasks import in_thread
from handiwork.types.artifact_type import ArtifactType
from handiwork.types.plain_text import text_of
from handiwork.types.registry import Registry
from handiwork.types.tool_result import LONGEST_RETENTION, Answer, answer_of
from handiwork.versions.content import Bytes
from handiwork.versions.creation import Creation
from handiwork.versions.drafts import Draft
from handiwork.versions.json_tables import table_of

LONGEST_TOOL_CALL_ID = LONGEST_TOOL_NAME = 200
LONGEST_CATEGORY = 64
LONGEST_TOLD = 60
# A tool that failed more often than this since it last answered is asked once more.
MOST_LOOKED_AT = 100
ATTEMPTS = 8
TABLE, JSON = "text/csv", "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool has answered, to be recorded: bytes, text, or any JSON value."""

    tool_call_id: str
    tool: str
    result: object
    failed: bool = False
    category: str | None = None
    media_type: str | None = None
    ttl: timedelta | None = None
    """How long it is kept; None is the half hour that is usual."""
    summary_data: Mapping[str, object] | None = None
    """What a summarizer says of it."""
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """What a result was promoted to, and whether that was done just now."""

    artifact: Artifact
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResults:
    """The answers of tools in one store."""

    creation: Creation
    promotions: Promotions
    records: Records
    blobs: Blobs
    types: Registry
    clock: Clock

    async def record(self, scope: Scope, result: ToolResult, *, since: datetime | None = None) -> Artifact:
        """Keep what a tool has answered, as an artifact of the type `tool_result`; failures are kept as such.

        `since` is when it began to come in: an erasure after that refuses it.

        Raises:
            InvalidName, InvalidLimit: the id, the tool, the category or the time cannot be.
            ContentRefused, ContentTooLarge, UnsupportedFormat: the answer cannot be kept.
            QuotaExceeded, StorageFull, ProducingDisabled: there is no room for it.
        """
        demand_tool_call_id(result.tool_call_id)
        demand_tool(result.tool)
        if result.category is not None:
            _demand_name("category", result.category, longest=LONGEST_CATEGORY)
        if result.ttl is not None and not timedelta(0) < result.ttl <= LONGEST_RETENTION:
            raise InvalidLimit("ttl", str(result.ttl), expected="a time to come, such as `30m`, of 24 hours at most")
        if not isinstance(result.failed, bool):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise InvalidContent("failed", expected="True or False", got=repr(result.failed)[:LONGEST_TOLD])
        type_, since = self.types.named(TOOL_RESULT), since or self.clock()
        answer = await in_thread(answer_of, result.result, media_type=result.media_type, cap_bytes=type_.cap_bytes)
        (recorded,) = await self.creation.file(scope, [_recorded(result, answer, type_)], since=since)
        return recorded

    async def promote(
        self, scope: Scope, promotion: Promotion, *, title: str | None = None, provenance: Provenance | None = None
    ) -> Promoted:
        """Make an artifact of what a tool has answered last without failing, or return the one that was made before.

        Raises:
            ToolResultNotFound: nothing that is kept was recorded of this tool call, or only failures.
            UnknownType, InvalidName: there is no such type, or nothing can be promoted to it.
            ContentRefused, ContentTooLarge, UnsupportedFormat: the answer is no content of this type.
            QuotaExceeded, StorageFull, ProducingDisabled: there is no room for it.
        """
        demand_tool_call_id(promotion.tool_call_id)
        type_ = self.types.named(promotion.type)
        if type_.name == TOOL_RESULT:
            raise InvalidName("type", type_.name, expected="the type of a deliverable, such as `markdown` or `file`")
        promotion = Promotion(tool_call_id=promotion.tool_call_id, type=type_.name)
        for _attempt in range(ATTEMPTS - 1):
            # Somebody was faster, and what was made may even be gone again before it is looked at.
            with contextlib.suppress(AlreadyPromoted):
                return await self._promoted(scope, promotion, title, provenance or Provenance())
        return await self._promoted(scope, promotion, title, provenance or Provenance())

    async def _promoted(
        self, scope: Scope, promotion: Promotion, title: str | None, provenance: Provenance
    ) -> Promoted:
        if (earlier := await self.promotions.promoted(scope, promotion)) is not None:
            return Promoted(artifact=earlier, is_new=False)
        since = self.clock()
        recorded = await self._last_success(scope, promotion.tool_call_id)
        type_, data = self.types.named(promotion.type), await self._bytes(recorded)
        content = await in_thread(_content_for, type_, data, recorded.artifact.media_type)
        draft = _draft(type_, recorded.artifact, content, title=title, provenance=provenance)
        (artifact,) = await self.creation.file(scope, [draft], since=since, promotes=(promotion,))
        return Promoted(artifact=artifact, is_new=True)

    async def _last_success(self, scope: Scope, tool_call_id: str) -> Filed:
        found = await self.promotions.results(scope, tool_call_id, limit=MOST_LOOKED_AT)
        for each in found:
            if not each.artifact.version.metadata.get("failed"):
                return each
        raise ToolResultNotFound(tool_call_id, failed=len(found))

    async def _bytes(self, filed: Filed) -> bytes:
        version = filed.artifact.version
        content = read_verified(self.blobs, filed.blob_key, size=version.size, sha256=version.sha256)
        async with unless_gone(self.records, filed.artifact):
            return b"".join([chunk async for chunk in content])


def demand_tool_call_id(value: str) -> None:
    """Raise `InvalidName` for what no tool call is called."""
    _demand_name("tool call id", value, longest=LONGEST_TOOL_CALL_ID)


def demand_tool(name: str) -> None:
    """Raise `InvalidName` for what no tool is called."""
    _demand_name("tool", name, longest=LONGEST_TOOL_NAME)


def _recorded(result: ToolResult, answer: Answer, type_: ArtifactType) -> Draft:
    metadata: dict[str, object] = {"tool": result.tool}
    if result.category is not None:
        metadata["category"] = result.category
    if result.failed:
        metadata["failed"] = True
    return Draft(
        type=type_,
        content=Bytes(answer.data),
        name=named_after(result.tool, answer.format.extensions[0]),
        title=result.tool,
        format=answer.format,
        metadata=metadata,
        summary_data={} if result.summary_data is None else result.summary_data,
        retention="default" if result.ttl is None else result.ttl,
        provenance=replace(result.provenance, tool_call_id=result.tool_call_id),
    )


def _draft(
    type_: ArtifactType, recorded: Artifact, content: bytes, *, title: str | None, provenance: Provenance
) -> Draft:
    version = recorded.version
    tool = str(version.metadata.get("tool", ""))
    title = title or tool or None
    return Draft(
        type=type_,
        content=Bytes(content),
        # What is checked gets its name from what it is found to be.
        name=named_after(title or version.name, version.name.rpartition(".")[2]) if type_.examine is None else None,
        title=title,
        language=version.language if type_.has_language else None,
        metadata={"source": "tool", "tool": tool},
        provenance=replace(
            provenance,
            tool_call_id=version.provenance.tool_call_id,
            inputs=(f"{recorded.id}@{version.number}",),
        ),
    )


def _content_for(type_: ArtifactType, data: bytes, media_type: str) -> bytes:
    """Return an answer as content of a type: as it was recorded, but a list of JSON as a table where one is wanted."""
    if (type_.media_type, media_type) != (TABLE, JSON):
        return data
    table = table_of(text_of(data, type_.name), type_name=type_.name, most_bytes=type_.cap_bytes)
    return table.encode()


def _demand_name(what: str, value: str, *, longest: int) -> None:
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise InvalidName(what, f"a {type(value).__name__}", expected=f"1 to {longest} printable characters")
    if not 0 < len(value) <= longest or not value.isprintable():
        told = value if len(value) <= LONGEST_TOLD else value[:LONGEST_TOLD] + "…"
        raise InvalidName(what, told, expected=f"1 to {longest} printable characters")
