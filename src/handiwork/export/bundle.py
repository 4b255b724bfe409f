"""An export while it is written: one ZIP in one pass, a piece at a time. How its page looks is known to `page`.

Of a content nothing is kept but its beginning; page and manifest wait deflated for their place at the end, so that an
export that broke off has neither. The same state gives the same bytes: the order is that of the session, and the times
are those of the records.
"""

import hashlib
import json
import zipfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from handiwork.errors import ArtifactExpired, ArtifactNotFound, ContentDamaged, ContentTooLarge
from handiwork.export import page
from handiwork.export.archive import Outlet, Waiting, entry_info, level_for
from handiwork.export.manifest import FORMAT, FORMAT_VERSION, LARGEST_BYTES, MANIFEST, PAGE, artifact_entry, path_of
from handiwork.export.views import SHOWN_BYTES, reference, shows_text
from handiwork.model import KIB, MIB, Artifact, Scope, Version
from handiwork.shapes import time_shape
from handiwork.store.records import Page
from handiwork.store.revisions import VersionPage
from handiwork.tasks import in_thread
from handiwork.types.image import SCHEME, is_reference, reference_in

MOST_SHOWN_BYTES = 8 * MIB
"""As much text as one page shows: with more, browsers become slow."""
DEFLATED_HERE_BYTES = 16 * KIB
_AT_ONCE = 100


