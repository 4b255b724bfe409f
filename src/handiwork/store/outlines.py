"""What is kept of long content so that parts of it are read fast: the hash of each piece, and where units begin.

It is written with the version and told with a hash of its own, bound to the content: one that was changed, cut or put
elsewhere is as good as none. Which parts are wanted, and what units are, is not known here.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TypedDict, cast

from handiwork.media.places import Place, Places
from handiwork.model import Version
from handiwork.store.blobs import Stored
from handiwork.store.pieces import DIGEST_BYTES, PIECE_BYTES

_CHECK_CHARACTERS = 2 * DIGEST_BYTES


class _Told(TypedDict):
    pieces: str
    places: dict[str, list[tuple[int, int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The hashes of the pieces, one after the other, and the places that are known; further ones may be learned."""

    pieces: bytes
    places: Places = field(default_factory=Places)

    @classmethod
    def of(cls, stored: Stored, places: Places | None = None) -> "Outline | None":
        """Return the outline of content that was stored just now; None of what is short."""
        return cls(pieces=stored.pieces, places=places or Places()) if stored.pieces else None

    @property
    def count(self) -> int:
        return len(self.pieces) // DIGEST_BYTES

    def digest(self, number: int) -> bytes:
        """Return the hash of a piece, counted from 0."""
        return self.pieces[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]


def told(outline: Outline, version: Version) -> str:
    """Return what is kept of the outline of this version's content."""
    places = {units: [[place.offset, place.count] for place in known] for units, known in outline.places.known()}
    facts = json.dumps({"pieces": base64.b64encode(outline.pieces).decode("ascii"), "places": places})
    return _check(facts, version) + facts


def understood(kept: str, version: Version) -> Outline | None:
    """Return the outline that was `told` of this content, or None where it is not certain that it is that."""
    check, facts = kept[:_CHECK_CHARACTERS], kept[_CHECK_CHARACTERS:]
    if check != _check(facts, version):
        return None
    # It is what was written, so it is of this shape.
    said = cast("_Told", json.loads(facts))
    outline = Outline(pieces=base64.b64decode(said["pieces"]))
    for units, known in said["places"].items():
        outline.places.learn(units, [Place(offset, count) for offset, count in known])
    return outline if outline.count == -(-version.size // PIECE_BYTES) else None


def _check(facts: str, version: Version) -> str:
    return hashlib.sha256(f"{version.size} {version.sha256} {facts}".encode("utf-8", "replace")).hexdigest()
