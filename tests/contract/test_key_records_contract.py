from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from key_records_suite import KeyRecordsSuite

from handiwork.store.key_records import KeyRecords
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
def keys(store: Store) -> KeyRecords:
    return store.keys


class TestKeyRecords(KeyRecordsSuite):
    pass
