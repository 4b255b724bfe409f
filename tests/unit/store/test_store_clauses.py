from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ColumnElement

from handiwork.model import Reach, Scope
from handiwork.store.clauses import is_live, is_over, within
from handiwork.store.tables import artifacts, keys

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def said(clause: ColumnElement[bool]) -> str:
    compiled = select(artifacts.c.id).where(clause).compile(dialect=sqlite.dialect())
    return str(compiled).partition("WHERE ")[2]


@pytest.mark.parametrize(
    ("reach", "asked"),
    [
        (Reach(tenant="t"), ["tenant"]),
        (Reach(tenant="t", user="u"), ["tenant", "user"]),
        (Reach(tenant="t", user="u", session="s"), ["tenant", "user", "session"]),
        (Reach(tenant="t", session="s"), ["tenant", "session"]),
        (Scope(tenant="t", user="u", session="s"), ["tenant", "user", "session"]),
    ],
)
def test_every_bound_of_a_reach_is_asked_for(reach: Scope | Reach, asked: list[str]) -> None:
    clause = said(within(reach))
    assert [name for name in ("tenant", "user", "session") if f"{name} = ?" in clause.replace('"', "")] == asked


def test_a_reach_can_be_asked_of_any_table() -> None:
    assert "keys.tenant = ?" in said(within(Reach(tenant="t"), keys))


@pytest.mark.parametrize("clause", [is_live(NOON), is_over(NOON)], ids=["live", "over"])
def test_what_was_purged_is_neither_alive_nor_to_be_purged(clause: ColumnElement[bool]) -> None:
    assert said(clause).startswith("artifacts.purged_at IS NULL AND")


@pytest.mark.parametrize("moment", [NOON, NOON + timedelta(days=1)])
def test_at_one_moment_the_two_ask_about_the_same_time(moment: datetime) -> None:
    live, over = (
        select(artifacts.c.id).where(clause).compile(dialect=sqlite.dialect()).params
        for clause in (is_live(moment), is_over(moment))
    )
    assert moment in live.values()
    assert moment in over.values()
