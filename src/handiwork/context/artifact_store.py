"""What agents hand to each other: records by id, in memory or in a session, and what others get to see of them.

A record never changes: an id that is taken keeps what it has, and setting it to something else is refused. How an agent
marks what it hands over is known to `marker`.
"""

import contextlib
import inspect
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, Protocol, Unpack

from handiwork.context.expander import Expander, Revealed, fenced
from handiwork.context.marker import Marked, marked
from handiwork.context.revealing import Audience, Reading, Reveal, demand_reader
from handiwork.errors import (
    ArtifactExpired,
    ArtifactHeld,
    ArtifactNotFound,
    ContentRefused,
    HandleTaken,
    InvalidContent,
    InvalidName,
    UnknownType,
)
from handiwork.ids import Handle, new_handle
from handiwork.model import Artifact
from handiwork.references import LONGEST_ID, LONGEST_SUMMARY, Reference, cleaned
from handiwork.verbs import Introduced, handle_asked
from handiwork.versions.excerpts import select
from handiwork.versions.selection import shortened, utf8_size
from handiwork.versions.selectors import Selector

STEM = "draft"
ATTEMPTS = 8
CREATED_BY = "createdBy"
LONGEST_TITLE = 100
LONGEST_LANGUAGE = 64
ONLY_VERSION = 1
"""What a record in memory is, since it never changes."""

