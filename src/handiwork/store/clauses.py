"""Conditions that several queries share: whose a row is, and whether it may still be served. No query is made here."""

from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, Table, and_, bindparam, or_

from handiwork.model import Reach, Scope
from handiwork.store.tables import artifacts


def within(reach: Scope | Reach, table: Table = artifacts) -> ColumnElement[bool]:
    """The row is one that the caller may see; a foreign one is as good as none."""
    clause = table.c.tenant == reach.tenant
    if reach.user is not None:
        clause = and_(clause, table.c.user == reach.user)
    if reach.session is not None:
        clause = and_(clause, table.c.session == reach.session)
    return clause


def within_named(table: Table, *, has_user: bool = True, has_session: bool = True) -> ColumnElement[bool]:
    """The same for a statement that is built once; `named` gives the values that it is carried out with.

    Building a statement costs more than carrying it out, which counts where every request needs it.
    """
    clause = table.c.tenant == bindparam("in_tenant")
    if has_user:
        clause = and_(clause, table.c.user == bindparam("in_user"))
    if has_session:
        clause = and_(clause, table.c.session == bindparam("in_session"))
    return clause


def named(reach: Scope | Reach) -> dict[str, str | None]:
    return {"in_tenant": reach.tenant, "in_user": reach.user, "in_session": reach.session}


def is_live(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """The artifact has not expired at `now`, or is held."""
    c = artifacts.c
    return and_(c.purged_at.is_(None), or_(c.held, c.expires_at.is_(None), c.expires_at > now))


def is_over(now: datetime) -> ColumnElement[bool]:
    """The artifact has expired at `now`, and its bytes may be there yet."""
    c = artifacts.c
    return and_(c.purged_at.is_(None), ~c.held, c.expires_at <= now)
