"""Further versions, states, facts and labels in a SQL database. First versions are added by `sql_records`."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, select, update

from handiwork.clock import Clock, utc_now
from handiwork.errors import HeadMoved, MarksMoved
from handiwork.events import Happening
from handiwork.model import Artifact, Reach, Scope
from handiwork.store.clauses import is_live, named, within, within_named
from handiwork.store.database import Database
from handiwork.store.records import Arriving, Filed, Terms
from handiwork.store.revisions import Marks, VersionPage
from handiwork.store.rows import told_row, version_of, version_row
from handiwork.store.sealing import PLAIN, Sealing
from handiwork.store.sql_events import record
from handiwork.store.sql_records import find, keep_outlines
from handiwork.store.sql_terms import demand, demand_nothing_erased
from handiwork.store.statements import Statement
from handiwork.store.tables import UtcTime, artifacts, versions

_NEW_VERSION = Statement.into(versions)
_TO_NEW_HEAD = (
    update(artifacts)
    .where(
        within_named(artifacts),
        artifacts.c.id == bindparam("its_id"),
        artifacts.c.head == bindparam("expected"),
        is_live(bindparam("now", type_=UtcTime)),
    )
    .values(head=bindparam("number"), title=bindparam("its_title"), updated_at=bindparam("now", type_=UtcTime))
)
# Where titles are sealed, labels and facts are sealed with them.
_TO_NEW_SEALED_HEAD = _TO_NEW_HEAD.values(
    labels=bindparam("its_labels", type_=artifacts.c.labels.type),
    facts=bindparam("its_facts", type_=artifacts.c.facts.type),
    sealed=bindparam("its_sealed"),
)
_NEW_HEAD, _NEW_SEALED_HEAD = Statement(_TO_NEW_HEAD), Statement(_TO_NEW_SEALED_HEAD)


class SqlRevisions:
    """Keeps `Revisions`' promises on a database that is up to date; the caller closes it."""

    def __init__(self, database: Database, *, clock: Clock = utc_now, sealing: Sealing = PLAIN) -> None:
        self._database, self._clock, self._sealing = database, clock, sealing

    async def add(
        self,
        revised: Filed,
        *,
        expected: int,
        terms: Terms | None = None,
        until: Arriving | None = None,
        restores: int | None = None,
    ) -> Artifact:
        def write(connection: Connection) -> Artifact:
            now = self._clock()
            made = _add(connection, revised, expected, terms or Terms(), now, self._sealing)
            record(connection, made.scope, [_revised(made, restores)], at=now, added=(0, made.size))
            if until is not None:
                until.wait()
            return made

        return await self._database.write(write, first=None if until is None else until.begin)

    async def listing(
        self, reach: Scope | Reach, reference: str, *, limit: int, before: int | None = None
    ) -> VersionPage:
        def look(connection: Connection) -> VersionPage:
            head = find(connection, reach, reference, None, self._clock(), self._sealing).artifact
            query = select(versions).join(artifacts, versions.c.artifact_id == artifacts.c.id)
            query = query.where(within(head.scope), versions.c.artifact_id == head.id)
            if before is not None:
                query = query.where(versions.c.number < before)
            rows = connection.execute(query.order_by(versions.c.number.desc()).limit(limit + 1)).mappings().all()
            tenant = head.scope.tenant
            shown = tuple(version_of(row, tenant=tenant, sealing=self._sealing) for row in rows[:limit])
            return VersionPage(items=shown, next_before=shown[-1].number if len(rows) > limit else None)

        return await self._database.read(look)

    async def tell(self, scope: Scope, happening: Happening, *, since: datetime) -> None:
        def write(connection: Connection) -> None:
            demand_nothing_erased(connection, scope, since)
            record(connection, scope, [happening], at=self._clock())

        await self._database.write(write)

    async def mark(self, artifact: Artifact, marks: Marks) -> Artifact:
        return await self._database.write(
            lambda connection: mark(connection, artifact, marks, self._clock(), self._sealing)
        )


def _add(
    connection: Connection, revised: Filed, expected: int, terms: Terms, now: datetime, sealing: Sealing
) -> Artifact:
    artifact, version = revised.artifact, revised.artifact.version
    demand(connection, artifact.scope, terms, artifacts_more=0, size_more=version.size, now=now)
    moved: dict[str, object] = {
        **named(artifact.scope),
        "its_id": artifact.id,
        "expected": expected,
        "number": version.number,
        "its_title": artifact.title,
        "now": now,
    }
    new_head = _NEW_HEAD
    if not sealing.is_plain:
        # What was noted beside the title since the artifact was found stays noted.
        as_it_is = find(connection, artifact.scope, artifact.id, None, now, sealing).artifact
        told = told_row(replace(as_it_is, title=artifact.title), sealing=sealing)
        new_head, moved = _NEW_SEALED_HEAD, moved | {f"its_{name}": value for name, value in told.items()}
    if not new_head.on(connection, moved).rowcount:
        # Gone, or somebody was faster: the first is told by the look itself.
        found = find(connection, artifact.scope, artifact.id, None, now, sealing).artifact
        raise HeadMoved(artifact.id, found.version.number)
    _NEW_VERSION.on(connection, version_row(revised, sealing=sealing))
    keep_outlines(connection, [revised], sealing)
    return replace(artifact, updated_at=now)


def _revised(artifact: Artifact, restores: int | None) -> Happening:
    version = artifact.version
    facts = {"version": version.number, "artifactType": artifact.type, "principal": version.provenance.principal.kind}
    return Happening(
        type="artifact-revised",
        artifact_id=artifact.id,
        execution_id=version.provenance.execution_id,
        facts=facts if restores is None else {**facts, "restores": restores},
    )


def mark(connection: Connection, artifact: Artifact, marks: Marks, now: datetime, sealing: Sealing) -> Artifact:
    """Keep `Revisions.mark`'s promises within a transaction that does more."""
    found = find(connection, artifact.scope, artifact.id, None, now, sealing).artifact
    head = found.version.number if marks.version is None else marks.version
    if (found.state, found.facts, found.version.number) != (artifact.state, artifact.facts, head):
        raise MarksMoved(artifact.id)
    changed = replace(
        found,
        state=found.state if marks.state is None else marks.state,
        facts=found.facts if marks.facts is None else dict(marks.facts),
        labels=found.labels if marks.labels is None else tuple(marks.labels),
    )
    if changed == found:
        return found
    values = {"state": changed.state, "updated_at": now, **told_row(changed, sealing=sealing)}
    is_it = and_(within(found.scope), artifacts.c.id == found.id, is_live(now))
    # Every mark and every version moves the time, so that facts, which not every database compares, go by it.
    is_as_found = and_(
        artifacts.c.state.is_not_distinct_from(found.state),
        artifacts.c.head == head,
        artifacts.c.updated_at == found.updated_at,
    )
    if not connection.execute(update(artifacts).where(is_it, is_as_found).values(**values)).rowcount:
        raise MarksMoved(artifact.id)
    told = {
        name
        for name, was, is_now in (
            ("state", found.state, changed.state),
            ("facts", found.facts, changed.facts),
            ("labels", found.labels, changed.labels),
        )
        if was != is_now
    }
    facts = {"changed": ",".join(sorted(told)), **({} if changed.state is None else {"state": changed.state})}
    facts |= {} if marks.by is None else {"principal": marks.by}
    facts |= {} if marks.action_id is None else {"actionId": marks.action_id}
    record(
        connection,
        artifact.scope,
        [Happening(type="artifact-state-changed", artifact_id=artifact.id, facts=facts)],
        at=now,
    )
    return replace(changed, updated_at=now)
