from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from promotions_suite import PromotionsSuite

from handiwork.store.event_log import EventLog
from handiwork.store.expiry import Expiry
from handiwork.store.promotions import Promotions
from handiwork.store.records import Records
from sample_records import Hands
from sqlite_store import Store, open_store


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Hands) -> AsyncGenerator[Store]:
    assert request.param == "sqlite"
    async with open_store(tmp_path, clock=clock) as store:
        yield store


@pytest.fixture
async def other_records(store: Store, tmp_path: Path, clock: Hands) -> AsyncGenerator[Records]:
    """The same store, as another process has it open."""
    async with open_store(tmp_path, clock=clock) as other:
        yield other.records


@pytest.fixture
def promotions(store: Store) -> Promotions:
    return store.promotions


@pytest.fixture
def records(store: Store) -> Records:
    return store.records


@pytest.fixture
def expiry(store: Store) -> Expiry:
    return store.expiry


@pytest.fixture
def log(store: Store) -> EventLog:
    return store.log


class TestPromotions(PromotionsSuite):
    pass
