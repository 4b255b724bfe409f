"""A folder with a JSON file for each artifact that was collected: written whole or not at all, under its own name.

What a run before has left under a name is replaced, so that the files of two runs can be compared. What becomes of a
file that cannot be written is decided by `collector`.
"""

import json
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from handiwork.collect.artifact import Artifact
from handiwork.collect.naming import slug

DEEPEST = 20
LONGEST_TEXT = 1000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """Where the files of one collector are. The folder is made with the first of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken: set[str] = set()

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
        stem, number = wanted, 1
        while stem in self._taken:
            number += 1
            stem = f"{wanted}-{number}"
        self._taken.add(stem)
        return stem


def plain_json(value: object, *, depth: int = 0) -> object:
    """Return a value with text in the place of all that JSON cannot hold."""
    match value:
        case None | bool() | str():
            return value
        case int() if value.bit_length() <= 64:
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping() if depth < DEEPEST:
            items = cast("Mapping[object, object]", value).items()
            return {_text(key): plain_json(each, depth=depth + 1) for key, each in items}
        case list() | tuple() if depth < DEEPEST:
            return [plain_json(each, depth=depth + 1) for each in cast("Sequence[object]", value)]
        case _:
            return _text(value)


def _text(value: object) -> str:
    try:
        return str(value)[:LONGEST_TEXT]
    except Exception:  # noqa: BLE001  # what a tool has passed on may fail in any way, and must not fail the run
        return f"a {type(value).__name__}"
