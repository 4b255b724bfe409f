"""What must hold before something is added: quotas, that nobody has erased the place, or promoted the same before.

Where the numbers come from is known to `settings`; who adds, to `sql_records` and `sql_revisions`.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, select

from handiwork.errors import AlreadyPromoted, QuotaExceeded, ScopeErased, TookTooLong
from handiwork.ids import ArtifactId
from handiwork.model import Artifact, Reach, Scope
from handiwork.store.clauses import is_live, is_over, within
from handiwork.store.erasures import places
from handiwork.store.records import Promotion, Quota, Terms
from handiwork.store.rows import scope_row
from handiwork.store.statements import Statement
from handiwork.store.tables import artifacts, erasures, promotions, sessions, versions

# Bytes that are older and not on record are taken for orphans, after twice this time.
LONGEST = timedelta(minutes=30)

# Of the three places that a session lies in; a list of any length would be put together anew each time.
_PLACES = ("its_tenant", "its_user", "its_session")
_ERASED = Statement(
    select(erasures.c.at).where(
        erasures.c.place.in_([bindparam(name) for name in _PLACES]), erasures.c.at >= bindparam("since")
    )
)


def demand(
    connection: Connection, scope: Scope, terms: Terms, *, artifacts_more: int, size_more: int, now: datetime
) -> None:
    """Raise `QuotaExceeded`, `ScopeErased` or `TookTooLong` when the terms do not hold with this much more."""
    if terms.since is not None:
        if not now - terms.since <= LONGEST:
            raise TookTooLong(int(LONGEST.total_seconds()))
        demand_nothing_erased(connection, scope, terms.since)
    for whose, quota, reach in (
        ("session", terms.session, Reach(tenant=scope.tenant, user=scope.user, session=scope.session)),
        ("user", terms.user, Reach(tenant=scope.tenant, user=scope.user)),
    ):
        if quota.artifacts is not None or quota.size is not None:
            _demand_room(connection, reach, whose, quota, (artifacts_more, size_more), now)


def demand_nothing_erased(connection: Connection, scope: Scope, since: datetime) -> None:
    """Raise `ScopeErased` when session, user or tenant was erased at `since` or later."""
    asked: dict[str, object] = {**dict(zip(_PLACES, places(scope), strict=True)), "since": since}
    if _ERASED.on(connection, asked).first is not None:
        raise ScopeErased(scope.session)


def promoted_to(connection: Connection, scope: Scope, promotion: Promotion, now: datetime) -> ArtifactId | None:
    """Return the artifact that a promotion has come to, if it is there yet."""
    its_artifact = select(promotions.c.artifact_id).join_from(
        promotions, artifacts, artifacts.c.id == promotions.c.artifact_id
    )
    return connection.scalar(its_artifact.where(_is_of(scope, promotion), is_live(now)))


def claim(connection: Connection, artifact: Artifact, promotion: Promotion, now: datetime) -> None:
    """Note an artifact that was added just now as what a promotion has come to. Raises `AlreadyPromoted`."""
    scope = artifact.scope
    if (first := promoted_to(connection, scope, promotion, now)) is not None:
        raise AlreadyPromoted(promotion.tool_call_id, artifact_type=promotion.type, artifact_id=first)
    # What is not there any more may be made anew.
    connection.execute(delete(promotions).where(_is_of(scope, promotion)))
    noted = {"tool_call_id": promotion.tool_call_id, "type": promotion.type, "artifact_id": artifact.id}
    connection.execute(insert(promotions).values(**scope_row(scope), **noted))


def _is_of(scope: Scope, promotion: Promotion) -> ColumnElement[bool]:
    is_its_type = promotions.c.type == promotion.type
    return and_(within(scope, promotions), promotions.c.tool_call_id == promotion.tool_call_id, is_its_type)


def _demand_room(
    connection: Connection, reach: Reach, whose: str, quota: Quota, more: tuple[int, int], now: datetime
) -> None:
    total = select(func.coalesce(func.sum(sessions.c.artifacts), 0), func.coalesce(func.sum(sessions.c.bytes), 0))
    count, size = connection.execute(total.where(within(reach, sessions))).one()
    asked = ((quota.artifacts, count, more[0], "artifacts"), (quota.size, size, more[1], "bytes"))
    # Of what nothing more is asked there may be too much already: somebody has lowered the limit.
    if all(limit is None or not add or used + add <= limit for limit, used, add, _what in asked):
        return
    # What has expired and was not purged yet is nobody's any more.
    over = select(func.count(artifacts.c.id.distinct()), func.coalesce(func.sum(versions.c.size), 0)).join_from(
        artifacts, versions, versions.c.artifact_id == artifacts.c.id
    )
    gone = connection.execute(over.where(within(reach), is_over(now))).one()
    for (limit, used, add, what), free in zip(asked, gone, strict=True):
        if limit is not None and add and used - free + add > limit:
            raise QuotaExceeded(f"{what} per {whose}", used=used - free, asked=add, limit=limit)
