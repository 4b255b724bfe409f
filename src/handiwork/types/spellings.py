"""Names in structured content as its schema spells them: `cook_minutes` is `cookMinutes` where the schema has that.

Content as a whole is spelled by its model; here are the parts of it that a patch names. Whether a name or a value is
allowed is not asked: what no schema knows stays as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from pydantic.alias_generators import to_camel

Schema: TypeAlias = "Mapping[str, Any]"
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

_MOST_ALTERNATIVES = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A place in content, as the schemas that may hold for it; of `root` they take their definitions."""

    root: Schema
    schemas: tuple[Schema, ...]

    def below(self, name: str) -> "tuple[str, Place]":
        """Return how a name, or an index, is spelled here, and the place that it leads to."""
        objects = list(self._alternatives())
        for spelling in (name, to_camel(name)):
            found = [each["properties"][spelling] for each in objects if spelling in each.get("properties", {})]
            if found:
                return spelling, Place(self.root, tuple(found))
        others = [each.get(key) for each in objects for key in ("items", "additionalProperties")]
        return name, Place(self.root, tuple(cast("Schema", each) for each in others if isinstance(each, dict)))

    def spelled(self, value: Json) -> Json:
        """Return the value with all names in it as they are spelled here; it must not be deeper than JSON may be."""
        if isinstance(value, list):
            place = self.below("0")[1]
            return [place.spelled(each) for each in value]
        if not isinstance(value, dict):
            return value
        renamed: dict[str, Json] = {}
        for name, child in value.items():
            spelling, place = self.below(name)
            # A name in both spellings is left for the type to refuse.
            renamed[name if spelling in value else spelling] = place.spelled(child)
        return renamed

    def _alternatives(self) -> Iterator[Schema]:
        waiting, left = list(self.schemas), _MOST_ALTERNATIVES
        while waiting and left:
            schema, left = waiting.pop(), left - 1
            reference = schema.get("$ref")
            if isinstance(reference, str):
                waiting.append(self.root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {}))
            for key in ("anyOf", "oneOf", "allOf"):
                waiting += schema.get(key, ())
            yield schema


def place_of(schema: Schema) -> Place:
    """Return the place of the whole content."""
    return Place(schema, (schema,))


def spelled_way(schema: Schema, names: Sequence[str]) -> tuple[tuple[str, ...], Place]:
    """Return a way into content, spelled as the schema has it, and the place that it leads to."""
    place, way = place_of(schema), list[str]()
    for name in names:
        spelling, place = place.below(name)
        way.append(spelling)
    return tuple(way), place
