from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from handiwork.model import Reach
from handiwork.store.records import Promotion, Terms
from handiwork.store.tables import promotions
from sample_records import filed
from sqlite_store import Store, open_store

TERMS = Terms(promotes=(Promotion(tool_call_id="call-1", type="csv"),))
REACHES = [
    Reach(tenant="default", user="ada", session="s-1"),
    Reach(tenant="default", user="ada"),
    Reach(tenant="default"),
]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    async with open_store(tmp_path) as store:
        await store.records.add([filed()], terms=TERMS)
        yield store


async def rows(store: Store) -> int:
    return await store.database.read(lambda c: c.execute(select(func.count()).select_from(promotions)).scalar_one())


async def test_a_promotion_is_one_row_until_its_artifact_is_purged(store: Store) -> None:
    assert await rows(store) == 1
    store.clock.now += timedelta(days=7)
    await store.expiry.bury(await store.expiry.due(limit=10))
    assert await rows(store) == 0


@pytest.mark.parametrize("reach", REACHES)
async def test_promotions_are_erased_with_what_they_lie_in(store: Store, reach: Reach) -> None:
    await store.expiry.erase(Reach(tenant="default", user="bo"))
    assert await rows(store) == 1
    await store.expiry.erase(reach)
    assert await rows(store) == 0
