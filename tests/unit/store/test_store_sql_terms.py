from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from handiwork.errors import ScopeErased
from handiwork.model import Reach, Scope
from handiwork.store.records import Terms
from handiwork.store.sql_expiry import ERASURE_NOTED
from handiwork.store.sql_terms import LONGEST, demand, places
from handiwork.store.tables import erasures
from sample_records import ADA, FOREIGN, NOON
from sqlite_store import Store, open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    async with open_store(tmp_path) as store:
        yield store


async def noted(store: Store) -> list[str]:
    return list(await store.database.read(lambda c: c.scalars(select(erasures.c.place)).all()))


def test_a_scope_lies_in_its_tenant_its_user_and_itself() -> None:
    assert places(ADA)[:2] == places(Reach(tenant="default", user="ada"))
    assert places(ADA)[:1] == places(Reach(tenant="default"))
    assert len({place for scope in (ADA, *FOREIGN) for place in places(scope)}) == 2 + 3 + 4


def test_names_that_read_the_same_in_a_row_are_different_places() -> None:
    assert places(Scope(tenant="a", user="b", session="c"))[2] != places(Scope(tenant="ab", user="", session="c"))[2]


async def test_an_erasure_is_noted_without_a_name_and_forgotten_after_a_day(store: Store) -> None:
    await store.expiry.erase(Reach(tenant="default", user="ada", session="s-1"))
    for _ in range(2):
        await store.expiry.erase(Reach(tenant="default", user="ada"))
    assert sorted(await noted(store)) == sorted(places(ADA)[1:])
    store.clock.now += ERASURE_NOTED + timedelta(seconds=1)
    await store.expiry.erase(Reach(tenant="other"))
    assert await noted(store) == [*places(Reach(tenant="other"))]


def test_an_erasure_is_noted_longer_than_anything_may_take_to_be_stored() -> None:
    assert ERASURE_NOTED > LONGEST


@pytest.mark.parametrize("more", [0, 1])
async def test_whoever_adds_into_what_was_erased_meanwhile_is_refused(store: Store, more: int) -> None:
    await store.expiry.erase(Reach(tenant="default"))
    terms = Terms(since=NOON)
    with pytest.raises(ScopeErased):
        await store.database.read(lambda c: demand(c, ADA, terms, artifacts_more=more, size_more=more, now=NOON))
