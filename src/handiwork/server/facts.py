"""What an error knows, as JSON that a client is told: within bounds, and whole where a client goes on from it.

Which errors may be told of at all, and the shape of a problem around these facts, is known to `problems`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from handiwork.errors import EditMissed, HandiworkError, VersionConflict
from handiwork.model import KIB

LONGEST_TEXT = 1000
MOST_ENTRIES = 50
MOST_CONFLICT_BYTES = 256 * KIB
"""How much of the sides of conflicts one answer holds."""

Facts = dict[str, object]

_UNTELLABLE = object()


def facts_of(error: HandiworkError) -> Facts:
    """Return the facts of an error by their names on the wire."""
    own = {name: fact for name, fact in vars(error).items() if not name.startswith("_") and name != "hint"}
    whole: Facts = {}
    match error:
        case VersionConflict():
            whole = _conflicts(error.conflicts)
        case EditMissed() if error.nearest is not None:
            # The next try copies from it; how long it may be is decided where it is looked for.
            whole = {"nearest": dict(error.nearest)}
        case _:
            pass
    facts = {_camel(name): _plain(fact) for name, fact in own.items() if name not in whole}
    return {name: fact for name, fact in facts.items() if fact is not _UNTELLABLE} | whole


def short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"


def _conflicts(conflicts: Sequence[Mapping[str, object]]) -> Facts:
    """Return the conflicts that there is room for, each whole, and how many and which there is none for."""
    room, told = MOST_CONFLICT_BYTES, list[Mapping[str, object]]()
    left_out: list[object] = []
    for conflict in conflicts:
        size = len(json.dumps(conflict))
        if size > room:
            left_out.append(conflict["where"])
            continue
        room -= size
        told.append(conflict)
    return {"conflicts": told, "conflictsLeftOut": len(left_out), "leftOutAt": _plain(left_out)}


def _plain(fact: object) -> object:
    """Return the fact as JSON can hold it, within bounds, or `_UNTELLABLE`."""
    match fact:
        case None | bool() | int():
            return fact
        case float():
            return fact if math.isfinite(fact) else _UNTELLABLE
        case str():
            return short(fact)
        case Mapping():
            entries = list(cast("Mapping[object, object]", fact).items())[:MOST_ENTRIES]
            plain = {short(str(key)): _plain(value) for key, value in entries}
            return {key: value for key, value in plain.items() if value is not _UNTELLABLE}
        case list() | tuple():
            some = [_plain(value) for value in cast("Sequence[Any]", fact)[:MOST_ENTRIES]]
            return [value for value in some if value is not _UNTELLABLE]
        case _:
            return _UNTELLABLE


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
