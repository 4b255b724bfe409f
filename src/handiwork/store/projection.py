"""`metadata.json` beside an artifact's bytes, for a person who looks into the folder.

Nothing here is ever read back: the records are the truth.
"""

import asyncio
import contextlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from handiwork.model import Artifact
from handiwork.store.keys import artifact_prefix
from handiwork.tasks import to_the_end

FILE_NAME = "metadata.json"
MOST_WAITING = 1000


class Projections:
    """Describes artifacts in the folders that hold their versions, after the fact and in a thread of its own.

    `root` is that of the blobs. Call `describe` after the commit: whoever stored something does not wait for it. It is
    not synced, what goes wrong here goes wrong in silence, and what would have to wait behind too much is left out.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="handiwork-notes")
        self._room = threading.Semaphore(MOST_WAITING)

    def describe(self, artifact: Artifact) -> None:
        if self._room.acquire(blocking=False):
            self._thread.submit(self._describe, artifact)

    async def settled(self) -> None:
        """Return when what was handed in before is written."""
        await to_the_end(asyncio.get_running_loop().run_in_executor(self._thread, int))

    async def close(self) -> None:
        await self.settled()
        self._thread.shutdown()

    def _describe(self, artifact: Artifact) -> None:
        folder = self._root / artifact_prefix(artifact.scope, artifact.id)
        try:
            with contextlib.suppress(OSError):
                _write(folder / FILE_NAME, json.dumps(_described(artifact), ensure_ascii=False, indent=2))
        finally:
            self._room.release()


def _described(artifact: Artifact) -> dict[str, object]:
    version = artifact.version
    return {
        "id": artifact.id,
        "handle": artifact.handle,
        "type": artifact.type,
        "title": artifact.title,
        "version": version.number,
        "mediaType": version.media_type,
        "size": version.size,
        "createdAt": version.created_at.isoformat(),
        "session": artifact.scope.session,
        "requestId": version.provenance.request_id,
        "name": version.name,
    }


def _write(path: Path, text: str) -> None:
    # Beside its final name: a reader never sees half of it, and the folder is only there once the bytes are.
    draft = path.with_name(f".{path.name}")
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text + "\n")
    draft.replace(path)
