"""The event log in a SQL database, and the row that each session has in it. Who follows the log is not known here."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, update

from handiwork.errors import CursorTooOld
from handiwork.events import Event, EventType, Happening
from handiwork.ids import new_event_id
from handiwork.model import Scope
from handiwork.store.clauses import named, within, within_named
from handiwork.store.database import Database
from handiwork.store.erasures import erased_up_to
from handiwork.store.event_log import Stretch
from handiwork.store.rows import event_of, scope_row
from handiwork.store.statements import Statement
from handiwork.store.tables import UtcTime, events, sessions

TRIMMED_TOGETHER = 200
ASKED_TOGETHER = 200

_GROW = Statement(
    update(sessions)
    .where(within_named(sessions))
    .values(
        last_seq=sessions.c.last_seq + bindparam("more_events"),
        artifacts=sessions.c.artifacts + bindparam("more_artifacts"),
        bytes=sessions.c.bytes + bindparam("more_bytes"),
        updated_at=bindparam("at", type_=UtcTime),
    )
    .returning(sessions.c.last_seq)
)
_TELL = Statement.into(events)


def record(
    connection: Connection,
    scope: Scope,
    happenings: Sequence[Happening],
    *,
    at: datetime,
    added: tuple[int, int] = (0, 0),
) -> None:
    """Write what happened, and what it adds to the session: a number of artifacts, and of their bytes.

    The session's row is written first, and nobody else can write it before this transaction ends. So the numbers of
    the events have no gaps, and their order is the order of the commits.
    """
    artifacts, size = added
    grown = {**named(scope), "more_events": len(happenings), "more_artifacts": artifacts, "more_bytes": size, "at": at}
    known = _GROW.on(connection, grown).first
    if known is None:
        base = erased_up_to(connection, scope)
        last = base + len(happenings)
        first = {"last_seq": last, "first_seq": base + 1, "base_seq": base, "artifacts": artifacts, "bytes": size}
        connection.execute(insert(sessions).values(**scope_row(scope), **first, created_at=at, updated_at=at))
    else:
        last = int(known[0])
    if happenings:
        begin = last - len(happenings) + 1
        _TELL.on(connection, *(_row(scope, h, begin + i, at) for i, h in enumerate(happenings)))


class SqlEvents:
    """Keeps `EventLog`'s promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, scope: Scope, seq: int, *, limit: int) -> Stretch:
        def look(connection: Connection) -> Stretch:
            numbers = (sessions.c.base_seq, sessions.c.first_seq, sessions.c.last_seq)
            standing = select(*numbers).where(within(scope, sessions))
            base, first, last = connection.execute(standing).one_or_none() or (0, 1, 0)
            # 0 is the beginning, wherever that is.
            begin = seq or base
            if not first - 1 <= begin <= last:
                raise CursorTooOld(seq, oldest=first - 1, last=last)
            query = select(events).where(within(scope, events), events.c.seq > begin).order_by(events.c.seq)
            rows = connection.execute(query.limit(limit)).mappings().all()
            return Stretch(events=tuple(map(event_of, rows)), last=last)

        return await self._database.read(look)

    async def latest(self, scope: Scope, types: Sequence[EventType], *, limit: int) -> Sequence[Event]:
        query = select(events).where(within(scope, events), events.c.type.in_(types)).order_by(events.c.seq.desc())

        def look(connection: Connection) -> Sequence[Event]:
            return [event_of(row) for row in connection.execute(query.limit(limit)).mappings()]

        return await self._database.read(look)

    async def newest(self, scopes: Sequence[Scope]) -> Mapping[Scope, int]:
        place = (sessions.c.tenant, sessions.c.user, sessions.c.session)

        def look(connection: Connection) -> dict[Scope, int]:
            found: dict[Scope, int] = {}
            for start in range(0, len(scopes), ASKED_TOGETHER):
                some = [(s.tenant, s.user, s.session) for s in scopes[start : start + ASKED_TOGETHER]]
                query = select(*place, sessions.c.last_seq).where(tuple_(*place).in_(some))
                for tenant, user, session, last in connection.execute(query):
                    found[Scope(tenant=tenant, user=user, session=session)] = last
            return found

        return await self._database.read(look) if scopes else {}

    async def trim(self, *, before: datetime) -> int:
        trimmed = 0
        while some := await self._database.write(lambda connection: _trim(connection, before)):
            trimmed += some
        return trimmed

    async def changed(self, seen: int) -> int:
        return await self._database.changed(seen)


def _trim(connection: Connection, before: datetime) -> int:
    place = (events.c.tenant, events.c.user, events.c.session)
    old = select(*place, func.max(events.c.seq)).where(events.c.at < before).group_by(*place).limit(TRIMMED_TOGETHER)
    trimmed = 0
    for tenant, user, session, last in connection.execute(old).all():
        scope = Scope(tenant=tenant, user=user, session=session)
        connection.execute(update(sessions).where(within(scope, sessions)).values(first_seq=last + 1))
        trimmed += connection.execute(delete(events).where(within(scope, events), events.c.seq <= last)).rowcount
    return trimmed


def _row(scope: Scope, happening: Happening, seq: int, at: datetime) -> dict[str, object]:
    return {
        **scope_row(scope),
        "seq": seq,
        "id": new_event_id(),
        "type": happening.type,
        "artifact_id": happening.artifact_id,
        "execution_id": happening.execution_id,
        "at": at,
        "facts": dict(happening.facts),
    }
