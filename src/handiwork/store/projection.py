"""`metadata.json` beside an artifact's bytes, for a person who looks into the folder.

Nothing here is ever read back: the records are the truth.
"""

import contextlib
import json
import os
from pathlib import Path

from handiwork.model import Artifact
from handiwork.store.keys import artifact_prefix
from handiwork.store.threads import in_thread

FILE_NAME = "metadata.json"


async def write_projection(root: Path, artifact: Artifact) -> None:
    """Describe the artifact in the folder that holds its versions; `root` is that of the blobs.

    Call it after the commit. It is not synced, and what goes wrong here goes wrong in silence.
    """
    folder = root / artifact_prefix(artifact.scope, artifact.id)
    with contextlib.suppress(OSError):
        await in_thread(_write, folder / FILE_NAME, json.dumps(_described(artifact), ensure_ascii=False, indent=2))


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
