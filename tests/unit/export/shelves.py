"""A session in memory, as far as an export asks something of one. Nothing is asserted here."""

import hashlib
import io
import zipfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from handiwork.errors import ArtifactNotFound, ContentDamaged
from handiwork.export.bundle import Bundle, Exported
from handiwork.export.target import export
from handiwork.ids import ArtifactId, Handle
from handiwork.media.detection import InMemory, detect
from handiwork.model import Artifact, Category, Provenance, Scope, Version
from handiwork.store.records import Page
from handiwork.store.revisions import VersionPage
from sample_records import ADA, NOON


@dataclass(slots=True)
class Shelf:
    """Artifacts with their versions; `at_once` is how many come on a page, `chunk` how many bytes in a chunk."""

    scope: Scope = ADA
    at_once: int = 3
    chunk: int = 1024 * 1024
    artifacts: dict[str, Artifact] = field(default_factory=dict[str, Artifact])
    history: dict[str, list[Version]] = field(default_factory=dict[str, list[Version]])
    contents: dict[tuple[str, int], bytes] = field(default_factory=dict[tuple[str, int], bytes])
    gone: set[str] = field(default_factory=set[str])
    damaged: set[str] = field(default_factory=set[str])

    def put(
        self,
        name: str,
        content: bytes,
        *,
        title: str | None = None,
        media_type: str | None = None,
        category: Category | None = None,
        at: datetime | None = None,
        reason: str | None = None,
    ) -> Artifact:
        """Put an artifact there, or its next version when there is one of this name."""
        handle = f"a{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}_k3x9"
        found = detect(name, InMemory(content))
        history = self.history.setdefault(handle, [])
        made = at or NOON + timedelta(minutes=len(self.contents))
        version = Version(
            artifact_id=ArtifactId(f"art_{handle}"),
            number=len(history) + 1,
            name=name,
            media_type=media_type or found.media_type,
            category=category or found.category,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            created_at=made,
            provenance=Provenance(reason=reason),
        )
        history.insert(0, version)
        self.contents[handle, version.number] = content
        artifact = self.artifacts[handle] = Artifact(
            id=version.artifact_id,
            handle=Handle(handle),
            scope=self.scope,
            type="file",
            title=name if title is None else title,
            created_at=made,
            updated_at=made,
            expires_at=None,
            version=version,
        )
        return artifact

    async def list(self, *, limit: int, cursor: str | None) -> Page:
        place, most = int(cursor or 0), min(limit, self.at_once)
        items = [*reversed(self.artifacts.values())]
        following = str(place + most) if place + most < len(items) else None
        return Page(items=tuple(items[place : place + most]), next_cursor=following)

    async def get(self, reference: str) -> Artifact:
        handle = reference.removeprefix("art_")
        if handle in self.gone or handle not in self.artifacts:
            raise ArtifactNotFound(reference)
        return self.artifacts[handle]

    async def versions(self, reference: str, *, limit: int, before: int | None) -> VersionPage:
        handle = (await self.get(reference)).handle
        found = [each for each in self.history[handle] if before is None or each.number < before]
        some = found[: min(limit, self.at_once)]
        return VersionPage(items=tuple(some), next_before=some[-1].number if len(found) > len(some) else None)

    async def stream(self, reference: str, *, version: int | None) -> AsyncGenerator[bytes]:
        artifact = await self.get(reference)
        content = self.contents[artifact.handle, version or artifact.version.number]
        for start in range(0, len(content), self.chunk):
            yield content[start : start + self.chunk]
        if artifact.handle in self.damaged:
            raise ContentDamaged("a/b")

    def retitle(self, handle: str, title: str) -> None:
        self.artifacts[handle] = replace(self.artifacts[handle], title=title)


def ordinary() -> Shelf:
    """A session with a few artifacts of which one has versions."""
    shelf = Shelf()
    shelf.put("notes.md", b"# Notes\n\nfirst\n")
    shelf.put("notes.md", b"# Notes\n\nsecond\n", reason="it was wrong")
    shelf.put("sales.csv", b"region,units\nnorth,3\nsouth,4\n")
    shelf.put("dot.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    shelf.put("page.html", b"<!doctype html><script>alert(1)</script>")
    shelf.put("empty.txt", b"")
    return shelf


async def exported(shelf: Shelf, *references: str) -> tuple[bytes, Exported]:
    """Return an export as a whole, and what it came to."""
    sink = io.BytesIO()
    made = await export(shelf, sink, references or None)
    return sink.getvalue(), made


def pieces(shelf: Shelf) -> AsyncGenerator[bytes]:
    return Bundle(shelf).pieces()


def unpacked(data: bytes) -> dict[str, bytes]:
    """Return the files of a ZIP by their paths; reading them checks their CRC."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
