"""Artifacts in a SQL database. Runs are known to `sql_executions`, and what ends to `sql_expiry`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    RowMapping,
    and_,
    bindparam,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from handiwork.clock import Clock, utc_now
from handiwork.errors import ArtifactExpired, ArtifactHeld, ArtifactNotFound, HandleTaken, VersionNotFound
from handiwork.events import Happening
from handiwork.ids import ArtifactId, Handle
from handiwork.model import TOOL_RESULT, Artifact, Execution, PrincipalKind, Reach, Scope, SessionSummary
from handiwork.store.clauses import is_live, named, within, within_named
from handiwork.store.cursors import Cursor
from handiwork.store.database import Database
from handiwork.store.failures import database_failure
from handiwork.store.outlines import Outline
from handiwork.store.records import Arriving, Filed, Page, Preview, Search, SessionPage, Terms
from handiwork.store.rows import (
    artifact_row,
    filed_from,
    outline_of,
    outline_row,
    preview_of,
    preview_row,
    version_of,
    version_row,
)
from handiwork.store.sealing import PLAIN, Sealing
from handiwork.store.sql_events import record
from handiwork.store.sql_executions import put
from handiwork.store.sql_pages import Asked, page, storable
from handiwork.store.sql_terms import claim, demand, demand_nothing_erased
from handiwork.store.statements import Statement
from handiwork.store.tables import UtcTime, artifacts, outlines, sessions, versions

LARGEST_NUMBER = 2**31 - 1

_NEW_ARTIFACT, _NEW_VERSION, _NEW_OUTLINE = map(Statement.into, (artifacts, versions, outlines))


class SqlRecords:
    """Keeps `Records`' promises on a database that is up to date; the caller closes it."""

    def __init__(self, database: Database, *, clock: Clock = utc_now, sealing: Sealing = PLAIN) -> None:
        self._database, self._clock, self._sealing = database, clock, sealing

    async def add(
        self,
        entries: Sequence[Filed],
        *,
        execution: Execution | None = None,
        terms: Terms | None = None,
        until: Arriving | None = None,
    ) -> None:
        def write(connection: Connection) -> None:
            _add(connection, entries, execution, terms or Terms(), self._clock(), self._sealing)
            if until is not None:
                until.wait()

        _refuse_a_handle_twice(entries)
        try:
            await self._database.write(write, first=None if until is None else until.begin)
        except IntegrityError as error:
            # Which constraint it was is told in each database's own prose; a look at the rows is plain.
            for entry in entries:
                if await self._handle_is_taken(entry.artifact):
                    raise HandleTaken(entry.artifact.handle) from error
            raise database_failure(error) from error

    async def get(self, reach: Scope | Reach, reference: str, *, version: int | None = None) -> Filed:
        return await self._database.read(
            lambda connection: find(connection, reach, reference, version, self._clock(), self._sealing)
        )

    async def outline(self, filed: Filed) -> Outline | None:
        is_it = and_(outlines.c.artifact_id == filed.artifact.id, outlines.c.blob_key == filed.blob_key)
        query = select(outlines.c.told, outlines.c.sealed).where(is_it)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        return None if row is None else outline_of(row, filed, self._sealing)

    async def page(self, scope: Scope, *, search: Search | None = None, limit: int, cursor: str | None = None) -> Page:
        after = None if cursor is None else Cursor.parse(cursor)
        asked = Asked(scope=scope, search=search or Search(), limit=limit, after=after)
        return await self._database.read(lambda connection: page(connection, asked, self._clock(), self._sealing))

    async def handles(self, scope: Scope, ids: Sequence[ArtifactId]) -> Mapping[ArtifactId, Handle]:
        query = select(artifacts.c.id, artifacts.c.handle).where(within(scope), artifacts.c.id.in_(ids))
        rows = await self._database.read(lambda connection: connection.execute(query).all()) if ids else ()
        return {ArtifactId(id): Handle(handle) for id, handle in rows}

    async def reasons(
        self, scope: Scope, numbered: Sequence[tuple[ArtifactId, int]]
    ) -> Mapping[tuple[ArtifactId, int], str]:
        is_one = tuple_(versions.c.artifact_id, versions.c.number).in_(numbered)
        query = select(versions).join_from(artifacts, versions, versions.c.artifact_id == artifacts.c.id)
        query = query.where(within(scope), is_live(self._clock()), is_one)
        rows = await self._database.read(
            lambda connection: connection.execute(query).mappings().all() if numbered else ()
        )
        found = [version_of(row, tenant=scope.tenant, sealing=self._sealing) for row in rows]
        return {(each.artifact_id, each.number): each.provenance.reason for each in found if each.provenance.reason}

    async def remove(self, reach: Scope | Reach, reference: str, *, by: PrincipalKind | None = None) -> Artifact:
        def write(connection: Connection) -> Artifact:
            now = self._clock()
            artifact = find(connection, reach, reference, None, now, self._sealing).artifact
            if artifact.held:
                raise ArtifactHeld(reference)
            # That both times are the same tells a removal from an expiry.
            ended = update(artifacts).where(within(artifact.scope), artifacts.c.id == artifact.id)
            connection.execute(ended.values(expires_at=now, updated_at=now))
            facts = {"reason": "removed"} | ({} if by is None else {"principal": by})
            removed = Happening(type="artifact-expired", artifact_id=artifact.id, facts=facts)
            record(connection, artifact.scope, [removed], at=now)
            return artifact

        return await self._database.write(write)

    async def hold(self, reach: Scope | Reach, reference: str, *, held: bool) -> Artifact:
        def write(connection: Connection) -> Artifact:
            now = self._clock()
            artifact = find(connection, reach, reference, None, now, self._sealing).artifact
            is_it = and_(within(artifact.scope), artifacts.c.id == artifact.id)
            connection.execute(update(artifacts).where(is_it).values(held=held))
            if not held and artifact.expires_at is not None and artifact.expires_at <= now:
                return replace(artifact, held=False)
            return find(connection, reach, reference, None, now, self._sealing).artifact

        return await self._database.write(write)

    async def sessions(
        self, tenant: str, user: str, *, session: str | None = None, limit: int = 1000, cursor: str | None = None
    ) -> SessionPage:
        query = select(sessions).where(within(Reach(tenant=tenant, user=user, session=session), sessions))
        if cursor is not None:
            after = Cursor.parse(cursor)
            place = (sessions.c.updated_at, sessions.c.session)
            older = sessions.c.updated_at < after.created_at
            query = query.where(or_(older, and_(place[0] == after.created_at, place[1] > after.id)))
        query = query.order_by(sessions.c.updated_at.desc(), sessions.c.session).limit(limit + 1)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        shown = tuple(map(_summary, rows[:limit]))
        following = None
        if len(rows) > limit and shown:
            following = Cursor(created_at=shown[-1].updated_at, ordinal=0, id=shown[-1].session).spelled()
        return SessionPage(items=shown, next_cursor=following)

    async def preview(self, artifact_id: ArtifactId, number: int) -> Preview | bool | None:
        query = select(versions.c.preview).where(_is_version(artifact_id, number))
        return preview_of(await self._database.read(lambda connection: connection.scalar(query)))

    async def note_preview(self, artifact_id: ArtifactId, number: int, preview: Preview | None) -> None:
        noted = update(versions).where(_is_version(artifact_id, number)).values(preview=preview_row(preview))
        await self._database.write(lambda connection: connection.execute(noted).rowcount)

    async def _handle_is_taken(self, artifact: Artifact) -> bool:
        query = select(artifacts.c.id).where(within(artifact.scope), artifacts.c.handle == artifact.handle)
        return await self._database.read(lambda connection: connection.scalar(query)) is not None


