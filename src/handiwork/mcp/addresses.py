"""Addresses of artifacts for clients of MCP: `artifact://SESSION/ID`, with a version and a selector where one is said.

Whether there is an artifact at an address is not known here.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from handiwork.errors import InvalidName

EXPECTED = "`artifact://SESSION/ID`, with `/VERSION` for one that stays and `?select=head=20` for a part"
LONGEST_ADDRESS = 2000

_ADDRESS = re.compile(r"artifact://([^/?#]+)/([A-Za-z0-9_]{1,64})(?:/([1-9][0-9]{0,8}))?(?:\?select=([^#]*))?")
_SHORT = re.compile(r"artifact://([A-Za-z0-9_]{1,64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an artifact is: without a version the newest one, whichever that is; `reference` is its id or handle."""

    session: str
    reference: str
    version: int | None = None
    select: str | None = None

    def __str__(self) -> str:
        version = "" if self.version is None else f"/{self.version}"
        part = "" if self.select is None else f"?select={quote(self.select, safe='=:$.[]')}"
        return f"artifact://{quote(self.session, safe='')}/{self.reference}{version}{part}"

    @classmethod
    def parse(cls, text: str, *, session: str) -> "Address":
        """Read an address; the short form of one, `artifact://ID`, is meant in `session`. Raises `InvalidName`."""
        if short := _SHORT.fullmatch(text):
            return cls(session=session, reference=short[1])
        found = _ADDRESS.fullmatch(text) if len(text) <= LONGEST_ADDRESS else None
        if found is None:
            raise InvalidName("address", text[:200], expected=EXPECTED)
        named, reference, version, part = found.groups()
        try:
            return cls(
                session=unquote(named, errors="strict"),
                reference=reference,
                version=None if version is None else int(version),
                select=None if part is None else unquote(part, errors="strict"),
            )
        except UnicodeDecodeError as wrong:
            raise InvalidName("address", text[:200], expected=EXPECTED) from wrong


def templates_of(session: str) -> tuple[str, str]:
    """Return how the addresses in a session are made: of what follows the head, and of what stays."""
    place = f"artifact://{quote(session, safe='')}/{{id}}"
    return f"{place}{{?select}}", f"{place}/{{version}}{{?select}}"
