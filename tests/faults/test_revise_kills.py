"""What survives of revisions and streams when every process of a store is killed at a random moment.

And what becomes of revisions that several processes make at once.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import store_state as state
from fork_server import ForkServer
from kill_reviser import BROKEN, LEDGERS, SETTINGS, STREAMED, lay_out, pieces_of

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
    begun: set[str] = field(default_factory=set[str])
    broken: set[str] = field(default_factory=set[str])
    found: set[str] = field(default_factory=set[str])
    """The streams whose content was found in the store."""
    acknowledged: int = 0

    def hear(self, line: Mapping[str, Any]) -> None:
        match line:
            case {"stored": [id, number, sha256], "entered": name}:
                # Content that is the same as before is answered with the version that has it already.
                assert self.versions.setdefault((id, number), sha256) == sha256
                self.acknowledged += 1
                if name is not None:
                    self.entered.add((id, name))
            case {"begun": name}:
                self.begun.add(name)
            case {"broken": name}:
                self.broken.add(name)
            case _:
                pass


def run_until_killed(server: ForkServer, data: Path, artifacts: list[str], cycle: int, told: Told) -> None:
    chance = random.Random(SEED + cycle)
    order = {"data": str(data), "artifacts": artifacts, "revisers": REVISERS}
    orders = [order | {"who": f"{cycle}-{number}"} for number in range(PROCESSES)]
    server.kill_at_work(orders, hear=told.hear, within=lambda: chance.uniform(0, LONGEST_SECONDS))


def assert_nothing_lost(data: Path, artifacts: list[str], told: Told, *, hashed_from: str) -> tuple[Counter[str], str]:
    """Hold what is there against what was told; read what was made from a moment on, and return the last one."""
    heads = dict(state.asked(data, "SELECT id, head FROM artifacts"))
    titles = state.asked(data, "SELECT id, title FROM artifacts")
    streamed = {id: title for id, title in titles if title in told.begun}
    assert heads.keys() == {*artifacts, *streamed}
    assert len(set(streamed.values())) == len(streamed), "a stream makes one artifact"
    rows = state.asked(data, "SELECT artifact_id, number, blob_key, size, sha256, created_at FROM versions")
    stored = {(id, number): sha256 for id, number, _key, _size, sha256, _at in rows}
    assert told.versions.items() <= stored.items(), "an acknowledged version is lost"
    for id, head in heads.items():
        assert [number for owner, number in sorted(stored) if owner == id] == list(range(1, head + 1))
    for id, number, key, size, sha256, made in rows:
        file = data / wiring.BLOB_FOLDER / key
        assert file.stat().st_size == size, key
        if made >= hashed_from:
            assert state.sha256_of(data, key) == sha256, key
            name = whole_stream(file.read_bytes(), told)
            assert number > 1 or streamed.get(id) == name
    state.assert_events(data)
    announced = state.asked(
        data, "SELECT artifact_id, json_extract(facts, '$.version') FROM events WHERE type = 'artifact-revised'"
    )
    assert sorted(announced) == sorted(version for version in stored if version[1] > 1)
    failed = [id for (id,) in state.asked(data, "SELECT artifact_id FROM events WHERE type = 'artifact-failed'")]
    assert len(failed) >= len(told.broken), "it is told of each stream that broke off"
    assert streamed.keys().isdisjoint(failed), "control: what came of none of them"
    met = Counter(
        unacknowledged=len(stored.keys() - told.versions.keys()) - len(artifacts),
        streams=len(told.found),
        broken=len(told.broken),
        cut_streams=len({name for name in told.begun if name.startswith(STREAMED)} - told.found),
        spares=sum("/~" in key for _id, _number, key, *_rest in rows),
    )
    return met, max(row[-1] for row in rows)


def whole_stream(content: bytes, told: Told) -> str | None:
    """Return the name of the stream that a content came from, and see that it is there from beginning to end."""
    name = content.partition(b"\n")[0].decode()
    assert not name.startswith(BROKEN), "a stream that broke off has left something"
    if not name.startswith(STREAMED):
        return None
    assert content.decode() == "".join(pieces_of(name)), "half a stream was stored"
    assert name in told.begun
    told.found.add(name)
    return name


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

    def clock() -> datetime:
        return datetime.now(UTC) + 2 * GRACE

    async with wiring.open(data, settings=SETTINGS, clock=clock) as engine:
        assert (await engine.clean()).orphans == len(orphans)
        session = engine.session("s")
        for id, number in told.versions:
            assert await session.read(id, version=number) is not None
    assert state.blob_keys(data) == state.known_keys(data), "neither an orphan nor a row without bytes is left"
    state.assert_intact(data)
    return len(orphans)


@pytest.mark.linux
@pytest.mark.timeout(900)
@pytest.mark.parametrize("asked", [pytest.param(5, marks=pytest.mark.quick), None])
def test_no_version_that_was_acknowledged_is_lost_when_all_revisers_are_killed(
    asked: int | None, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    cycles: int = asked or pytestconfig.option.kill_cycles
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
    assert acknowledged >= cycles, figures
    if cycles > CYCLES_OF_A_STORE:
        looked_for = ("orphans", "unacknowledged", "spares", "streams", "broken", "cut_streams")
        assert all(met[what] for what in looked_for), figures


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