_TYPES = {
    "": "markdown",
    "csv": "csv",
    "html": "html-sandboxed",
    "json": "json",
    "markdown": "markdown",
    "md": "markdown",
    "svg": "svg",
    "text": "markdown",
    "txt": "markdown",
}
_MEDIA_TYPES = {
    "csv": "text/csv",
    "html-sandboxed": "text/html",
    "json": "application/json",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was handed over; `info` is what its fence said of it, such as `markdown`."""

    content: str
    summary: str = ""
    created_by: str = ""
    info: str = ""


class Keeping(Reading, Protocol):
    """The verbs of a session by which records are kept in it."""

    async def create(
        self,
        type: str,
        *,
        content: object,
        name: str | None = None,
        retention: timedelta | Literal["default"] | None = "default",
        **described: Unpack[Introduced],
    ) -> Artifact: ...
    async def read(self, reference: str, *, version: int | None = None) -> bytes: ...
    async def remove(self, reference: str) -> None: ...
    def expander(self, audience: Audience = "user", *, reveal: Reveal = "summary") -> Expander: ...


class Handoffs(Protocol):
    """Keeps what agents hand over, wherever that is."""

    async def add(self, record: Record, *, id: str | None = None) -> str:
        """Keep a record under an id of its own, such as `draft_k3x9`, and return that.

        Raises:
            HandleTaken: the id that it is to have has another record.
            InvalidName: no record can have this id.
        """
        ...

    def expander(self, audience: Audience = "user", *, reveal: Reveal = "summary") -> Expander:
        """Return what expands the references to these records in a text that comes in pieces."""
        ...


async def handed_over(store: Handoffs, text: str, *, reveal: Reveal = "summary", created_by: str = "") -> str:
    """Keep what an agent has marked as an artifact, and return what others are to see; a text without mark as it is.

    That is the reference, with its summary, or with `full` the content in a fence.
    """
    demand_reader("agent", reveal)
    found = marked(text)
    if found is None:
        return text
    id = await store.add(record_of(found, created_by=created_by))
    if reveal == "full":
        return fenced(found.content, info=found.info)
    return str(Reference(id, summary=found.summary if reveal == "summary" else None))


def record_of(found: Marked, *, created_by: str = "") -> Record:
    """Return what an agent has marked as it is kept."""
    summary = cleaned(found.summary, longest=LONGEST_SUMMARY)
    return Record(content=found.content, summary=summary, created_by=created_by, info=found.info)


class ArtifactStore:
    """Records in memory, for as long as the process lasts; `over` keeps them in a session.

    A store is shared by handing it around: whoever has it sees the same records.
    """

    def __init__(self, *, new_id: Callable[[], str] = lambda: new_handle(STEM, below=secrets.randbelow)) -> None:
        self._records: dict[str, Record] = {}
        self._new_id = new_id

    @staticmethod
    def over(session: Keeping) -> "SessionArtifacts":
        """Return a store with the same methods, to be awaited, that keeps its records as artifacts of a session.

        Raises:
            InvalidContent: the session is one whose verbs cannot be awaited.
        """
        if not inspect.iscoroutinefunction(session.create):
            expected = "one of `handiwork.open` or `handiwork.connect`, whose calls are awaited"
            raise InvalidContent("session", expected=expected, got=f"a `{type(session).__name__}`")
        return SessionArtifacts(session)

    def get(self, id: str) -> Record | None:
        return self._records.get(id)

    def set(self, id: str, record: Record | Mapping[str, Any] | str) -> None:
        """Keep a record, or the content of one, under an id. What has been set stays: it can only be set again alike.

        Raises:
            HandleTaken: the id has another record.
            InvalidName: no reference could name this id.
        """
        _demand_id(id)
        if self._records.setdefault(id, as_record(record)) != as_record(record):
            raise HandleTaken(id)

    def has(self, id: str) -> bool:
        return id in self._records

    def clear(self) -> None:
        self._records.clear()

    async def add(self, record: Record, *, id: str | None = None) -> str:
        """Keep a record under a new id, and return that. See `Handoffs`."""
        if id is None:
            # Whoever put it there has the id: another thread may have taken the same.
            tried = (self._new_id() for _ in range(ATTEMPTS))
            id = next((new for new in tried if self._records.setdefault(new, record) is record), None)
            id = id or f"{self._new_id()}{secrets.token_hex(8)}"
        self.set(id, record)
        return id

    def expander(self, audience: Audience = "user", *, reveal: Reveal = "summary") -> Expander:
        """Return what expands the references to these records in a text that comes in pieces."""
        demand_reader(audience, reveal)

        async def resolve(reference: Reference, /, *, room: int) -> Revealed | None:
            record = self._records.get(reference.id)
            if record is None or reference.version not in (None, ONLY_VERSION):
                return None
            if audience == "user" or (audience == "agent" and reveal == "full"):
                return await _whole(record, reference, audience, room)
            summary = record.summary if audience == "model" or reveal == "summary" else None
            return Revealed(text=str(replace(reference, summary=summary)))

        return Expander(resolve)

    async def handoff(self, text: str, *, reveal: Reveal = "summary", created_by: str = "") -> str:
        """Keep what an agent has marked as an artifact, and return what others are to see. See `handed_over`."""
        return await handed_over(self, text, reveal=reveal, created_by=created_by)


class SessionArtifacts:
    """Records as artifacts of a session, by their handles; keeps `Handoffs`' promises."""

    def __init__(self, session: Keeping) -> None:
        self._session = session
        self._own: list[str] = []

    async def get(self, id: str) -> Record | None:
        """Return the record that an artifact of text is; None where there is none to be had."""
        try:
            artifact = await self._session.get(id)
            content = await self._session.read(artifact.id, version=artifact.version.number)
        except (ArtifactNotFound, ArtifactExpired):
            return None
        created_by = artifact.version.metadata.get(CREATED_BY)
        return Record(
            content=content.decode("utf-8", "replace"),
            summary=artifact.version.summary,
            created_by=created_by if isinstance(created_by, str) else artifact.version.provenance.principal.kind,
            info=artifact.version.language or "",
        )

    async def set(self, id: str, record: Record | Mapping[str, Any] | str) -> None:
        """Keep a record under an id, which is the handle of its artifact. See `ArtifactStore.set`."""
        told = as_record(record)
        try:
            await self.add(told, id=id)
        except HandleTaken:
            kept = await self.get(id)
            if kept is None or (kept.content, kept.summary) != (told.content, told.summary or kept.summary):
                raise

    async def has(self, id: str) -> bool:
        try:
            await self._session.get(id)
        except (ArtifactNotFound, ArtifactExpired):
            return False
        return True

    async def clear(self) -> None:
        """Remove what was put into the session through this store; what is held stays."""
        own, self._own = self._own, []
        for id in own:
            try:
                await self._session.remove(id)
            except ArtifactHeld:
                self._own.append(id)
            except (ArtifactNotFound, ArtifactExpired):
                continue

    async def add(self, record: Record, *, id: str | None = None) -> str:
        """Keep a record as an artifact of the type that its fence names, and return its handle. See `Handoffs`.

        What is no content of that type is kept as code in that language.
        """
        for _attempt in range(1 if id is not None else ATTEMPTS - 1):
            try:
                return await self._added(record, handle_asked(id) or new_handle(STEM))
            except HandleTaken:
                if id is not None:
                    raise
        return await self._added(record, new_handle(STEM))

    def expander(self, audience: Audience = "user", *, reveal: Reveal = "summary") -> Expander:
        return self._session.expander(audience, reveal=reveal)

    async def handoff(self, text: str, *, reveal: Reveal = "summary", created_by: str = "") -> str:
        """Keep what an agent has marked as an artifact, and return what others are to see. See `handed_over`."""
        return await handed_over(self, text, reveal=reveal, created_by=created_by)

    async def _added(self, record: Record, handle: Handle) -> str:
        language = _language(record).lower()
        described: Introduced = {
            "title": cleaned(record.summary, longest=LONGEST_TITLE) or STEM,
            "summary": record.summary or None,
            "handle": handle,
            "metadata": {CREATED_BY: record.created_by} if record.created_by else None,
        }
        made: Artifact | None = None
        if (type_ := _TYPES.get(language)) is not None:
            with contextlib.suppress(ContentRefused, UnknownType):
                made = await self._session.create(type_, content=record.content, **described)
        if made is None:
            described["language"] = language or None
            made = await self._session.create("code", content=record.content, **described)
        self._own.append(made.id)
        return made.handle


def as_record(value: Record | Mapping[str, Any] | str) -> Record:
    """Return a record, the content of one, or its fields by name, as a record. Raises `InvalidName`."""
    match value:
        case Record():
            return value
        case str():
            return Record(content=value)
        case {"content": str() as content, **others} if set(others) <= {"summary", "created_by", "info"}:
            said = {name: str(other) for name, other in others.items() if other is not None}
            return Record(content=content, **said)
        case _:
            expected = "a text, a record, or `content`, `summary` and `created_by` by name"
            raise InvalidName("record", f"a {type(value).__name__}", expected=expected)


def _language(record: Record) -> str:
    """Return what a fence names, or nothing for what is no name of a language."""
    named = next(iter(record.info.split()), "")
    return named if len(named) <= LONGEST_LANGUAGE and named.isprintable() and "`" not in named else ""


def _demand_id(id: str) -> None:
    if not 0 < len(id) <= LONGEST_ID or not id.isprintable() or any(each in id for each in ' <>"&'):
        raise InvalidName("id", id[:60], expected=f"1 to {LONGEST_ID} characters such as `draft_k3x9`")


async def _whole(record: Record, reference: Reference, audience: Audience, room: int) -> Revealed:
    """Return the content, or what the reference selects of it. Raises what `select` raises."""
    language = _language(record)
    type_ = _TYPES.get(language.lower(), "")
    if reference.select is None:
        size = utf8_size(record.content)
        text = record.content if size <= room else shortened(record.content, room=room, size=size)
    else:
        media_type = _MEDIA_TYPES.get(type_, "text/plain")
        content, selector = _Held(record.content.encode("utf-8", "replace")), Selector.parse(reference.select)
        text = (await select(content, selector, media_type=media_type, budget_bytes=room)).text
    fence = None if audience == "user" and type_ == "markdown" else language
    return Revealed(text=text, fence=fence, is_closed_in=audience == "agent")


@dataclass(frozen=True, slots=True)
class _Held:
    """Content in memory that parts can be selected of."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        yield self.data[offset : None if length is None else offset + length]
