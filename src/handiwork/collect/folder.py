"""A folder with a JSON file for each artifact that was collected: written whole or not at all, under its own name.

What a run before has left under a name is replaced, so that the files of two runs can be compared. What becomes of a
file that cannot be written is decided by `collector`.
"""

import json
import os
import secrets
from pathlib import Path

from handiwork.collect.artifact import Artifact
from handiwork.collect.naming import slug
from handiwork.collect.plain import plain_json

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """Where the files of one collector are. The folder is made with the first of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken: dict[str, int] = {}
        """The names that are taken, each with how many artifacts wanted it."""

    def write(self, artifact: Artifact, *, number: int) -> bool:
        """Write the file of an artifact, the `number`th; False tells that its metadata is no JSON and was made so.

        Raises:
            OSError: there is no such file, nor a part of it.
        """
        stem = self._stem(slug(artifact.name) or f"artifact-{number}")
        told = artifact.to_dict()
        plain = plain_json(told["metadata"])
        text = json.dumps({**told, "metadata": plain}, indent=2)
        self._path.mkdir(parents=True, exist_ok=True)
        draft = self._path / f".{secrets.token_hex(8)}.part"
        try:
            with os.fdopen(os.open(draft, _NEW, 0o666), "w", encoding="ascii") as file:
                file.write(f"{text}\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path / f"{stem}.json")
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return plain == told["metadata"]

    def _stem(self, wanted: str) -> str:
        """Return a name that no artifact of this collector has yet."""
        stem, number = wanted, self._taken.get(wanted, 1)
        while stem in self._taken:
            number += 1
            stem = f"{wanted}-{number}"
        self._taken[wanted] = number
        self._taken.setdefault(stem, 1)
        return stem
