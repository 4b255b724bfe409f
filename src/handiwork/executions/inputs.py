"""What a program finds in its folder: the files and artifacts that its order names.

How they get there is the sandbox's.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from handiwork.errors import InputNotFound, InvalidName
from handiwork.model import Artifact, Scope
from handiwork.sandbox.sandbox import Input
from handiwork.store.blobs import Blobs
from handiwork.store.reading import read_verified
from handiwork.store.records import Filed, Records
from handiwork.versions.content import HostFile

MOST_INPUTS = 100

InputReference = str | Path | Artifact

_NAME = re.compile(r"([A-Za-z0-9_]{1,64})(?:@([1-9][0-9]{0,8}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Finds inputs in one store, and on this machine's disk where the caller gives a path."""

    records: Records
    blobs: Blobs

    async def find(self, scope: Scope, references: Sequence[InputReference]) -> list[tuple[Input, str]]:
        """Return each input with the words that the provenance of what is made has for it.

        Raises:
            ArtifactNotFound, ArtifactExpired, InputNotFound, InvalidName: an input cannot be used.
        """
        if isinstance(references, str | Path | Artifact):
            raise TypeError("inputs is a list: put the one input into brackets")
        if len(references) > MOST_INPUTS:
            raise InputNotFound(f"{len(references)} inputs", f"a run takes at most {MOST_INPUTS}")
        found: list[tuple[Input, str]] = []
        names: set[str] = set()
        for reference in references:
            given, origin = await self._one(scope, reference)
            if given.name in names:
                raise InvalidName("input name", given.name, expected="a different name for each input")
            names.add(given.name)
            found.append((given, origin))
        return found

    async def _one(self, scope: Scope, reference: InputReference) -> tuple[Input, str]:
        if isinstance(reference, Path):
            file = HostFile.at(reference)
            return Input(name=reference.name, chunks=file.chunks), f"file:{reference.name}"
        wanted, number = (
            (reference.id, reference.version.number) if isinstance(reference, Artifact) else (reference, None)
        )
        # The disk is not asked: a caller from afar must not learn which files there are.
        if (named := _NAME.fullmatch(wanted)) is None:
            raise InputNotFound(wanted, "text names an artifact by id or handle, and this can be neither")
        wanted, number = named[1], int(named[2]) if named[2] else number
        filed = await self.records.get(scope, wanted, version=number)
        version = filed.artifact.version

        def chunks() -> AsyncIterator[bytes]:
            return read_verified(self.blobs, filed.blob_key, size=version.size, sha256=version.sha256)

        return Input(name=version.name, chunks=chunks), _origin(filed)


def _origin(filed: Filed) -> str:
    return f"{filed.artifact.id}@{filed.artifact.version.number}"
