"""The numbers of events under writers that do not know each other; what all logs promise is in `tests/contract`."""

import asyncio
from pathlib import Path

import store_process
from sample_records import ADA
from sqlite_store import open_store

WRITERS, EACH = 8, 15


async def test_numbers_have_no_gaps_and_no_event_is_without_its_change_under_writers_in_two_processes(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as store:
        others = [
            await store_process.start(tmp_path, "s-1", writer=name, writers=WRITERS, count=EACH) for name in ("p", "q")
        ]
        assert await asyncio.wait_for(asyncio.gather(*(other.wait() for other in others)), 60) == [0, 0]

        events = (await store.log.after(ADA, 0, limit=1000)).events
        stored = (await store.records.page(ADA, limit=1000)).items
        (session,) = (await store.records.sessions("default", "ada")).items

    total = 2 * WRITERS * EACH
    assert [event.seq for event in events] == list(range(1, total + 1))
    assert {event.artifact_id for event in events} == {artifact.id for artifact in stored}
    assert (len(stored), session.artifacts, session.size) == (total, total, total * 10)
