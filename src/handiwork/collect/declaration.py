"""What a tool declares as an artifact, in the metadata of its answer. What is wrong with it is not judged here.

A declaration is a mapping with `artifact` set, or with the artifact itself under that name.
"""

import json
from collections.abc import Mapping, Sequence
from typing import cast

from handiwork.collect.found import Found
from handiwork.collect.plain import plain_json

KIND = "file"
_OWN = frozenset({"artifact", "kind", "name", "content", "language"})


def items_of(metadata: object) -> Sequence[object]:
    """Return what may be declarations: the items of a list, or the one value."""
    return cast("Sequence[object]", metadata) if isinstance(metadata, (list, tuple)) else [metadata]


def declared(item: object, *, iteration: int) -> Found | None:
    """Return what is declared, and None where nothing is. It raises whatever its values raise when they are read."""
    if not isinstance(item, Mapping):
        return None
    told = cast("Mapping[str, object]", item)
    flag = told.get("artifact")
    if isinstance(flag, Mapping) and flag:
        told = cast("Mapping[str, object]", flag)
    elif not flag:
        return None
    content, language = told.get("content"), told.get("language")
    return Found(
        kind=str(told.get("kind") or KIND),
        name=str(told.get("name") or f"iter{iteration}-unnamed"),
        content=_text(content),
        language=None if language is None else str(language),
        metadata={str(key): value for key, value in told.items() if key not in _OWN},
    )


def _text(content: object) -> str:
    match content:
        case None:
            return ""
        case str():
            return content
        case dict() | list() | tuple():
            return json.dumps(plain_json(cast("object", content)), indent=2, ensure_ascii=False)
        case _:
            return str(content)
