"""The way to a session's loop: from the loop itself, from another, from a thread, and where there is none."""

import asyncio

import pytest

from handiwork.loops import Home


async def loop_now() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def test_work_is_done_in_the_loop_whoever_asks() -> None:
    home = Home(asyncio.get_running_loop())
    assert await home.visit(loop_now()) is home.loop
    assert await asyncio.to_thread(home.wait, loop_now()) is home.loop
    assert await asyncio.to_thread(lambda: asyncio.run(visited(home))) is home.loop


async def visited(home: Home) -> asyncio.AbstractEventLoop:
    return await home.visit(loop_now())


async def test_who_would_wait_for_himself_is_told_what_to_do() -> None:
    home = Home(asyncio.get_running_loop())
    with pytest.raises(RuntimeError, match=r"`handiwork\.open_sync`"):
        home.wait(loop_now())


def test_a_loop_that_does_not_turn_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handiwork.loops.ANSWER_SECONDS", 0.01)
    still = asyncio.new_event_loop()
    try:
        with pytest.raises(RuntimeError, match="is blocked"):
            Home(still).wait(loop_now())
    finally:
        still.close()
