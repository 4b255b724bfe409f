from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from promotions_suite import PromotionsSuite

from handiwork.store.records import Records
from sample_records import Hands
from sqlite_store import Store, open_store


@pytest.fixture
async def other_records(store: Store, tmp_path: Path, clock: Hands) -> AsyncGenerator[Records]:
    """The same store, as another process has it open."""
    async with open_store(tmp_path, clock=clock, sealing=store.sealing) as other:
        yield other.records


class TestPromotions(PromotionsSuite):
    pass
