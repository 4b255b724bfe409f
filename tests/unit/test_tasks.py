import asyncio

import pytest

from handiwork.tasks import to_the_end, trace_of


async def test_work_is_seen_to_its_end_however_often_its_caller_is_cancelled() -> None:
    begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go.wait()
        done.set()

    caller = asyncio.ensure_future(to_the_end(work()))
    await begun.wait()
    for _ in range(3):
        caller.cancel()
        await asyncio.sleep(0)
    assert not caller.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(caller, 5)
    assert done.is_set()


async def test_a_caller_that_waits_gets_the_answer_and_the_error() -> None:
    async def answer() -> int:
        return 42

    async def fail() -> None:
        raise ValueError("no")

    assert await to_the_end(answer()) == 42
    with pytest.raises(ValueError, match="no"):
        await to_the_end(fail())


def test_a_trace_tells_the_kind_and_the_place_and_not_the_message() -> None:
    with pytest.raises(ValueError, match="canary") as failed:
        int("can" + "ary")
    trace = trace_of(failed.value)
    assert trace.startswith("ValueError\n")
    assert "test_tasks.py" in trace
    assert "canary" not in trace
