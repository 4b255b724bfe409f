from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from execution_records_suite import ExecutionRecordsSuite

from handiwork.store.event_log import EventLog
from handiwork.store.execution_records import ExecutionRecords
from handiwork.store.records import Records
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
def executions(store: Store) -> ExecutionRecords:
    return store.executions


@pytest.fixture
def log(store: Store) -> EventLog:
    return store.log


class TestExecutionRecords(ExecutionRecordsSuite):
    pass
