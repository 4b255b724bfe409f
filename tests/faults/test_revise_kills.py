"""What survives of revisions when every process of a store is killed at a random moment, or several revise at once."""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import store_state as state
from fork_server import ForkServer
from kill_reviser import LEDGERS, SETTINGS, lay_out

from handiwork import wiring
from handiwork.retention import GRACE

PROCESSES = 2
REVISERS = 3
CYCLES_OF_A_STORE = 10
LONGEST_SECONDS = 0.4
SEED = 20261121


@dataclass
class Told:
    """What the revisers of one store have said: the hash of each version, and what was entered into ledgers."""

    versions: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    entered: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    acknowledged: int = 0

    def hear(self, line: dict[str, Any]) -> None:
        if "revised" in line:
            id, number, sha256 = line["revised"]
            # Content that is the same as before is answered with the version that has it already.
            assert self.versions.setdefault((id, number), sha256) == sha256
            self.acknowledged += 1
            if line["entered"] is not None:
                self.entered.add((id, line["entered"]))


def run_until_killed(server: ForkServer, data: Path, artifacts: list[str], cycle: int, told: Told) -> None:
    chance = random.Random(SEED + cycle)
    order = {"data": str(data), "artifacts": artifacts, "revisers": REVISERS}
    server.order([order | {"who": f"{cycle}-{number}"} for number in range(PROCESSES)])
    ready, group, end = 0, 0, None
    while end is None or time.monotonic() < end:
        line = server.told() if end is None else server.told(within=max(0.0, end - time.monotonic()))
        if line is None:
            assert end is not None, "they are never ready"
            break
        told.hear(line)
        ready, group = ready + ("ready" in line), group + ("group" in line)
        if end is None and ready == PROCESSES and group:
            end = time.monotonic() + chance.uniform(0, LONGEST_SECONDS)
    server.kill()
    while (line := server.told()) is not None and "ended" not in line:
        told.hear(line)
    assert line is not None
    assert set(line["ended"]) == {-9}, "control: they were killed, and nobody ended before that"


def assert_nothing_lost(data: Path, artifacts: list[str], told: Told, *, hashed_from: str) -> tuple[Counter[str], str]:
    """Hold what is there against what was told; hash what was made from a moment on, and return the last one."""
    heads = dict(state.asked(data, "SELECT id, head FROM artifacts"))
    assert heads.keys() == set(artifacts)
    rows = state.asked(data, "SELECT artifact_id, number, blob_key, size, sha256, created_at FROM versions")
    stored = {(id, number): sha256 for id, number, _key, _size, sha256, _at in rows}
    assert told.versions.items() <= stored.items(), "an acknowledged version is lost"
    for id, head in heads.items():
        assert [number for owner, number in sorted(stored) if owner == id] == list(range(1, head + 1))
    for _id, _number, key, size, sha256, made in rows:
        assert (data / wiring.BLOB_FOLDER / key).stat().st_size == size, key
        if made >= hashed_from:
            assert state.sha256_of(data, key) == sha256, key
    state.assert_events(data)
    announced = state.asked(
        data, "SELECT artifact_id, json_extract(facts, '$.version') FROM events WHERE type = 'artifact-revised'"
    )
    assert sorted(announced) == sorted(version for version in stored if version[1] > 1)
    met = Counter(
        unacknowledged=len(stored.keys() - told.versions.keys()) - len(artifacts),
        spares=sum("/~" in key for _id, _number, key, *_rest in rows),
    )
    return met, max(row[-1] for row in rows)


async def open_again(data: Path, artifacts: list[str], told: Told) -> None:
    """Open the store as after a crash, and see that every ledger has all that was entered."""
    async with wiring.open(data, settings=SETTINGS) as engine:
        session = engine.session("s")
        assert len(state.owners(data)) == 1, "what the dead have left is swept"
        assert state.drafts(data) == []
        for ledger in artifacts[:LEDGERS]:
            entered = json.loads(await session.read(ledger))
            assert {name for id, name in told.entered if id == ledger} <= entered.keys(), "an update is lost"


async def clean_after_the_grace(data: Path, told: Told) -> int:
    """Clean with a clock that is past the grace, read all versions, and return how many orphans there were."""
    orphans = state.blob_keys(data) - state.known_keys(data)
    clock = lambda: datetime.now(UTC) + 2 * GRACE  # noqa: E731
    async with wiring.open(data, settings=SETTINGS, clock=clock) as engine:
        assert (await engine.clean()).orphans == len(orphans)
        session = engine.session("s")
        for id, number in told.versions:
            assert await session.read(id, version=number) is not None
    assert state.blob_keys(data) == state.known_keys(data), "neither an orphan nor a row without bytes is left"
    state.assert_intact(data)
    return len(orphans)


@pytest.mark.linux
@pytest.mark.timeout(280)
@pytest.mark.parametrize("cycles", [pytest.param(5, marks=pytest.mark.quick), pytest.param(50)])
def test_no_version_that_was_acknowledged_is_lost_when_all_revisers_are_killed(cycles: int, tmp_path: Path) -> None:
    met, acknowledged = Counter[str](), 0
    with ForkServer("kill_reviser.py") as server:
        for first in range(0, cycles, CYCLES_OF_A_STORE):
            data, told, last, store = tmp_path / f"store-{first}", Told(), "", Counter[str]()
            artifacts = asyncio.run(lay_out(data))
            for cycle in range(first, min(cycles, first + CYCLES_OF_A_STORE)):
                run_until_killed(server, data, artifacts, cycle, told)
                asyncio.run(open_again(data, artifacts, told))
                store, last = assert_nothing_lost(data, artifacts, told, hashed_from=last)
            met += store
            met["orphans"] += asyncio.run(clean_after_the_grace(data, told))
            acknowledged += told.acknowledged

    figures = f"{cycles} cycles: {acknowledged} acknowledged, {dict(met)}"
    print(figures)
    assert acknowledged >= 2 * cycles, figures
    if cycles > CYCLES_OF_A_STORE:
        assert all(met[what] for what in ("orphans", "unacknowledged", "spares")), figures


@pytest.mark.linux
@pytest.mark.timeout(120)
@pytest.mark.parametrize("entries", [pytest.param(50, marks=pytest.mark.quick), pytest.param(200)])
def test_processes_that_revise_one_artifact_without_a_pause_lose_no_update(entries: int, tmp_path: Path) -> None:
    artifacts, told = asyncio.run(lay_out(tmp_path)), Told()
    order = {"data": str(tmp_path), "artifacts": artifacts, "entries": entries}
    with ForkServer("kill_reviser.py") as server:
        server.order([order | {"who": str(number)} for number in range(PROCESSES)])
        while (line := server.told()) is not None and "ended" not in line:
            told.hear(line)
    assert line is not None
    assert line["ended"] == [0] * PROCESSES, "each revision was made, however often the other was faster"
    assert told.acknowledged == len(told.entered) == PROCESSES * entries
    asyncio.run(open_again(tmp_path, artifacts, told))
    assert_nothing_lost(tmp_path, artifacts, told, hashed_from="")
    assert state.blob_keys(tmp_path) == state.known_keys(tmp_path), "who was too late leaves nothing"
