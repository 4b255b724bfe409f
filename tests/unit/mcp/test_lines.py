"""The way on which a client is told what it has not asked for."""

import asyncio

from handiwork.mcp.lines import Line


async def test_a_line_that_was_opened_anew_stays_open_when_the_old_opening_ends() -> None:
    line = Line(is_open=False)
    old, new = line.opened(), line.opened()
    old.__enter__()
    new.__enter__()
    old.__exit__(None, None, None)
    await asyncio.wait_for(line.until_taking(), 1)

    new.__exit__(None, None, None)

    waiting = asyncio.ensure_future(line.until_taking())
    await asyncio.sleep(0)
    assert not waiting.done(), "control: nobody has it open any more"
    waiting.cancel()
