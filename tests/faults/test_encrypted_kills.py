"""What survives of an encrypted store when its key changes with every start and every process is killed soon after."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
import store_state as state
from fork_server import ForkServer, Order
from test_store_kills import Told

from handiwork import wiring
from handiwork.retention import GRACE
from handiwork.store.sealed_bytes import MAGIC
from sealed_store import encrypted, new_key

WRITERS = 2
LONGEST_SECONDS = 1.0
SEED = 20261121
# So long after all were begun, which may be in the middle of the change of the key, or after all have opened the store.
MOMENTS: tuple[Literal["group", "ready"], ...] = ("group", "ready")


def run_until_killed(
    server: ForkServer, order: Order, *, after: Literal["group", "ready"], seconds: float, processes: int, told: Told
) -> int:
    """Kill all so long after they were begun, or after all have opened the store; return how many have opened it."""
    server.order([{**order, "first": number * WRITERS} for number in range(processes)])
    said, end = Counter[str](), time.monotonic() + 20
    while (line := server.told(within=max(0.0, end - time.monotonic()))) is not None:
        told.hear(line)
        said.update(line.keys() & {"group", "ready"})
        if after in line and said[after] == (processes if after == "ready" else 1):
            end = time.monotonic() + seconds
    server.kill()
    while (line := server.told()) is not None and "ended" not in line:
        told.hear(line)
    assert line is not None
    assert set(line["ended"]) == {-9}, "control: they were killed, and nobody ended before that"
    return said["ready"]


async def assert_nothing_lost(data: Path, keys: Sequence[Path], told: Told) -> int:
    """Read everything that was acknowledged with the newest key, as its user does; return how much that is."""
    read = 0
    async with wiring.open(data, settings=encrypted(*keys)) as engine:
        rows = state.live_rows(data)
        for id in told.created:
            if id not in rows:
                assert id in told.removing or id in told.passing, f"{id} was acknowledged and is lost"
        for summary in (await engine.sessions()).items:
            session, cursor = engine.session(summary.session), None
            while True:
                page = await session.list(limit=1000, cursor=cursor)
                for artifact in page.items:
                    assert told.created.get(artifact.id, artifact.sha256) == artifact.sha256
                    assert len(await session.read(artifact.id)) == artifact.size
                    assert artifact.name.endswith(".txt")
                    read += 1
                if (cursor := page.next_cursor) is None:
                    break
    state.assert_events(data)
    return read


async def clean_after_the_grace(data: Path, keys: Sequence[Path]) -> None:
    def clock() -> datetime:
        return datetime.now(UTC) + 2 * GRACE

    async with wiring.open(data, settings=encrypted(*keys), clock=clock) as engine:
        await engine.clean()
    assert state.blob_keys(data) == state.known_keys(data), "neither an orphan nor a row without bytes is left"
    state.assert_intact(data)


@pytest.mark.linux
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("processes", "cycles"), [pytest.param(2, 6, marks=pytest.mark.quick), pytest.param(1, 100), pytest.param(3, 100)]
)
def test_a_key_that_changes_while_all_are_killed_loses_nothing(processes: int, cycles: int, tmp_path: Path) -> None:
    data, told, met, chance = tmp_path / "data", Told(), Counter[str](), random.Random(SEED)
    keys: list[Path] = []
    with ForkServer("kill_writer.py") as server:
        for cycle in range(cycles):
            # The newest first. Nobody knows which of them the last cycle has come to, so all are named.
            keys.insert(0, new_key(tmp_path / f"key-{cycle}"))
            order: dict[str, Any] = {"data": str(data), "writers": WRITERS, "seed": SEED + cycle, "named": False}
            order["keys"] = [str(key) for key in keys]
            after, seconds = chance.choice(MOMENTS), chance.uniform(0, LONGEST_SECONDS)
            ready = run_until_killed(server, order, after=after, seconds=seconds, processes=processes, told=told)
            met["opened"] += ready == processes
            met["cut while opening"] += ready < processes
            if cycle % 10 == 9 or cycle == cycles - 1:
                met["read"] += asyncio.run(assert_nothing_lost(data, keys, told))
                keys = keys[:1]
    asyncio.run(clean_after_the_grace(data, keys))

    figures = f"{cycles} cycles, {processes} processes: {told.acknowledged} acknowledged, {dict(met)}"
    print(figures)
    assert told.acknowledged, figures
    assert met["read"], figures
    assert all((data / wiring.BLOB_FOLDER / key).read_bytes().startswith(MAGIC) for key in state.blob_keys(data))
    if cycles >= 100:
        assert met["opened"], figures
        assert met["cut while opening"], figures
