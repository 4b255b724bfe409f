"""A store of each back end for the contract suites, and its parts by the names that the suites ask for."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from handiwork.store.actions import Actions
from handiwork.store.event_log import EventLog
from handiwork.store.execution_records import ExecutionRecords
from handiwork.store.expiry import Expiry
from handiwork.store.key_records import KeyRecords
from handiwork.store.promotions import Promotions
from handiwork.store.records import Records
from handiwork.store.revisions import Revisions
from handiwork.store.sealing import PLAIN
from sample_records import Hands
from sealed_store import new_vault
from sqlite_store import Store, open_store


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture(params=["sqlite", "sqlite, encrypted"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Hands) -> AsyncGenerator[Store]:
    sealing = new_vault() if "encrypted" in request.param else PLAIN
    async with open_store(tmp_path, clock=clock, sealing=sealing) as store:
        yield store


@pytest.fixture
def records(store: Store) -> Records:
    return store.records


@pytest.fixture
def revisions(store: Store) -> Revisions:
    return store.revisions


@pytest.fixture
def promotions(store: Store) -> Promotions:
    return store.promotions


@pytest.fixture
def actions(store: Store) -> Actions:
    return store.actions


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