def _add(
    connection: Connection,
    entries: Sequence[Filed],
    execution: Execution | None,
    terms: Terms,
    now: datetime,
    sealing: Sealing,
) -> None:
    by_scope: dict[Scope, list[Filed]] = {}
    for entry in entries:
        by_scope.setdefault(entry.artifact.scope, []).append(entry)
    if execution is not None:
        by_scope.setdefault(execution.scope, [])
    ordinals = {entry.artifact.id: ordinal for ordinal, entry in enumerate(entries)}
    for scope, added in by_scope.items():
        size = sum(entry.artifact.size for entry in added)
        if added:
            demand(connection, scope, terms, artifacts_more=len(added), size_more=size, now=now)
            heads = [entry.artifact for entry in added]
            rows = [artifact_row(head, ordinal=ordinals[head.id], sealing=sealing) for head in heads]
            _NEW_ARTIFACT.on(connection, *rows)
            _NEW_VERSION.on(connection, *(version_row(entry, sealing=sealing) for entry in added))
            keep_outlines(connection, added, sealing)
            for entry, promotion in zip(added, terms.promotes, strict=bool(terms.promotes)):
                claim(connection, entry.artifact, promotion, now)
        told = [_created(entry.artifact) for entry in added]
        if execution is not None and execution.scope == scope:
            demand_nothing_erased(connection, scope, execution.created_at)
            run = put(connection, execution, at=now, sealing=sealing)
            told = [*run[:-1], *told, *run[-1:]]
        record(connection, scope, told, at=now, added=(len(added), size))


