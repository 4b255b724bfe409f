"""The seam for facts that nobody shall read in the database: sealed before they are written, opened after.

Which columns those are is known to `rows`, and how they are sealed to `vault`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from handiwork.errors import EncryptionChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The row that facts belong to; what was sealed for one place opens at no other."""

    table: str
    tenant: str
    id: str
    number: int = 0


class Sealing(Protocol):
    """Seals the facts of rows, as far as a deployment wants it."""

    @property
    def is_plain(self) -> bool:
        """Whether no row is sealed, so that a query can look into every column."""
        ...

    def seal(self, place: Place, facts: Mapping[str, object]) -> str | None:
        """Return the facts as text that only `open` can read, or None when they are to be kept as they are."""
        ...

    def open(self, place: Place, sealed: str) -> Mapping[str, object]:
        """Return what was sealed.

        Raises:
            EncryptionChanged: it was sealed under keys that this process has not.
            StorageFailed: it is damaged, or belongs to another place.
        """
        ...


class Plain:
    """Keeps `Sealing`'s promises where nothing is encrypted."""

    is_plain = True

    def seal(self, place: Place, facts: Mapping[str, object]) -> str | None:
        return None

    def open(self, place: Place, sealed: str) -> Mapping[str, object]:
        raise EncryptionChanged("unknown")


PLAIN: Sealing = Plain()
