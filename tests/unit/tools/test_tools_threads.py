"""Work that hangs keeps the thread that it has, and no further one."""

import asyncio
import contextlib
import logging
import threading

import pytest

from handiwork.tools.threads import AllHang, Threads

NAME = "handiwork-apart"


def ours() -> int:
    return sum(each.name == NAME for each in threading.enumerate())


async def hang(threads: Threads, name: str, release: threading.Event, *, times: int) -> None:
    for _ in range(times):
        with contextlib.suppress(TimeoutError):
            await threads.do(release.wait, name=name, seconds=0.001)


def until_none_is_left(before: int) -> None:
    for each in threading.enumerate():
        if each.name == NAME:
            each.join(5)
    assert ours() == before


async def test_what_always_hangs_gets_no_thread_for_every_call_and_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads, release, before = Threads(most_of_one=3), threading.Event(), ours()
    await hang(threads, "slow", release, times=3)
    assert ours() - before == 3
    for _ in range(50):
        with pytest.raises(AllHang):
            await threads.do(release.wait, name="slow", seconds=60)
    assert ours() - before == 3
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING] == [
        "`slow` is done without: 3 threads hang, 3 of them in it"
    ]
    # The control: other work goes on, and so does that, when what hung has ended.
    assert await threads.do(lambda: 1, name="other", seconds=5) == 1
    release.set()
    until_none_is_left(before)
    assert await threads.do(lambda: 2, name="slow", seconds=5) == 2
    until_none_is_left(before)


async def test_there_are_only_so_many_in_all_whatever_they_are_called() -> None:
    threads, release, before = Threads(most=4, most_of_one=2), threading.Event(), ours()
    for name in ("a", "b"):
        await hang(threads, name, release, times=2)
    for name in ("a", "c", "d"):
        with pytest.raises(AllHang):
            await threads.do(release.wait, name=name, seconds=60)
    assert ours() - before == 4
    release.set()
    until_none_is_left(before)


async def test_many_at_once_take_turns() -> None:
    threads, before = Threads(most=4, most_of_one=2), ours()
    most, lock, at_work = 0, threading.Lock(), 0

    def work(number: int) -> int:
        nonlocal most, at_work
        with lock:
            at_work += 1
            most = max(most, at_work)
        with lock:
            at_work -= 1
        return number

    done = await asyncio.gather(
        *(threads.do(lambda number=number: work(number), name="one", seconds=5) for number in range(100))
    )
    assert done == list(range(100))
    assert 1 <= most <= 2
    until_none_is_left(before)


async def test_what_waits_for_its_turn_in_vain_is_never_begun() -> None:
    threads, release, before = Threads(most_of_one=1), threading.Event(), ours()
    begun: list[int] = []
    first = asyncio.ensure_future(threads.do(release.wait, name="one", seconds=5))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await threads.do(lambda: begun.append(1), name="one", seconds=0.001)
    release.set()
    assert await first
    until_none_is_left(before)
    assert begun == []


async def test_where_the_system_gives_no_thread_it_is_told_at_once_and_costs_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, before = Threads(most_of_one=1), ours()

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        for _ in range(3):
            with pytest.raises(AllHang):
                await threads.do(lambda: 1, name="one", seconds=60)
    assert await threads.do(lambda: 2, name="one", seconds=60) == 2
    until_none_is_left(before)