def keep_outlines(connection: Connection, entries: Sequence[Filed], sealing: Sealing = PLAIN) -> None:
    """Write what is to be kept of the bytes of versions, in the transaction that adds them."""
    rows = [outline_row(entry, entry.outline, sealing=sealing) for entry in entries if entry.outline is not None]
    if rows:
        _NEW_OUTLINE.on(connection, *rows)


def _created(artifact: Artifact) -> Happening:
    facts = {"artifactType": artifact.type, "version": artifact.version.number}
    return Happening(
        type="tool-result-cached" if artifact.type == TOOL_RESULT else "artifact-created",
        artifact_id=artifact.id,
        execution_id=artifact.version.provenance.execution_id,
        facts=facts,
    )


@cache
def _lookup(*, has_user: bool, has_session: bool, is_head: bool) -> Statement:
    number: ColumnElement[int] = artifacts.c.head if is_head else bindparam("number", type_=Integer)
    is_asked_for = and_(versions.c.artifact_id == artifacts.c.id, versions.c.number == number)
    refers = artifacts.c.id == bindparam("reference")
    if has_user and has_session:
        # A handle is unique in its session only, so it names nothing for a caller who sees more than one.
        refers = or_(refers, artifacts.c.handle == bindparam("reference"))
    return Statement(
        select(is_live(bindparam("now", type_=UtcTime)), artifacts, versions)
        .join_from(artifacts, versions, is_asked_for, isouter=True)
        .where(within_named(artifacts, has_user=has_user, has_session=has_session), refers)
    )


def find(
    connection: Connection,
    reach: Scope | Reach,
    reference: str,
    version: int | None,
    now: datetime,
    sealing: Sealing = PLAIN,
) -> Filed:
    """Return what `Records.get` promises, within a transaction of the caller's."""
    lookup = _lookup(has_user=reach.user is not None, has_session=reach.session is not None, is_head=version is None)
    whose = {name: value for name, value in named(reach).items() if value is not None}
    asked: dict[str, object] = {**whose, "reference": storable(reference), "now": now}
    if version is not None:
        # What no column can hold is in no row, and asking for it is no error.
        asked["number"] = max(0, min(version, LARGEST_NUMBER))
    row = lookup.on(connection, asked).first
    if row is None:
        raise ArtifactNotFound(reference)
    is_still_live, rest = row[0], row[1:]
    artifact: dict[str, Any] = dict(zip(artifacts.columns.keys(), rest, strict=False))
    its_version: dict[str, Any] = dict(zip(versions.columns.keys(), rest[len(artifact) :], strict=True))
    if not is_still_live:
        raise ArtifactExpired(reference, artifact["expires_at"].isoformat())
    if its_version["number"] is None:
        raise VersionNotFound(reference, version or 0, head=artifact["head"])
    return filed_from(artifact, its_version, sealing)


def _summary(row: RowMapping) -> SessionSummary:
    return SessionSummary(
        session=row[sessions.c.session],
        created_at=row[sessions.c.created_at],
        updated_at=row[sessions.c.updated_at],
        artifacts=row[sessions.c.artifacts],
        size=row[sessions.c.bytes],
    )


def _refuse_a_handle_twice(entries: Sequence[Filed]) -> None:
    seen: set[tuple[Scope, str]] = set()
    for entry in entries:
        place = (entry.artifact.scope, entry.artifact.handle)
        if place in seen:
            raise HandleTaken(entry.artifact.handle)
        seen.add(place)


def _is_version(artifact_id: ArtifactId, number: int) -> ColumnElement[bool]:
    return and_(versions.c.artifact_id == artifact_id, versions.c.number == number)
