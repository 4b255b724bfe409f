"""`metadata.json` beside an artifact's bytes, for a person who looks into the folder.

Nothing here is ever read back: the records are the truth.
"""

import asyncio
import contextlib
import json
import os
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from handiwork.ids import ArtifactId
from handiwork.model import Artifact
from handiwork.store.keys import artifact_prefix
from handiwork.tasks import to_the_end

FILE_NAME = "metadata.json"
MOST_WAITING = 1000
TOGETHER_SECONDS = 0.1


class Projections:
    """Describes artifacts in the folders that hold their versions, after the fact and in a thread of its own.

    `root` is that of the blobs. Call `describe` after the commit: whoever stored something does not wait for it, and
    who stores next is not held up by it, since several are written together a moment later. It is not synced, what
    goes wrong here goes wrong in silence, and what would have to wait behind too much is left out.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="handiwork-notes")
        self._waiting: OrderedDict[ArtifactId, Artifact] = OrderedDict()
        self._hurry = threading.Event()
        self._lock = threading.Lock()
        self._is_at_work = False

    def describe(self, artifact: Artifact) -> None:
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                return
            # Of versions that come one soon after the other, only the last is described.
            waiting = self._waiting.get(artifact.id)
            if waiting is None or waiting.version.number <= artifact.version.number:
                self._waiting[artifact.id] = artifact
            must_start, self._is_at_work = not self._is_at_work, True
        if must_start:
            try:
                self._thread.submit(self._write_all)
            except RuntimeError:
                # After the end, or where no thread is to be had, it goes without.
                with self._lock:
                    self._is_at_work = False

    async def settled(self) -> None:
        """Return when what was handed in before is written."""
        self._hurry.set()
        try:
            await to_the_end(asyncio.get_running_loop().run_in_executor(self._thread, int))
        finally:
            self._hurry.clear()

    async def close(self) -> None:
        await self.settled()
        self._thread.shutdown()

    def _write_all(self) -> None:
        self._hurry.wait(TOGETHER_SECONDS)
        while artifact := self._next():
            # Nobody waits for it, and the next ones are described all the same.
            with contextlib.suppress(OSError, ValueError):
                folder = self._root / artifact_prefix(artifact.scope, artifact.id)
                # The first version is there as long as the artifact; a writer who comes too late makes its folder anew.
                if (folder / "1").is_dir():
                    _write(folder / FILE_NAME, json.dumps(_described(artifact), ensure_ascii=False, indent=2))

    def _next(self) -> Artifact | None:
        with self._lock:
            self._is_at_work = bool(self._waiting)
            return self._waiting.popitem(last=False)[1] if self._waiting else None


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
    data = f"{text}\n".encode("utf-8", "backslashreplace")
    try:
        _make(path, data)
    except FileExistsError:
        # Beside its final name: a reader never sees half of it.
        draft = path.with_name(f".{path.name}")
        draft.unlink(missing_ok=True)
        _make(draft, data)
        draft.replace(path)


def _make(path: Path, data: bytes) -> None:
    # The folder is only there once the bytes are.
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        is_whole = os.write(descriptor, data) == len(data)
    except OSError:
        is_whole = False
    finally:
        os.close(descriptor)
    if not is_whole:
        path.unlink(missing_ok=True)
