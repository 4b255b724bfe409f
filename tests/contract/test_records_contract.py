from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from records_suite import Hands, RecordsSuite

from handiwork.store.records import Records
from handiwork.store.sql_records import SqlRecords
from handiwork.store.sqlite import open_sqlite
from handiwork.store.upgrade import upgrade


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture(params=["sqlite"])
async def records(request: pytest.FixtureRequest, tmp_path: Path, clock: Hands) -> AsyncGenerator[Records]:
    assert request.param == "sqlite"
    path = tmp_path / "handiwork.db"
    upgrade(path)
    engine = open_sqlite(path)
    yield SqlRecords(engine, clock=clock)
    await engine.dispose()


class TestRecords(RecordsSuite):
    pass
