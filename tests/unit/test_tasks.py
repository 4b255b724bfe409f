import asyncio
import contextlib
import gc
import weakref

import pytest

from handiwork.tasks import in_thread, is_given_up, to_the_end, trace_of, words_of


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


@pytest.mark.parametrize("is_in_thread", [True, False])
async def test_what_failing_work_has_held_goes_with_its_failure(is_in_thread: bool) -> None:
    held: list[weakref.ref[object]] = []

    class Content:
        pass

    def refuse() -> None:
        content = Content()
        held.append(weakref.ref(content))
        raise LookupError

    async def refuse_here() -> None:
        refuse()

    gc.disable()
    try:
        with contextlib.suppress(LookupError):
            await (in_thread(refuse) if is_in_thread else to_the_end(refuse_here()))
        await asyncio.sleep(0)
        assert [each() for each in held] == [None]
    finally:
        gc.enable()


def test_a_trace_tells_the_kind_and_the_place_and_not_the_message() -> None:
    with pytest.raises(ValueError, match="canary") as failed:
        int("can" + "ary")
    trace = trace_of(failed.value)
    assert trace.startswith("ValueError\n")
    assert "test_tasks.py" in trace
    assert "canary" not in trace


async def test_who_waits_for_what_was_cancelled_is_not_given_up_itself() -> None:
    other = asyncio.ensure_future(asyncio.Event().wait())
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    assert not is_given_up()

    async def caller() -> bool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return is_given_up()
        return False

    given_up = asyncio.ensure_future(caller())
    await asyncio.sleep(0)
    given_up.cancel()
    assert await given_up


def test_a_failure_is_told_even_if_its_message_cannot_be_made() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise KeyError("message")

    assert words_of(Mute()) == "Mute"
    assert words_of(ValueError("no 3")) == "ValueError: no 3"
