"""What survives of collecting and handing off when the process is killed in the middle of it."""

import json
import subprocess
import sys
from pathlib import Path

import kill_keeper
import pytest
import store_state as state

from handiwork import wiring

KILLS = 6


def told_until_killed(data: Path, kill: int) -> list[str]:
    """Let somebody keep until so much was acknowledged, and return all that was."""
    command, told = [sys.executable, kill_keeper.__file__, str(data), f"k{kill}"], list[str]()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        for _ in range(kill + 1):
            told += json.loads(keeper.stdout.readline())
        # It is at the next one by now.
        keeper.kill()
        for line in keeper.stdout:
            told += json.loads(line)
    return told


@pytest.mark.timeout(120)
async def test_what_was_acknowledged_of_a_killed_process_is_there_and_nothing_is_half(tmp_path: Path) -> None:
    data = tmp_path / "data"
    told = [each for kill in range(KILLS) for each in told_until_killed(data, kill)]
    assert len(told) >= 3 * sum(range(1, KILLS + 1))
    async with wiring.open(data, settings=kill_keeper.SETTINGS) as engine:
        session = engine.session("s")
        listed, cursor = list[str](), None
        while True:
            page = await session.list(limit=100, cursor=cursor)
            for artifact in page.items:
                content = (await session.read(artifact.id)).decode()
                name = content.partition("\n")[0].removeprefix("# ")
                assert content.rstrip("\n") == kill_keeper.content_of(name).rstrip("\n")
                listed.append(artifact.id)
            if (cursor := page.next_cursor) is None:
                break
        assert set(told) <= set(listed)
        # Of what was under way at a kill there are at most its three.
        assert len(listed) <= len(told) + 3 * KILLS
    state.assert_events(data)
    state.assert_intact(data)
