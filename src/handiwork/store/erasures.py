"""What tells that something was erased: a hash of the place, when, and up to which event.

While it is being erased, that moment lies ahead: so long nothing new is stored there.

What is taken out of the records is known to `sql_expiry`.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from handiwork.model import Reach, Scope
from handiwork.store.clauses import within
from handiwork.store.tables import erasures, sessions


@lru_cache(maxsize=1024)
def places(reach: Scope | Reach) -> tuple[str, ...]:
    """The places that a scope lies in, as hashes: its tenant, its user, its session."""
    names = [name for name in (reach.tenant, reach.user, reach.session) if name is not None]
    return tuple(
        hashlib.sha256("\0".join(names[: n + 1]).encode("utf-8", "surrogatepass")).hexdigest()
        for n in range(len(names))
    )


def note_erasure(connection: Connection, reach: Reach, *, at: datetime, forget_before: datetime) -> None:
    """Note that a place is erased, before its sessions go; `at` may lie ahead. Older notes than `forget_before` go."""
    *above, place = places(reach)
    newest = connection.scalar(select(func.max(sessions.c.last_seq)).where(within(reach, sessions)))
    # The number that comes next is left out: whoever has seen the last one must learn that something happened.
    highest = max(_up_to(connection, [*above, place]), (newest or 0) + 1)
    connection.execute(delete(erasures).where((erasures.c.place == place) | (erasures.c.at < forget_before)))
    connection.execute(insert(erasures).values(place=place, at=at, last_seq=highest))


def note_end(connection: Connection, reach: Reach, *, noted: datetime, at: datetime) -> None:
    """Note when the last of a place was gone, unless somebody has noted something else since `noted`."""
    is_it = and_(erasures.c.place == places(reach)[-1], erasures.c.at == noted)
    connection.execute(update(erasures).where(is_it).values(at=at))


def erased_up_to(connection: Connection, scope: Scope) -> int:
    """Return the number that the events of a new session come after; 0 where nothing was erased."""
    return _up_to(connection, places(scope))


def _up_to(connection: Connection, asked: Sequence[str]) -> int:
    return connection.scalar(select(func.max(erasures.c.last_seq)).where(erasures.c.place.in_(asked))) or 0
