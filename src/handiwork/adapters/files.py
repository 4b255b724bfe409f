"""The artifacts of a session as files with paths, for frameworks whose agents think in files.

A write of a path that is there makes the next version of its artifact. What a path means to a framework, and in which
words it is refused, is known to the adapters.
"""

import asyncio
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakValueDictionary

from handiwork.client.connection import Connection
from handiwork.client.session import RemoteSession
from handiwork.errors import ArtifactExpired, ArtifactNotFound, InvalidName
from handiwork.executions.runs import Runs
from handiwork.model import Artifact, Scope
from handiwork.session import Session
from handiwork.verbs import MOST_ON_A_PAGE

LONGEST_PATH = 1000
LONGEST_QUERY = 200
PATH = "path"
"""The note on a version that tells where it lies below the root; without one it lies there under its name."""


def cleaned(path: str) -> str:
    """Return an absolute path in the one spelling that a file has."""
    return posixpath.normpath("/" + path.lstrip("/")) if path.startswith("/") else ""


class Turns:
    """Who writes a path writes it alone, among all who write through one engine or one connection of this process."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[Scope, str], asyncio.Lock] = WeakValueDictionary()

    def of(self, scope: Scope, path: str) -> asyncio.Lock:
        return self._locks.setdefault((scope, path), asyncio.Lock())


_TURNS: WeakKeyDictionary[Runs | Connection, Turns] = WeakKeyDictionary()


def _turns_of(session: Session | RemoteSession) -> Turns:
    # An engine is a value and cannot be referred to weakly; its runs are there as often and as long as it is.
    way = session.place.connection if isinstance(session, RemoteSession) else session.engine.runs
    return _TURNS.setdefault(way, Turns())


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of one session. Their paths are absolute; where two artifacts claim one, the newest has it."""

    session: Session | RemoteSession
    root: str = "/"
    """What paths are noted from. One that is not below it is noted as it is."""

    async def all(self) -> dict[str, Artifact]:
        """Return every file, by path and in its order."""
        return dict(sorted((await self._named(None)).items()))

    async def find(self, path: str) -> Artifact | None:
        """Return the file at a path, or None."""
        name = posixpath.basename(path)
        # What letters beyond ASCII are like in lower case is not the same in every database.
        is_asked_for = name.isascii() and len(name) <= LONGEST_QUERY
        return (await self._named(name if is_asked_for else None)).get(path)

    async def write(self, path: str, content: bytes, *, notes: Mapping[str, object] | None = None) -> Artifact:
        """Store content at a path, as a new artifact or as the next version of the one that is there.

        `notes` go into the version's metadata; content and notes that are the same as before make no version.

        Raises:
            InvalidName: the path is none of a file.
            What `create` and `revise` raise.
        """
        name = posixpath.basename(path)
        if not name or len(path) > LONGEST_PATH or path != cleaned(path):
            expected = f"an absolute path of a file, without `.` and `..`, at most {LONGEST_PATH:,} characters"
            raise InvalidName("path", path[:100], expected=expected)
        # Two that find nothing at the same time would make two artifacts of one path.
        async with _turns_of(self.session).of(self.session.scope, path):
            if (artifact := await self.find(path)) is not None:
                metadata = {**artifact.version.metadata, **(notes or {})}
                try:
                    return await self.session.revise(artifact.id, content=content, metadata=metadata)
                except (ArtifactExpired, ArtifactNotFound):
                    pass
            noted = self._noted(path)
            metadata = {**({} if noted == name else {PATH: noted}), **(notes or {})}
            return await self.session.create("file", content=content, name=name, metadata=metadata)

    def path_of(self, artifact: Artifact) -> str:
        """Return where an artifact lies."""
        noted = artifact.version.metadata.get(PATH)
        below = noted if isinstance(noted, str) and noted else artifact.name
        return posixpath.normpath(posixpath.join(self.root, below))

    def _noted(self, path: str) -> str:
        base = self.root.rstrip("/") + "/"
        return path.removeprefix(base)

    async def _named(self, name: str | None) -> dict[str, Artifact]:
        found: dict[str, Artifact] = {}
        cursor: str | None = None
        while True:
            page = await self.session.list(query=name, limit=MOST_ON_A_PAGE, cursor=cursor)
            for artifact in page.items:
                found.setdefault(self.path_of(artifact), artifact)
            if (cursor := page.next_cursor) is None:
                return found
