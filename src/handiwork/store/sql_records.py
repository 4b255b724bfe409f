"""Records in a SQL database. How the database is opened and brought up to date is known to `sqlite` and `upgrade`."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Table,
    and_,
    func,
    insert,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from handiwork.errors import (
    ArtifactExpired,
    ArtifactNotFound,
    ExecutionNotFound,
    HandleTaken,
    VersionNotFound,
)
from handiwork.ids import ExecutionId
from handiwork.model import Artifact, Execution, Scope
from handiwork.store.cursors import Cursor
from handiwork.store.failures import database_failure
from handiwork.store.keys import BlobKey
from handiwork.store.records import Filed, Page
from handiwork.store.rows import artifact_row, execution_of, execution_row, filed_of, version_row
from handiwork.store.sqlite import FOR_WRITING
from handiwork.store.tables import artifacts, executions, versions

Clock = Callable[[], datetime]

_UNFINISHED = frozenset({"queued", "running"})


def utc_now() -> datetime:
    return datetime.now(UTC)


class SqlRecords:
    """Keeps `Records`' promises on an engine whose database is up to date; the caller disposes of the engine."""

    def __init__(self, engine: AsyncEngine, *, clock: Clock = utc_now) -> None:
        self._reader = engine
        self._writer = engine.execution_options(**FOR_WRITING)
        self._clock = clock

    async def add(self, entries: Sequence[Filed], *, execution: Execution | None = None) -> None:
        _refuse_a_handle_twice(entries)
        try:
            async with _transaction(self._writer) as connection:
                if execution is not None:
                    await self._put_execution(connection, execution)
                for ordinal, entry in enumerate(entries):
                    await connection.execute(insert(artifacts).values(artifact_row(entry.artifact, ordinal=ordinal)))
                    await connection.execute(insert(versions).values(version_row(entry)))
        except IntegrityError as error:
            # Which constraint it was is told in each database's own prose; a look at the rows is plain.
            for entry in entries:
                if await self._handle_is_taken(entry.artifact):
                    raise HandleTaken(entry.artifact.handle) from error
            raise database_failure(error) from error

    async def get(self, scope: Scope, reference: str, *, version: int | None = None) -> Filed:
        number = artifacts.c.head if version is None else version
        query = (
            select(artifacts, versions)
            .join_from(
                artifacts,
                versions,
                and_(versions.c.artifact_id == artifacts.c.id, versions.c.number == number),
                isouter=True,
            )
            .where(_in_scope(scope), _refers(reference))
        )
        async with _transaction(self._reader) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise ArtifactNotFound(reference)
        self._refuse_expired(reference, row[artifacts.c.expires_at])
        if row[versions.c.number] is None:
            raise VersionNotFound(reference, version or 0, head=row[artifacts.c.head])
        return filed_of(row)

    async def page(
        self, scope: Scope, *, type: str | None = None, state: str | None = None, limit: int, cursor: str | None = None
    ) -> Page:
        query = _joined().where(_in_scope(scope), self._is_live(), versions.c.number == artifacts.c.head)
        if type is not None:
            query = query.where(artifacts.c.type == type)
        if state is not None:
            query = query.where(artifacts.c.state == state)
        if cursor is not None:
            after = Cursor.parse(cursor)
            place = tuple_(artifacts.c.created_at, artifacts.c.ordinal, artifacts.c.id)
            query = query.where(place < (after.created_at, after.ordinal, after.id))
        newest_first = (artifacts.c.created_at.desc(), artifacts.c.ordinal.desc(), artifacts.c.id.desc())
        async with _transaction(self._reader) as connection:
            rows = (await connection.execute(query.order_by(*newest_first).limit(limit + 1))).mappings().all()
        shown = rows[:limit]
        following = _place(shown[-1]).spelled() if shown and len(rows) > limit else None
        return Page(items=tuple(filed_of(row).artifact for row in shown), next_cursor=following)

    async def remove(self, scope: Scope, reference: str) -> tuple[BlobKey, ...]:
        async with _transaction(self._writer) as connection:
            found = await connection.execute(
                select(artifacts.c.id, artifacts.c.expires_at).where(_in_scope(scope), _refers(reference))
            )
            row = found.one_or_none()
            if row is None:
                raise ArtifactNotFound(reference)
            self._refuse_expired(reference, row.expires_at)
            await connection.execute(
                update(artifacts).where(_in_scope(scope), artifacts.c.id == row.id).values(expires_at=self._clock())
            )
            keys = await connection.scalars(
                _joined(versions.c.blob_key)
                .where(_in_scope(scope), artifacts.c.id == row.id)
                .order_by(versions.c.number)
            )
            return tuple(BlobKey(key) for key in keys)

    async def add_execution(self, execution: Execution) -> None:
        try:
            async with _transaction(self._writer) as connection:
                await self._put_execution(connection, execution)
        except IntegrityError as error:
            raise database_failure(error) from error

    async def get_execution(self, scope: Scope, execution_id: ExecutionId) -> Execution:
        query = select(executions).where(_in_scope(scope, executions), executions.c.id == execution_id)
        made = (
            _joined()
            .where(_in_scope(scope), self._is_live(), versions.c.execution_id == execution_id)
            .order_by(artifacts.c.created_at, artifacts.c.ordinal)
        )
        async with _transaction(self._reader) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            if row is None:
                raise ExecutionNotFound(execution_id)
            outputs = (await connection.execute(made)).mappings().all()
        return execution_of(row, tuple(filed_of(output).artifact for output in outputs))

    async def sessions(self, tenant: str, user: str, *, limit: int = 1000) -> tuple[str, ...]:
        each = union_all(
            *(
                select(table.c.session, moment.label("at")).where(table.c.tenant == tenant, table.c.user == user)
                for table, moment in ((artifacts, artifacts.c.updated_at), (executions, executions.c.created_at))
            )
        ).subquery()
        query = select(each.c.session).group_by(each.c.session)
        async with _transaction(self._reader) as connection:
            names = await connection.scalars(query.order_by(func.max(each.c.at).desc(), each.c.session).limit(limit))
            return tuple(names)

    async def _put_execution(self, connection: AsyncConnection, execution: Execution) -> None:
        finished_at = None if execution.status in _UNFINISHED else self._clock()
        row = execution_row(execution, finished_at=finished_at)
        known = await connection.execute(
            update(executions)
            .where(_in_scope(execution.scope, executions), executions.c.id == execution.id)
            .values(row)
        )
        if known.rowcount == 0:
            await connection.execute(insert(executions).values(row))

    async def _handle_is_taken(self, artifact: Artifact) -> bool:
        query = select(artifacts.c.id).where(_in_scope(artifact.scope), artifacts.c.handle == artifact.handle)
        async with _transaction(self._reader) as connection:
            return await connection.scalar(query) is not None

    def _is_live(self) -> ColumnElement[bool]:
        return or_(artifacts.c.expires_at.is_(None), artifacts.c.expires_at > self._clock())

    def _refuse_expired(self, reference: str, expires_at: datetime | None) -> None:
        if expires_at is not None and expires_at <= self._clock():
            raise ArtifactExpired(reference, expires_at.isoformat())


@contextlib.asynccontextmanager
async def _transaction(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    try:
        async with engine.begin() as connection:
            yield connection
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise database_failure(error) from error


def _place(row: RowMapping) -> Cursor:
    return Cursor(created_at=row[artifacts.c.created_at], ordinal=row[artifacts.c.ordinal], id=row[artifacts.c.id])


def _refuse_a_handle_twice(entries: Sequence[Filed]) -> None:
    seen: set[tuple[Scope, str]] = set()
    for entry in entries:
        place = (entry.artifact.scope, entry.artifact.handle)
        if place in seen:
            raise HandleTaken(entry.artifact.handle)
        seen.add(place)


def _joined(*columns: ColumnElement[Any]) -> Select[Any]:
    chosen = columns or (artifacts, versions)
    return select(*chosen).join_from(artifacts, versions, versions.c.artifact_id == artifacts.c.id)


def _in_scope(scope: Scope, table: Table = artifacts) -> ColumnElement[bool]:
    return and_(table.c.tenant == scope.tenant, table.c.user == scope.user, table.c.session == scope.session)


def _refers(reference: str) -> ColumnElement[bool]:
    return or_(artifacts.c.id == reference, artifacts.c.handle == reference)
