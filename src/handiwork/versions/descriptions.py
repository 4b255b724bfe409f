"""What is said of an artifact beside its content, title, language and metadata, brought together with the head's.

The same rule holds for them as for content: what both changed to different ends is a conflict, and each word is one
place. Content is merged in `texts`, and what a conflict does to a revision is `revising`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from handiwork.model import Artifact, Version
from handiwork.versions.differences import MISSING, Missing, Side, Tokens
from handiwork.versions.merging_text import Conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is to be said of the next version; None is what the head says."""

    title: str | None = None
    language: str | None = None
    metadata: Mapping[str, object] | None = None


def brought_together(base: Version, head: Artifact, said: Description) -> tuple[Description, tuple[Conflict, ...]]:
    """Merge what was said of content that was decided on `base` with what the head says by now.

    Conflicts are on `title`, `language` and `metadata.NAME`.
    """
    if base.number == head.version.number:
        return said, ()
    merging = _Merging()
    now = head.version
    # A version that does not know its title has none to compare with.
    title = merging.word("title", base.provenance.title or head.title, said.title, head.title)
    language = merging.word("language", base.language, said.language, now.language)
    metadata = said.metadata
    if metadata is not None:
        metadata = merging.names(base.metadata, metadata, now.metadata)
    return Description(title=title, language=language, metadata=metadata), tuple(merging.conflicts)


class _Merging:
    def __init__(self) -> None:
        self.conflicts: list[Conflict] = []
        self._tokens = Tokens()

    def word(self, where: str, was: str | None, ours: str | None, theirs: str | None) -> str | None:
        if ours is None:
            return None
        merged = self._merge(where, was, ours, theirs)
        return merged if isinstance(merged, str) else None

    def names(
        self, was: Mapping[str, object], ours: Mapping[str, object], theirs: Mapping[str, object]
    ) -> Mapping[str, object]:
        """Merge by name; one that is not among ours has been taken away."""
        merged: dict[str, object] = {}
        for name in {**theirs, **ours}:
            sides = [cast("Side", each.get(name, MISSING)) for each in (was, ours, theirs)]
            value = self._merge(f"metadata.{name}", *sides)
            if not isinstance(value, Missing):
                merged[name] = value
        return merged

    def _merge(self, where: str, was: Side, ours: Side, theirs: Side) -> Side:
        base, our, their = self._tokens.of(was), self._tokens.of(ours), self._tokens.of(theirs)
        if our in (base, their):
            return theirs
        if their != base:
            self.conflicts.append(Conflict(where=where, base=was, ours=ours, theirs=theirs))
        return ours
