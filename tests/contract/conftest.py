"""A store of each back end for the contract suites, and its parts by the names that the suites ask for."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from handiwork.store.event_log import EventLog
from handiwork.store.execution_records import ExecutionRecords
from handiwork.store.expiry import Expiry
from handiwork.store.key_records import KeyRecords
from handiwork.store.records import Records
from handiwork.store.revisions import Revisions
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
def records(store: Store) -> Records:
    return store.records


@pytest.fixture
def revisions(store: Store) -> Revisions:
    return store.revisions


@pytest.fixture
def executions(store: Store) -> ExecutionRecords:
    return store.executions


@pytest.fixture
def expiry(store: Store) -> Expiry:
    return store.expiry


@pytest.fixture
def keys(store: Store) -> KeyRecords:
    return store.keys


@pytest.fixture
def log(store: Store) -> EventLog:
    return store.log
