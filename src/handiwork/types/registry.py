"""The artifact types of one engine, by name. What a type is, is in `artifact_type`."""

from collections.abc import Iterable, Iterator

from handiwork.errors import UnknownType
from handiwork.types.artifact_type import ArtifactType


class Registry:
    """A fixed set of types; iterating gives them in the order of declaration."""

    def __init__(self, types: Iterable[ArtifactType]) -> None:
        self._types = {each.name: each for each in types}

    def named(self, name: str) -> ArtifactType:
        """Return a type. Raises `UnknownType`, which names those that are known."""
        found = self._types.get(name)
        if found is None:
            raise UnknownType(name, sorted(self._types))
        return found

    def __iter__(self) -> Iterator[ArtifactType]:
        return iter(self._types.values())
