"""Pages of artifacts in a SQL database: which there are, in which order, and where the next page begins.

Where titles and names are sealed, no query can look for a text in them. Then the rows are opened one after the other,
so many at most for one page, and a page may hold fewer than were asked for though more follow. Who asks is not known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, or_, select, tuple_

from handiwork.model import Artifact, Scope
from handiwork.store.clauses import is_live, within
from handiwork.store.cursors import Cursor
from handiwork.store.records import Page, Search
from handiwork.store.rows import filed_of
from handiwork.store.sealing import Sealing
from handiwork.store.tables import artifacts, sessions, versions

OPENED_TOGETHER = 200
OPENED_FOR_A_PAGE = 5000

_PLACE = (artifacts.c.created_at, artifacts.c.ordinal, artifacts.c.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which page of which session."""

    scope: Scope
    search: Search
    limit: int
    after: Cursor | None


def page(connection: Connection, asked: Asked, now: datetime, sealing: Sealing) -> Page:
    """Return what `Records.page` promises, within a transaction of the caller's."""
    query = select(artifacts, versions).join_from(artifacts, versions, versions.c.artifact_id == artifacts.c.id)
    query = query.where(within(asked.scope), is_live(now), versions.c.number == artifacts.c.head)
    query = _narrowed(query, asked.search)
    if asked.search.text and not sealing.is_plain:
        shown, following = _opened(connection, query, asked, sealing)
    else:
        if asked.search.text:
            query = _containing(query, asked.search.text)
        rows = connection.execute(_newest_first(query, asked.after).limit(asked.limit + 1)).mappings().all()
        shown = [filed_of(row, sealing).artifact for row in rows[: asked.limit]]
        following = _place(rows[asked.limit - 1]) if len(rows) > asked.limit > 0 else None
    seq = connection.execute(select(sessions.c.last_seq).where(within(asked.scope, sessions))).scalar()
    next_cursor = None if following is None else following.spelled()
    return Page(items=tuple(shown), next_cursor=next_cursor, seq=seq or 0)


def storable(text: str) -> str:
    """Return `text` as a database takes it: half a surrogate pair and NUL, which are in nothing stored, ask for `?`."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def _narrowed(query: Select[Any], search: Search) -> Select[Any]:
    if search.type is not None:
        query = query.where(artifacts.c.type == storable(search.type))
    if search.without is not None:
        query = query.where(artifacts.c.type != storable(search.without))
    if search.state is not None:
        query = query.where(artifacts.c.state == storable(search.state))
    return query


def _containing(query: Select[Any], text: str) -> Select[Any]:
    wanted = storable(text.lower())
    places = (artifacts.c.title, versions.c.name, artifacts.c.handle)
    return query.where(or_(*(func.lower(place).contains(wanted, autoescape=True) for place in places)))


def _newest_first(query: Select[Any], after: Cursor | None) -> Select[Any]:
    if after is not None:
        query = query.where(tuple_(*_PLACE) < (after.created_at, after.ordinal, after.id))
    return query.order_by(*(column.desc() for column in _PLACE))


def _opened(
    connection: Connection, query: Select[Any], asked: Asked, sealing: Sealing
) -> tuple[list[Artifact], Cursor | None]:
    """Return the artifacts with the text, and after which row the next page begins if there may be one."""
    wanted = storable((asked.search.text or "").lower())
    found: list[Artifact] = []
    last: Cursor | None = asked.after
    for count, row in enumerate(_rows(connection, query, asked.after)):
        if count == OPENED_FOR_A_PAGE or len(found) == asked.limit:
            return found, last
        artifact, last = filed_of(row, sealing).artifact, _place(row)
        if any(wanted in text.lower() for text in (artifact.title, artifact.name, artifact.handle)):
            found.append(artifact)
    return found, None


def _rows(connection: Connection, query: Select[Any], after: Cursor | None) -> Iterator[RowMapping]:
    while True:
        rows = connection.execute(_newest_first(query, after).limit(OPENED_TOGETHER)).mappings().all()
        yield from rows
        if len(rows) < OPENED_TOGETHER:
            return
        after = _place(rows[-1])


def _place(row: RowMapping) -> Cursor:
    return Cursor(created_at=row[artifacts.c.created_at], ordinal=row[artifacts.c.ordinal], id=row[artifacts.c.id])