class Verbs(Protocol):
    """What an export asks of a session. What it reads it reads to the end, where its hash is checked."""

    @property
    def scope(self) -> Scope: ...
    async def list(self, *, limit: int, cursor: str | None) -> Page: ...
    async def get(self, reference: str) -> Artifact: ...
    async def versions(self, reference: str, *, limit: int, before: int | None) -> VersionPage: ...
    def stream(self, reference: str, *, version: int | None) -> AsyncGenerator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export came to; `size` is that of the ZIP, in bytes."""

    artifacts: int
    versions: int
    size: int


class Bundle:
    """One export of a session, or of some of its artifacts; the counts are final when the pieces are through."""

    def __init__(self, session: Verbs, references: Sequence[str] | None = None) -> None:
        self.artifacts = self.versions = self.size = 0
        self._session, self._references = session, references
        self._list, self._sections, self._manifest = Waiting(), Waiting(), Waiting()
        self._named: frozenset[str] | None = None
        self._shown_bytes = 0
        self._as_of: datetime | None = None

    @property
    def exported(self) -> Exported:
        return Exported(artifacts=self.artifacts, versions=self.versions, size=self.size)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the ZIP once. A generator that raises, or is closed before its end, has left no whole ZIP.

        Raises:
            ArtifactNotFound, ArtifactExpired: an artifact that was named is not to be had, or has ended meanwhile.
            ContentDamaged: stored bytes are not what was stored.
            ContentTooLarge: there are more versions than a manifest holds.
        """
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                self.size += len(piece)
                yield piece

    async def _pieces(self) -> AsyncGenerator[bytes]:
        outlet = Outlet()
        with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as archive:
            async with aclosing(self._chosen()) as chosen:
                async for artifact in chosen:
                    async with aclosing(self._put_artifact(archive, artifact)) as steps:
                        async for _step in steps:
                            if piece := outlet.taken():
                                yield piece
            for path, chunks in ((PAGE, self._page_chunks()), (MANIFEST, self._manifest_chunks())):
                with archive.open(entry_info(path, self._as_of), "w") as file:
                    for chunk in chunks:
                        await in_thread(file.write, chunk)
                        if piece := outlet.taken():
                            yield piece
        yield outlet.taken()

    async def _chosen(self) -> AsyncGenerator[Artifact]:
        if self._references is not None:
            # All are looked for before the first is written.
            found = [await self._session.get(reference) for reference in self._references]
            named = {each.id: each for each in found}
            self._named = frozenset(named)
            for artifact in named.values():
                yield artifact
            return
        cursor = None
        while True:
            some = await self._session.list(limit=_AT_ONCE, cursor=cursor)
            for artifact in some.items:
                yield artifact
            cursor = some.next_cursor
            if cursor is None:
                return

    async def _put_artifact(self, archive: zipfile.ZipFile, listed: Artifact) -> AsyncGenerator[None]:
        """Write every version, the newest first, stepping after each chunk; then note it for page and manifest."""
        placed: list[tuple[Version, str]] = []
        start: bytes | None = None
        try:
            # At its head as it is now: it may have moved since it was listed.
            artifact = await self._session.get(listed.id)
            async with aclosing(self._versions(artifact)) as versions:
                async for version in versions:
                    async with aclosing(self._session.stream(artifact.id, version=version.number)) as chunks:
                        first = await self._beginning(chunks, artifact)
                        if not placed:
                            artifact = replace(artifact, version=version)
                            start = self._shown_of(artifact, first)
                        placed.append((version, path_of(artifact.handle, version.number, version.name)))
                        async with aclosing(_put(archive, placed[-1], first, chunks)) as steps:
                            async for step in steps:
                                yield step
        except (ArtifactNotFound, ArtifactExpired):
            # It has ended since it was listed. That is no fault as long as nothing of it is in the ZIP.
            if placed or self._references is not None:
                raise
            return
        shown = await self._referred(start or b"") if is_reference(artifact) else None
        await in_thread(self._note, artifact, placed, start, shown)

    async def _referred(self, content: bytes) -> str:
        """Return the view of an image that refers to another."""
        named = reference_in(content) or ""
        found: Artifact | None = None
        with suppress(ArtifactNotFound, ArtifactExpired):
            found = await self._session.get(named)
        path: str | None = None
        if found is not None and (self._named is None or found.id in self._named):
            path = path_of(found.handle, found.version.number, found.version.name)
        return reference(f"{SCHEME}{named}", found, path)

    async def _versions(self, artifact: Artifact) -> AsyncGenerator[Version]:
        before: int | None = artifact.version.number + 1
        while before is not None:
            some = await self._session.versions(artifact.id, limit=_AT_ONCE, before=before)
            for version in some.items:
                yield version
            before = some.next_before

    async def _beginning(self, chunks: AsyncGenerator[bytes], artifact: Artifact) -> bytes:
        """Return the first chunks, as many as a view may want."""
        first = b""
        try:
            async for chunk in chunks:
                first += chunk
                if len(first) >= SHOWN_BYTES:
                    break
        except ContentDamaged:
            # Bytes that are gone because their artifact has ended are not damaged.
            await self._session.get(artifact.id)
            raise
        return first

    def _shown_of(self, artifact: Artifact, first: bytes) -> bytes | None:
        if not shows_text(artifact) or self._shown_bytes >= MOST_SHOWN_BYTES:
            return None
        shown = first[:SHOWN_BYTES]
        self._shown_bytes += len(shown)
        return shown

    def _note(
        self, artifact: Artifact, placed: Sequence[tuple[Version, str]], start: bytes | None, shown: str | None
    ) -> None:
        entry = json.dumps(artifact_entry(artifact, placed), separators=(",", ":"), allow_nan=False)
        self._manifest.add(f"{',' if self.artifacts else ''}\n{entry}")
        if self._manifest.size > LARGEST_BYTES - KIB:
            raise ContentTooLarge(MANIFEST, size=self._manifest.size, limit=LARGEST_BYTES)
        self._list.add(page.entry(artifact))
        self._sections.add(page.section(artifact, placed, start, shown=shown))
        self.artifacts += 1
        self.versions += len(placed)
        self._as_of = max(artifact.updated_at, self._as_of or artifact.updated_at)

    def _page_chunks(self) -> Iterator[bytes]:
        """Yield the page, and note what the manifest says of it."""
        digest, size = hashlib.sha256(), 0
        for chunk in self._page_parts():
            digest.update(chunk)
            size += len(chunk)
            yield chunk
        self._page = {"path": PAGE, "size": size, "sha256": digest.hexdigest()}

    def _page_parts(self) -> Iterator[bytes]:
        yield page.beginning(self._session.scope.session, artifacts=self.artifacts, as_of=self._as_of).encode()
        yield from self._list.chunks()
        yield page.AFTER_LIST.encode()
        yield from self._sections.chunks()
        yield (page.AFTER_ARTIFACTS + page.END).encode()

    def _manifest_chunks(self) -> Iterator[bytes]:
        scope = self._session.scope
        beginning = {"format": FORMAT, "formatVersion": FORMAT_VERSION, "session": scope.session, "user": scope.user}
        end = {"asOf": None if self._as_of is None else time_shape(self._as_of), "page": self._page}
        yield f'{json.dumps(beginning)[:-1]}, "artifacts": ['.encode()
        yield from self._manifest.chunks()
        yield f"\n],\n{json.dumps(end)[1:]}\n".encode()


async def _put(
    archive: zipfile.ZipFile, placed: tuple[Version, str], first: bytes, rest: AsyncGenerator[bytes]
) -> AsyncGenerator[None]:
    """Write one file, stepping after each chunk."""
    version, path = placed
    info = entry_info(path, version.created_at, size=version.size, level=level_for(first))
    with archive.open(info, "w") as file:
        if len(first) <= DEFLATED_HERE_BYTES:
            file.write(first)
        else:
            await in_thread(file.write, first)
        yield
        async for chunk in rest:
            await in_thread(file.write, chunk)
            yield
    yield
