from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from actions_suite import ActionsSuite

from handiwork.store.actions import Actions
from sample_records import Hands
from sqlite_store import Store, open_store


@pytest.fixture
async def other_actions(store: Store, tmp_path: Path, clock: Hands) -> AsyncGenerator[Actions]:
    """The same store, as another process has it open."""
    async with open_store(tmp_path, clock=clock, sealing=store.sealing) as other:
        yield other.actions


class TestActions(ActionsSuite):
    pass
