"""What survives when every process of a store is killed at a random moment, again and again."""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import store_state as state
from fork_server import ForkServer
from kill_writer import SETTINGS

from handiwork import wiring
from handiwork.retention import GRACE

WRITERS = 8
CYCLES_OF_A_STORE = 25
LONGEST_SECONDS = 0.4
SEED = 20261121


@dataclass
class Told:
    """What the writers of one store have said: what was acknowledged, and what they were about to do."""

    created: dict[str, str] = field(default_factory=dict[str, str])
    passing: set[str] = field(default_factory=set[str])
    removing: set[str] = field(default_factory=set[str])
    removed: set[str] = field(default_factory=set[str])
    held: dict[str, bool | None] = field(default_factory=dict[str, bool | None])
    begun: set[str] = field(default_factory=set[str])
    finished: set[str] = field(default_factory=set[str])
    acknowledged: int = 0

    def hear(self, line: Mapping[str, Any]) -> None:
        match line:
            case {"created": made, "passing": is_passing}:
                self.created.update(made)
                self.passing.update(id for id, _sha256 in made if is_passing)
                self.acknowledged += len(made)
            case {"removing": id}:
                self.removing.add(id)
            case {"holding": id}:
                self.held[id] = None
            case {"removed": id}:
                self.removed.add(id)
                self.acknowledged += 1
            case {"held": id}:
                self.held[id] = True
                self.acknowledged += 1
            case {"loose": id}:
                self.held[id] = False
                self.acknowledged += 1
            case {"begun": id}:
                self.begun.add(id)
                self.acknowledged += 1
            case {"finished": id}:
                self.finished.add(id)
            case _:
                pass


def run_until_killed(server: ForkServer, data: Path, seed: int, *, processes: int, told: Told) -> None:
    chance = random.Random(seed)
    each = WRITERS // processes
    order = {"data": str(data), "writers": each, "seed": seed, "named": chance.random() < 0.5}
    orders = [order | {"first": number * each} for number in range(processes)]
    server.kill_at_work(orders, hear=told.hear, within=lambda: chance.uniform(0, LONGEST_SECONDS))


async def open_again(data: Path) -> tuple[float, list[str]]:
    """Open the store as after a crash; return how long that took, and who is an owner now."""
    began = time.perf_counter()
    async with wiring.open(data, settings=SETTINGS):
        return time.perf_counter() - began, state.owners(data)


def assert_nothing_lost(data: Path, told: Told, *, hashed_from: str) -> Counter[str]:
    """Hold what is there against what was told; return what the crash has met."""
    rows = state.live_rows(data)
    state.assert_bytes(data, rows, hashed_from=hashed_from)
    state.assert_events(data)
    for id, sha256 in told.created.items():
        if id in rows:
            assert rows[id].sha256 == sha256
            assert id not in told.removed
        else:
            assert id in told.removing or id in told.passing, f"{id} was acknowledged and is lost"
        if (held := told.held.get(id)) is not None and id in rows:
            assert rows[id].held == held
    announced = set(state.asked(data, "SELECT artifact_id, type FROM events WHERE artifact_id IS NOT NULL"))
    assert {(id, "artifact-created") for id in told.created} <= announced
    assert {(id, "artifact-expired") for id in told.removed} <= announced
    runs = dict(state.asked(data, "SELECT id, status FROM executions"))
    assert set(runs.values()) <= {"lost", "succeeded"}, "no run of the dead goes on"
    assert told.begun <= runs.keys()
    assert all(runs[id] == "succeeded" for id in told.finished)
    ended = Counter(
        state.asked(
            data, "SELECT execution_id, type FROM events WHERE execution_id IS NOT NULL AND artifact_id IS NULL"
        )
    )
    assert set(ended.values()) <= {1}
    assert {(id, type) for id in runs for type in ("execution-started", "execution-finished")} == ended.keys()
    return Counter(
        unacknowledged=len(rows.keys() - told.created.keys()),
        lost_runs=sum(status == "lost" for status in runs.values()),
        cut_removals=len(told.removing - told.removed),
    )


async def clean_after_the_grace(data: Path, told: Told) -> int:
    """Clean with a clock that is past the grace, and return how many orphans there were."""
    orphans = state.blob_keys(data) - state.known_keys(data)

    def clock() -> datetime:
        return datetime.now(UTC) + 2 * GRACE

    async with wiring.open(data, settings=SETTINGS, clock=clock) as engine:
        looked = await engine.retention.look()
        cleaned = await engine.clean()
    assert looked.orphans == cleaned.orphans == len(orphans)
    assert state.blob_keys(data) == state.known_keys(data), "neither an orphan nor a row without bytes is left"
    assert_nothing_lost(data, told, hashed_from="")
    state.assert_intact(data)
    return len(orphans)


async def read_all(data: Path, told: Told) -> int:
    """Read everything that is listed as a user does."""
    count = 0
    async with wiring.open(data, settings=SETTINGS) as engine:
        for summary in (await engine.sessions()).items:
            session, cursor = engine.session(summary.session), None
            while True:
                page = await session.list(limit=1000, cursor=cursor)
                for artifact in page.items:
                    content = await session.read(artifact.id)
                    assert told.created.get(artifact.id, artifact.sha256) == artifact.sha256
                    assert len(content) == artifact.size
                    count += 1
                if (cursor := page.next_cursor) is None:
                    break
    return count


@pytest.mark.linux
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("processes", "cycles"),
    [
        pytest.param(1, 8, marks=pytest.mark.quick),
        pytest.param(8, 7, marks=pytest.mark.quick),
        pytest.param(1, 280),
        pytest.param(8, 205),
    ],
)
def test_nothing_that_was_acknowledged_is_lost_when_all_writers_are_killed(
    processes: int, cycles: int, tmp_path: Path
) -> None:
    met, ready, acknowledged, read = Counter[str](), list[float](), 0, 0
    with ForkServer("kill_writer.py") as server:
        for first in range(0, cycles, CYCLES_OF_A_STORE):
            data, told = tmp_path / f"store-{first}", Told()
            hashed_from, store = "", Counter[str]()
            for cycle in range(first, min(cycles, first + CYCLES_OF_A_STORE)):
                run_until_killed(server, data, SEED + cycle, processes=processes, told=told)
                met["drafts"] += len(state.drafts(data))
                met["dead owners"] += len(state.owners(data))
                seconds, owners = asyncio.run(open_again(data))
                ready.append(seconds)
                assert len(owners) == 1, "what the dead have left is swept"
                assert state.drafts(data) == []
                store = assert_nothing_lost(data, told, hashed_from=hashed_from)
                ((hashed_from,),) = state.asked(data, "SELECT coalesce(max(created_at), '') FROM artifacts")
            state.assert_intact(data)
            read += asyncio.run(read_all(data, told))
            met.update(store)
            met["orphans"] += asyncio.run(clean_after_the_grace(data, told))
            acknowledged += told.acknowledged

    figures = f"{cycles} cycles, {processes} processes: {acknowledged} acknowledged, {read} read, {dict(met)}, "
    figures += f"ready again after {statistics.median(ready) * 1000:.0f} ms, at most {max(ready) * 1000:.0f} ms"
    print(figures)
    assert acknowledged >= 2 * cycles, figures
    assert met["dead owners"] == cycles * processes, "control: each of them was in the middle of something"
    assert max(ready) < 5, figures
    if cycles > CYCLES_OF_A_STORE:
        assert acknowledged >= 1_000, figures
        assert all(met[what] for what in ("drafts", "orphans", "unacknowledged", "lost_runs", "cut_removals")), figures
