"""Artifacts to be: what a caller gives, made into content of its type with a name and a format, or refused.

Nothing is stored here; that is for `creation` and `revising`.
"""

import itertools
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal, Protocol, Unpack, cast, runtime_checkable

from handiwork.errors import ContentTooLarge, InvalidContent, ProducingDisabled, UnsupportedFormat
from handiwork.ids import ArtifactId, Handle
from handiwork.media.detection import detect
from handiwork.media.formats import Format
from handiwork.media.names import clean_name, named_after
from handiwork.media.places import Places
from handiwork.model import TOOL_RESULT, Provenance
from handiwork.store.blobs import SEAL
from handiwork.tasks import in_thread
from handiwork.types.artifact_type import ArtifactType
from handiwork.types.image import REFERENCE
from handiwork.verbs import Introduced, Retained, handle_asked, retention_asked
from handiwork.versions.content import Bytes, HostFile
from handiwork.versions.notes import demand_named, demand_object, demand_texts

AT_HAND_BYTES = 64 * 1024
# Reading so much takes about as long as asking a thread to.
EXAMINED_HERE_BYTES = 8 * 1024
LITTLE = 500


@runtime_checkable
class Content(Protocol):
    """Bytes that can be looked into and streamed."""

    @property
    def size(self) -> int: ...
    def read_at(self, offset: int, length: int) -> bytes: ...
    def chunks(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An artifact to be."""

    type: ArtifactType
    content: Content
    name: str | None = None
    """None is one that is made of the title."""
    title: str | None = None
    language: str | None = None
    """None is the one that the content is found to be in."""
    provenance: Provenance = field(default_factory=Provenance)
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    retention: timedelta | Literal["default"] | None = "default"
    """How long it is kept; None is for ever."""
    format: Format | None = None
    """None is the one that name and content tell."""
    id: ArtifactId | None = None
    """None is a new one."""
    handle: Handle | None = None
    """None is a new one, made of the name."""
    summary: str | None = None
    """What it is, in the words of who made it; None is what its type says of it."""
    summary_data: Mapping[str, object] = field(default_factory=dict[str, object])
    """What a summarizer says of it."""
    places: Places = field(default_factory=Places)
    """Where units of the content begin, as far as that was found when it was examined."""
    uncounted_bytes: int = 0
    """What was put in on the way, such as a library, and does not count against the cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What the deployment lets in: nothing at all unless `is_enabled`, and of the formats those with these names."""

    is_enabled: bool = True
    formats: frozenset[str] | None = None
    """None is every format that is delivered."""

    def demand_enabled(self) -> None:
        """Raise `ProducingDisabled` where nothing may be made."""
        if not self.is_enabled:
            raise ProducingDisabled

    def hint_against(self, format_: Format) -> str | None:
        """Return what to do instead of a format that is not let in, and None for one that is."""
        if not format_.delivered:
            return format_.hint or ""
        if self.formats is None or format_ is REFERENCE or format_.name in self.formats:
            return None
        return f"This deployment delivers these formats: {', '.join(sorted(self.formats))}."

    async def examined(self, drafts: Sequence[Draft]) -> tuple[list[Draft], list[Format]]:
        """Return the drafts with content that is what their types demand, with names, and their formats.

        Raises what `Creation.file` says of drafts that cannot be taken.
        """
        if all(map(_is_quickly_examined, drafts)):
            return self._examined(drafts)
        # Looking into files waits for the disk, and reading markup or JSON takes a while.
        return await in_thread(self._examined, drafts)

    def _examined(self, drafts: Sequence[Draft]) -> tuple[list[Draft], list[Format]]:
        done = [_examine(draft) for draft in drafts]
        return done, [self.admit(draft) for draft in done]

    def demand_described(self, draft: Draft) -> None:
        """Raise what `Creation.file` says of a draft whatever its content is."""
        self.demand_enabled()
        demand_named(name=draft.name, title=draft.title)
        demand_object("metadata", draft.metadata)
        demand_object("summary data", draft.summary_data)
        demand_texts(language=draft.language, reason=draft.provenance.reason, summary=draft.summary)

    def admit(self, draft: Draft) -> Format:
        """Return the format of a draft that was examined; raise what `Creation.file` says of one that cannot be."""
        name = name_of(draft)
        self.demand_described(draft)
        if draft.content.size - draft.uncounted_bytes > draft.type.cap_bytes:
            raise ContentTooLarge(name, size=draft.content.size, limit=draft.type.cap_bytes)
        if draft.content.read_at(0, len(SEAL)) == SEAL:
            # Where encryption is turned on later, nobody could read it.
            hint = "Put it into an archive, such as a ZIP, and store that."
            raise InvalidContent(name, expected="other first bytes than an encrypted blob has", got="those", hint=hint)
        found = draft.format or detect(name, draft.content)
        # What a tool has answered is kept to be read; what it is promoted to is delivered.
        wanted = replace(self, formats=None) if draft.type.name == TOOL_RESULT else self
        if (hint := wanted.hint_against(found)) is not None:
            raise UnsupportedFormat(name, media_type=found.media_type, hint=hint)
        return found


def content_of(value: object, type_: ArtifactType) -> Content:
    """Return what a caller gave as content: bytes, text, a file of this machine, or a value of a JSON type.

    Raises:
        InvalidContent, ContentRefused, ContentTooLarge: it is no content of this type.
        InputNotFound: there is no such file.
    """
    match value:
        case Path():
            return HostFile.at(value)
        case bytes():
            return Bytes(value)
        case str():
            try:
                return Bytes(value.encode())
            except UnicodeEncodeError as wrong:
                where = f"half a character at position {wrong.start}"
                raise InvalidContent("content", expected="text that UTF-8 can hold", got=where) from wrong
        case _ if type_.content != "json" and isinstance(value, Content):
            return value
        case _:
            return Bytes(type_.spelled(value))


async def received(value: object, type_: ArtifactType) -> Content:
    """Do as `content_of`, in a thread where that takes a while."""
    is_text = isinstance(value, str) and len(value) <= AT_HAND_BYTES
    if isinstance(value, bytes) or is_text or (not isinstance(value, Path) and _is_little(value)):
        return content_of(value, type_)
    return await in_thread(content_of, value, type_)


async def introduced(
    type_: ArtifactType,
    content: object,
    *,
    name: str | None,
    retention: Retained,
    provenance: Provenance,
    **described: Unpack[Introduced],
) -> Draft:
    """Return a draft of what a caller gives and says; of content that comes in pieces nothing is in it yet.

    Raises what `received`, `retention_asked` and `handle_asked` do.
    """
    return Draft(
        type=type_,
        name=name or (content.name if isinstance(content, Path) else None),
        content=Bytes(b"") if isinstance(content, AsyncIterable) else await received(content, type_),
        title=described.get("title"),
        language=described.get("language"),
        metadata=described.get("metadata") or {},
        retention=retention_asked(retention),
        provenance=provenance,
        summary=described.get("summary"),
        handle=handle_asked(described.get("handle")),
    )


def all_of(content: Content) -> bytes:
    """Return content as a whole."""
    return content.read_at(0, content.size)


def is_at_hand(content: Content) -> bool:
    """Tell whether reading it takes no time."""
    return isinstance(content, Bytes) and content.size <= AT_HAND_BYTES


def name_of(draft: Draft) -> str:
    """Return the name of a draft that was examined."""
    assert draft.name is not None, "it was examined"
    return draft.name


def _examine(draft: Draft) -> Draft:
    """Return the draft with content that is what its type demands, and with a name."""
    if draft.type.examine is None:
        return draft if draft.name is not None else replace(draft, name=clean_name(draft.title or "untitled.txt"))
    if draft.content.size > draft.type.cap_bytes:
        raise ContentTooLarge(
            draft.name or draft.title or draft.type.name, size=draft.content.size, limit=draft.type.cap_bytes
        )
    checked = draft.type.check(all_of(draft.content), language=draft.language)
    format_ = checked.format or draft.format
    suffix = draft.type.suffix if format_ is None else format_.extensions[0]
    name = draft.name or named_after(draft.title or "untitled", suffix)
    return replace(draft, content=Bytes(checked.data), format=format_, name=name, places=checked.places)


def _is_quickly_examined(draft: Draft) -> bool:
    if draft.type.examine is None:
        return is_at_hand(draft.content) or draft.format is not None
    return is_at_hand(draft.content) and draft.content.size <= EXAMINED_HERE_BYTES


def _is_little(value: object) -> bool:
    """Tell whether a value of JSON is written in no time; what is no such value is refused in no time."""
    left, rest = LITTLE, [value]
    while rest and left > 0:
        item = rest.pop()
        if isinstance(item, dict):
            inner = itertools.chain.from_iterable(cast("Mapping[object, object]", item).items())
            rest += itertools.islice(inner, left)
        elif isinstance(item, (list, tuple)):
            rest += itertools.islice(cast("Sequence[object]", item), left)
        elif isinstance(item, str):
            left -= len(item) // LITTLE
        left -= 1
    return left > 0
