"""Where a page of artifacts ended, as a string that goes to a client and comes back. Queries are not made here."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from handiwork.errors import InvalidName


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The place of the last artifact that was shown; the next page begins after it."""

    created_at: datetime
    ordinal: int
    id: str

    def spelled(self) -> str:
        place = json.dumps([self.created_at.isoformat(), self.ordinal, self.id])
        return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, spelled: str) -> "Cursor":
        try:
            padded = spelled + "=" * (-len(spelled) % 4)
            place = cast(list[object], json.loads(base64.b64decode(padded, altchars=b"-_", validate=True)))  # checked
            match place:
                case [str() as moment, int() as ordinal, str() as id]:
                    created_at = datetime.fromisoformat(moment)
                case _:
                    raise _unknown(spelled)
        except (ValueError, RecursionError, binascii.Error) as error:
            raise _unknown(spelled) from error
        if created_at.tzinfo is None or not 0 <= ordinal < 2**31:
            raise _unknown(spelled)
        return cls(created_at=created_at, ordinal=ordinal, id=id)


def _unknown(spelled: str) -> InvalidName:
    return InvalidName("cursor", spelled, expected="the `nextCursor` of an earlier page")
