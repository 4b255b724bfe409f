"""What ends, in a SQL database. When it is looked for is decided in `retention`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, tuple_, update

from handiwork.clock import Clock, utc_now
from handiwork.events import Happening
from handiwork.ids import ArtifactId
from handiwork.model import Reach, Scope
from handiwork.store.clauses import is_over, within
from handiwork.store.database import Database
from handiwork.store.erasures import note_end, note_erasure
from handiwork.store.expiry import Due, Erased, Owed
from handiwork.store.keys import BlobKey
from handiwork.store.sql_events import record
from handiwork.store.tables import (
    actions,
    artifacts,
    events,
    executions,
    keys,
    outlines,
    promotions,
    sessions,
    versions,
)

# Longer than any upload or run can last, and than a client is expected to stay away with its cursor.
ERASURE_NOTED = timedelta(days=30)
FORGOTTEN_TOGETHER = 1000


class SqlExpiry:
    """Keeps `Expiry`'s promises."""

    def __init__(self, database: Database, *, clock: Clock = utc_now) -> None:
        self._database, self._clock = database, clock

    async def due(self, *, limit: int) -> Sequence[Due]:
        size = func.coalesce(func.sum(versions.c.size), 0)
        place = (artifacts.c.id, artifacts.c.tenant, artifacts.c.user, artifacts.c.session)
        query = (
            select(*place, size)
            .join_from(artifacts, versions, versions.c.artifact_id == artifacts.c.id, isouter=True)
            .where(is_over(self._clock()))
            .group_by(*place)
            .order_by(artifacts.c.expires_at)
            .limit(limit)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return tuple(
            Due(id=ArtifactId(id), scope=Scope(tenant=tenant, user=user, session=session), size=size)
            for id, tenant, user, session, size in rows
        )

    async def bury(self, artifacts: Sequence[Due]) -> None:
        await self._database.write(lambda connection: _bury(connection, artifacts, self._clock()))

    async def forget(self, *, before: datetime) -> int:
        old = delete(artifacts).where(artifacts.c.purged_at < before)
        forgotten = await self._database.write(lambda connection: connection.execute(old).rowcount)
        # Some at a time: nobody else can write meanwhile, and there may be years of them.
        some = select(executions.c.id).where(executions.c.finished_at < before).limit(FORGOTTEN_TOGETHER)
        ended = delete(executions).where(executions.c.id.in_(some.scalar_subquery()))
        while True:
            count = await self._database.write(lambda connection: connection.execute(ended).rowcount)
            forgotten += count
            if count < FORGOTTEN_TOGETHER:
                return forgotten

    async def erase(self, reach: Reach, *, closed_until: datetime | None = None) -> Erased:
        return await self._database.write(lambda connection: _erase(connection, reach, self._clock(), closed_until))

    async def reopen(self, reach: Reach, *, closed_until: datetime, at: datetime) -> None:
        await self._database.write(lambda connection: note_end(connection, reach, noted=closed_until, at=at))

    async def owed(self) -> Owed:
        query = (
            select(func.count(artifacts.c.id.distinct()), func.coalesce(func.sum(versions.c.size), 0))
            .join_from(artifacts, versions, versions.c.artifact_id == artifacts.c.id, isouter=True)
            .where(is_over(self._clock()))
        )
        count, size = await self._database.read(lambda connection: connection.execute(query).one())
        return Owed(artifacts=count, size=size)

    async def keys_of(self, asked: Sequence[tuple[ArtifactId, int]]) -> Mapping[tuple[ArtifactId, int], BlobKey]:
        query = select(versions.c.artifact_id, versions.c.number, versions.c.blob_key).where(
            tuple_(versions.c.artifact_id, versions.c.number).in_(asked)
        )
        known = await self._database.read(lambda connection: connection.execute(query).all())
        return {(ArtifactId(id), number): BlobKey(key) for id, number, key in known}


def _bury(connection: Connection, dead: Sequence[Due], now: datetime) -> None:
    for each in dead:
        is_removed = (artifacts.c.updated_at == artifacts.c.expires_at).label("is_removed")
        found = connection.execute(select(is_removed).where(artifacts.c.id == each.id, is_over(now))).one_or_none()
        if found is None:
            continue
        buried = update(artifacts).where(artifacts.c.id == each.id)
        connection.execute(buried.values(purged_at=now, title="", labels=[], facts={}, sealed=None, state=None))
        size = connection.scalar(
            select(func.coalesce(func.sum(versions.c.size), 0)).where(versions.c.artifact_id == each.id)
        )
        connection.execute(delete(versions).where(versions.c.artifact_id == each.id))
        connection.execute(delete(outlines).where(outlines.c.artifact_id == each.id))
        connection.execute(delete(promotions).where(promotions.c.artifact_id == each.id))
        connection.execute(delete(actions).where(actions.c.artifact_id == each.id))
        expired = Happening(type="artifact-expired", artifact_id=each.id, facts={"reason": "retention"})
        happenings = [] if found.is_removed else [expired]
        record(connection, each.scope, happenings, at=now, added=(-1, -(size or 0)))


def _erase(connection: Connection, reach: Reach, now: datetime, closed_until: datetime | None) -> Erased:
    note_erasure(connection, reach, at=max(now, closed_until or now), forget_before=now - ERASURE_NOTED)
    of_them = select(artifacts.c.id).where(within(reach))
    size = connection.scalar(
        select(func.coalesce(func.sum(versions.c.size), 0)).where(versions.c.artifact_id.in_(of_them))
    )
    connection.execute(delete(versions).where(versions.c.artifact_id.in_(of_them)))
    connection.execute(delete(outlines).where(outlines.c.artifact_id.in_(of_them)))
    gone = {
        table.name: connection.execute(delete(table).where(within(reach, table))).rowcount
        for table in (actions, promotions, artifacts, executions, events, sessions)
    }
    # That there were keys must stay known, or a server on loopback would be open again.
    nobody = {"name": "", "user": None, "session": None, "secret_sha256": "", "revoked_at": now}
    whose = {} if reach.user is not None else {"tenant": ""}
    connection.execute(update(keys).where(within(reach, keys)).values(**nobody, **whose))
    return Erased(artifacts=gone["artifacts"], executions=gone["executions"], size=size or 0)
