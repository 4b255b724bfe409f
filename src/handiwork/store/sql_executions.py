"""Runs in a SQL database. What a run made is written with its end, by `sql_records`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from handiwork.clock import Clock, utc_now
from handiwork.errors import ExecutionNotFound
from handiwork.events import Happening
from handiwork.ids import ExecutionId
from handiwork.model import UNFINISHED, Execution, Outcome, Reach, Scope
from handiwork.store.clauses import is_live, named, within, within_named
from handiwork.store.database import Database
from handiwork.store.rows import execution_of, execution_row, filed_of
from handiwork.store.sealing import PLAIN, Sealing
from handiwork.store.sql_events import record
from handiwork.store.sql_terms import demand_nothing_erased
from handiwork.store.tables import artifacts, executions, versions

_IS_THIS = executions.c.id == bindparam("this")
_STATUS = select(executions.c.status).where(within_named(executions), _IS_THIS)
_NEW = insert(executions)
_CHANGED = update(executions).where(_IS_THIS)


def put(
    connection: Connection, execution: Execution, *, at: datetime, owner: str | None = None, sealing: Sealing = PLAIN
) -> Sequence[Happening]:
    """Write a run as it stands, and return what that means to those who follow the session.

    A run that has ended stays as it ended: whoever comes later, comes too late.
    """
    finished_at = at if execution.is_finished else None
    row = execution_row(execution, finished_at=finished_at, sealing=sealing) | {"owner": owner}
    known = connection.execute(_STATUS, {**named(execution.scope), "this": execution.id}).scalar()
    if known is None:
        connection.execute(_NEW, {**row, "cancel_requested": False})
    elif known in UNFINISHED:
        connection.execute(_CHANGED, {**row, "this": execution.id})
    else:
        return ()
    told: list[Happening] = []
    if known in (None, "queued") and execution.status != "queued":
        told.append(Happening(type="execution-started", execution_id=execution.id))
    if execution.is_finished:
        facts = {"status": execution.status}
        told.append(Happening(type="execution-finished", execution_id=execution.id, facts=facts))
    return told


class SqlExecutions:
    """Keeps `ExecutionRecords`' promises."""

    def __init__(self, database: Database, *, clock: Clock = utc_now, sealing: Sealing = PLAIN) -> None:
        self._database, self._clock, self._sealing = database, clock, sealing

    async def begin(self, execution: Execution, *, owner: str) -> None:
        def write(connection: Connection) -> None:
            at = self._clock()
            demand_nothing_erased(connection, execution.scope, execution.created_at)
            begun = put(connection, execution, at=at, owner=owner, sealing=self._sealing)
            record(connection, execution.scope, begun, at=at)

        await self._database.write(write)

    async def get(self, reach: Scope | Reach, execution_id: ExecutionId) -> Execution:
        return await self._database.read(
            lambda connection: _found(connection, reach, execution_id, self._clock(), self._sealing)
        )

    async def request_cancel(self, reach: Scope | Reach, execution_id: ExecutionId) -> Execution:
        def write(connection: Connection) -> Execution:
            found = _found(connection, reach, execution_id, self._clock(), self._sealing)
            wanted = update(executions).where(executions.c.id == found.id, executions.c.finished_at.is_(None))
            connection.execute(wanted.values(cancel_requested=True))
            return found

        return await self._database.write(write)

    async def cancel_requests(self, owner: str) -> Sequence[ExecutionId]:
        query = select(executions.c.id).where(
            executions.c.owner == owner, executions.c.cancel_requested, executions.c.finished_at.is_(None)
        )
        found = await self._database.read(lambda connection: connection.scalars(query).all())
        return tuple(map(ExecutionId, found))

    async def owners(self) -> frozenset[str]:
        query = select(executions.c.owner).where(executions.c.owner.is_not(None)).distinct()
        return frozenset(await self._database.read(lambda connection: connection.scalars(query).all()))

    async def lose(self, owner: str) -> int:
        return await self._database.write(lambda connection: _lose(connection, owner, self._clock(), self._sealing))


def _found(
    connection: Connection, reach: Scope | Reach, execution_id: ExecutionId, now: datetime, sealing: Sealing
) -> Execution:
    query = select(executions).where(within(reach, executions), executions.c.id == execution_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise ExecutionNotFound(execution_id)
    made = (
        select(artifacts, versions)
        .join_from(artifacts, versions, versions.c.artifact_id == artifacts.c.id)
        .where(within(reach), is_live(now), versions.c.execution_id == execution_id)
        .order_by(artifacts.c.created_at, artifacts.c.ordinal)
    )
    outputs = connection.execute(made).mappings().all()
    return execution_of(row, tuple(filed_of(output, sealing).artifact for output in outputs), sealing)


def _lose(connection: Connection, owner: str, now: datetime, sealing: Sealing) -> int:
    query = select(executions).where(executions.c.owner == owner, executions.c.finished_at.is_(None))
    left = [execution_of(row, (), sealing) for row in connection.execute(query).mappings().all()]
    for each in left:
        lost = replace(each, outcome=Outcome(status="lost"))
        record(connection, each.scope, put(connection, lost, at=now, sealing=sealing), at=now)
    return len(left)
