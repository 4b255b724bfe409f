"""Three-way merges: what two sides made of one base, put together. JSON values are merged here, by path.

Texts and tables are merged in `merging_text` and `merging_tables`; where the three versions come from, and what is
done about conflicts, is the caller's.
"""

from collections.abc import Hashable
from dataclasses import replace

from handiwork.versions.differences import MISSING, Json, Missing, Path, Side, Tokens, demand_json, spelled
from handiwork.versions.merging_text import Conflict, Merged, Three, merged_order, regions

# An element is the same one in all versions when it has one of these, the first that all elements have.
_KEYS = ("id", "key", "name")


def merge_values(base: Json, ours: Json, theirs: Json) -> Merged[Json]:
    """Merge JSON by path: objects by name, lists by the key of their elements if they have one, else by position.

    Conflicts name places of `base`, or what was added. Raises `InvalidContent` for a value that is too deep.
    """
    for name, value in (("base", base), ("ours", ours), ("theirs", theirs)):
        demand_json(value, name)
    merging = _Values()
    merged = merging.merge(Three[Side](base, ours, theirs), None)
    if merging.conflicts or isinstance(merged, Missing):
        return Merged(content=None, conflicts=tuple(merging.conflicts))
    return Merged(content=merged)


class _Values:
    def __init__(self) -> None:
        self._tokens = Tokens()
        self.conflicts: list[Conflict] = []

    def merge(self, sides: Three[Side], path: Path) -> Side:
        base, ours, theirs = sides
        was, our, their = self._tokens.of(base), self._tokens.of(ours), self._tokens.of(theirs)
        if our in (their, was):
            # With the base as it was, the other side has its way; where all are the same, so has it.
            return theirs
        if their == was:
            return ours
        if isinstance(ours, dict) and isinstance(theirs, dict) and isinstance(base, (dict, Missing)):
            return self._merge_objects(Three({} if isinstance(base, Missing) else base, ours, theirs), path)
        if isinstance(ours, list) and isinstance(theirs, list) and isinstance(base, (list, Missing)):
            lists = Three([] if isinstance(base, Missing) else base, ours, theirs)
            keyed, before = self._keyed(lists), len(self.conflicts)
            merged = self._merge_positions(lists, path) if keyed is None else self._merge_keyed(*keyed, path)
            if isinstance(base, Missing):
                # Of a list that was not there, no part was there either.
                self.conflicts[before:] = [replace(each, base=MISSING) for each in self.conflicts[before:]]
            return merged
        return self._conflict(sides, path)

    def _merge_objects(self, sides: Three[dict[str, Json]], path: Path) -> Json:
        base, ours, theirs = sides
        merged: dict[str, Json] = {}
        for name in ours | theirs:
            three = Three[Side](base.get(name, MISSING), ours.get(name, MISSING), theirs.get(name, MISSING))
            value = self.merge(three, (path, name))
            if not isinstance(value, Missing):
                merged[name] = value
        return merged

    def _keyed(self, sides: Three[list[Json]]) -> tuple[Three[dict[Hashable, dict[str, Json]]], str] | None:
        for key in _KEYS:
            base, ours, theirs = (self._by_key(elements, key) for elements in sides)
            if base is not None and ours is not None and theirs is not None:
                return Three(base, ours, theirs), key
        return None

    def _by_key(self, elements: list[Json], key: str) -> dict[Hashable, dict[str, Json]] | None:
        """Return the elements by their key, or None unless each has one of its own."""
        found: dict[Hashable, dict[str, Json]] = {}
        for element in elements:
            if not isinstance(element, dict) or not _is_key(value := element.get(key)):
                return None
            found[self._tokens.of(value)] = element
        return found if len(found) == len(elements) else None

    def _merge_keyed(self, sides: Three[dict[Hashable, dict[str, Json]]], key: str, path: Path) -> Json:
        base, ours, theirs = sides
        merged: dict[Hashable, Side] = {}
        for token in base | ours | theirs:
            element = ours.get(token) or theirs.get(token) or base[token]
            three = Three[Side](base.get(token, MISSING), ours.get(token, MISSING), theirs.get(token, MISSING))
            value = element[key]
            assert isinstance(value, (str, int))
            merged[token] = self.merge(three, (path, (key, value)))
        order = merged_order(list(base), list(ours), list(theirs))
        if order is None:
            keys = [[element[key] for element in side.values()] for side in sides]
            return self._conflict(Three[Side](*keys), (path, slice(0, len(base))))
        elements = (merged[token] for token in order)
        return [element for element in elements if not isinstance(element, Missing)]

    def _merge_positions(self, sides: Three[list[Json]], path: Path) -> Json:
        of, merged = self._tokens.of, list[Json]()
        base, ours, theirs = ([of(element) for element in elements] for elements in sides)
        for region in regions(base, ours, theirs):
            parts = Three(sides.base[region.base], sides.ours[region.ours], sides.theirs[region.theirs])
            if region.by != "both":
                merged += parts.theirs if region.by == "theirs" else parts.ours
            elif len(parts.base) == len(parts.ours) == len(parts.theirs):
                triples = zip(parts.base, parts.ours, parts.theirs, strict=True)
                for index, (was, our, their) in enumerate(triples, region.base.start):
                    value = self.merge(Three[Side](was, our, their), (path, index))
                    # Each is there on all sides, so one is left.
                    assert not isinstance(value, Missing)
                    merged.append(value)
            else:
                self._conflict(Three[Side](parts.base, parts.ours, parts.theirs), (path, region.base))
        return merged

    def _conflict(self, sides: Three[Side], path: Path) -> Json:
        self.conflicts.append(Conflict(where=spelled(path), **sides._asdict()))
        return None


def _is_key(value: Side) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)
