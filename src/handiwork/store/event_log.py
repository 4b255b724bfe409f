"""The seam for the event log: what happened in a session, in order. Who follows it is known to `feed`.

Nothing is written through this seam: an event is written by the change that it tells of, in its transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from handiwork.events import Event, EventType
from handiwork.model import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Some events in order; `last` is the number of the newest event of the session, 0 when there is none."""

    events: tuple[Event, ...]
    last: int


class EventLog(Protocol):
    """Events by session. Each method may raise `StorageFailed`."""

    async def after(self, scope: Scope, seq: int, *, limit: int) -> Stretch:
        """Return the events with a number over `seq`, the oldest first.

        Raises:
            CursorTooOld: events after `seq` are kept no longer, or `seq` is none that the session has reached.
        """
        ...

    async def latest(self, scope: Scope, types: Sequence[EventType], *, limit: int) -> Sequence[Event]:
        """Return the events of these types that are still kept, the newest first, so many at most."""
        ...

    async def newest(self, scopes: Sequence[Scope]) -> Mapping[Scope, int]:
        """Return the number of the newest event of each session; one without events is left out."""
        ...

    async def trim(self, *, before: datetime) -> int:
        """Forget the events from before that moment, and return how many."""
        ...

    async def changed(self, seen: int) -> int:
        """As `Database.changed`: a number that differs from `seen` once anything was written."""
        ...
