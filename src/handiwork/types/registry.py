"""The artifact types of one engine, by name, and the list of those that every engine has.

What a type is, is in `artifact_type`; how one is marked, in `declaring`.
"""

from collections.abc import Iterable, Iterator

from handiwork.errors import InvalidType, UnknownType
from handiwork.types.artifact_type import ArtifactType
from handiwork.types.code import code_type
from handiwork.types.csv_table import csv_type
from handiwork.types.declaring import declared
from handiwork.types.file import CAP_BYTES, file_type
from handiwork.types.html_sandboxed import html_sandboxed_type
from handiwork.types.image import image_type
from handiwork.types.json_document import json_type
from handiwork.types.markdown import markdown_type
from handiwork.types.svg_image import svg_type
from handiwork.types.tool_result import tool_result_type


def built_in(*, file_cap_bytes: int = CAP_BYTES) -> tuple[ArtifactType, ...]:
    """Return the types that come with Handiwork; tables, images and tool results may be as large as files."""
    return (
        markdown_type(),
        code_type(),
        html_sandboxed_type(),
        json_type(),
        csv_type(cap_bytes=file_cap_bytes),
        svg_type(),
        image_type(cap_bytes=file_cap_bytes),
        file_type(cap_bytes=file_cap_bytes),
        tool_result_type(cap_bytes=file_cap_bytes),
    )


class Registry:
    """A fixed set of types; iterating gives them in the order of declaration."""

    def __init__(self, types: Iterable[object]) -> None:
        """Take types and objects that are marked as types.

        Raises `InvalidType` for what is neither, for a declaration that cannot be, and for a name that is taken.
        """
        self._types: dict[str, ArtifactType] = {}
        self._by_alias: dict[str, ArtifactType] = {}
        for each in types:
            self._add(declared(each))

    def named(self, name: str) -> ArtifactType:
        """Return the type of this name or alias. Raises `UnknownType`, which names those that are known."""
        found = self._by_alias.get(name)
        if found is None:
            raise UnknownType(name, sorted(self._types))
        return found

    def searched(self, name: str | None) -> str | None:
        """Return the name that artifacts of this name or alias have; one that is not known stays as it is."""
        found = None if name is None else self._by_alias.get(name)
        return name if found is None else found.name

    def __iter__(self) -> Iterator[ArtifactType]:
        return iter(self._types.values())

    def _add(self, type_: ArtifactType) -> None:
        for name in (type_.name, *type_.aliases):
            if other := self._by_alias.get(name):
                raise InvalidType(name, problem=f"the name is taken by the type `{other.name}` ({other.label})")
            self._by_alias[name] = type_
        self._types[type_.name] = type_
