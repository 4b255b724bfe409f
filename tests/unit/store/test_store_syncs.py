import errno
import os
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from file_faults import Watched
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.syncs import HELPERS, Syncs

SECONDS = 5.0


class WaitsForAll(OperatingSystem):
    """Syncs nothing before so many are being synced."""

    def __init__(self, count: int, *, seconds: float = SECONDS) -> None:
        self._gate = threading.Barrier(count, timeout=seconds)

    def sync(self, descriptor: int) -> None:
        self._gate.wait()
        super().sync(descriptor)


class Refuses(Watched):
    """Cannot sync files with these names; the others it notes."""

    def __init__(self, names: str) -> None:
        super().__init__()
        self._names, self.synced = names, list[str]()

    def before(self, call: str, path: Path) -> None:
        super().before(call, path)
        if path.name in self._names:
            raise OSError(errno.EIO, path.name)
        self.synced.append(path.name)


@pytest.fixture
def descriptors(tmp_path: Path) -> Generator[list[int]]:
    """Of the files a, b, c and d."""
    opened = [os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY) for name in "abcd"]
    yield opened
    for each in opened:
        os.close(each)


class Told:
    """How a sync that was begun has ended."""

    def __init__(self) -> None:
        self._event, self.failures = threading.Event(), list[BaseException | None]()

    def __call__(self, failure: BaseException | None) -> None:
        self.failures.append(failure)
        self._event.set()

    def wait(self) -> BaseException | None:
        assert self._event.wait(SECONDS)
        (failure,) = self.failures
        return failure


def test_a_file_and_its_three_folders_are_synced_at_once(descriptors: list[int]) -> None:
    assert len(descriptors) == HELPERS
    syncs = Syncs(WaitsForAll(HELPERS), quick_seconds=0)
    for _ in range(3):
        syncs.all(descriptors)
        told = Told()
        syncs.begin(descriptors, told)
        assert told.wait() is None


def test_where_the_disk_is_quick_one_thread_syncs_all(descriptors: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    now, pause, synced = 0.0, 0.5, list[int]()

    class Takes(OperatingSystem):
        def sync(self, descriptor: int) -> None:
            nonlocal now
            now += pause
            synced.append(descriptor)

    asked, submit = list[object](), ThreadPoolExecutor.submit

    def noted(threads: ThreadPoolExecutor, work: Callable[[], None]) -> object:
        asked.append(work)
        return submit(threads, work)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", noted)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    syncs = Syncs(Takes(), quick_seconds=0.1)

    def threads_asked() -> int:
        asked.clear()
        synced.clear()
        told = Told()
        syncs.begin(descriptors, told)
        assert told.wait() is None
        assert sorted(synced) == descriptors
        return len(asked)

    assert [threads_asked(), threads_asked()] == [4, 4]
    pause = 0.02
    assert [threads_asked(), threads_asked(), threads_asked()] == [4, 1, 1]
    pause = 0.5
    assert [threads_asked(), threads_asked()] == [1, 4], "that it is slow now is found out by it"


def test_whoever_begins_goes_on_meanwhile(descriptors: list[int]) -> None:
    let_go, ended = threading.Event(), list[int]()

    class Waits(OperatingSystem):
        def sync(self, descriptor: int) -> None:
            assert let_go.wait(SECONDS)
            ended.append(descriptor)

    told = Told()
    Syncs(Waits()).begin(descriptors, told)
    assert not told.failures
    let_go.set()
    assert told.wait() is None
    assert sorted(ended) == descriptors, "it is told when all have ended"


@pytest.mark.parametrize("refused", ["a", "d", "bd", "abcd"])
@pytest.mark.parametrize("helpers", [0, 1, HELPERS])
def test_whoever_begins_is_told_the_first_failure_once(descriptors: list[int], refused: str, helpers: int) -> None:
    files, told = Refuses(refused), Told()
    Syncs(files, helpers=helpers).begin(descriptors, told)
    failure = told.wait()
    assert isinstance(failure, OSError)
    assert failure.strerror == refused[0]
    assert sorted([*refused, *files.synced]) == [*"abcd"]


def test_without_helpers_all_is_done_when_it_has_begun(descriptors: list[int]) -> None:
    files, told = Watched(), Told()
    Syncs(files, helpers=0).begin(descriptors, told)
    assert told.failures == [None]
    assert "".join(path.name for _, path in files.calls) == "abcd"


def test_without_helpers_one_is_synced_after_the_other(descriptors: list[int]) -> None:
    files = Watched()
    Syncs(files, helpers=0).all(descriptors)
    assert "".join(path.name for _, path in files.calls) == "abcd"
    with pytest.raises(threading.BrokenBarrierError):
        Syncs(WaitsForAll(2, seconds=0), helpers=0).all(descriptors)


@pytest.mark.parametrize("refused", ["a", "b", "d", "bd", "abcd"])
@pytest.mark.parametrize("helpers", [0, 1, HELPERS])
def test_whichever_sync_fails_the_first_is_told_and_the_others_are_made(
    descriptors: list[int], refused: str, helpers: int
) -> None:
    files = Refuses(refused)
    syncs = Syncs(files, helpers=helpers)
    for _ in range(3):
        files.synced.clear()
        with pytest.raises(OSError, match=refused[0]) as failed:
            syncs.all(descriptors)
        assert failed.value.strerror == refused[0]
        assert sorted([*refused, *files.synced]) == [*"abcd"]


def test_a_failure_is_told_when_nobody_makes_use_of_the_descriptors_any_more(descriptors: list[int]) -> None:
    refused, ended = threading.Event(), list[str]()

    class RefusesFirst(OperatingSystem):
        def sync(self, descriptor: int) -> None:
            if descriptor == descriptors[0]:
                refused.set()
                raise OSError(errno.EIO, "refused")
            assert refused.wait(SECONDS)
            super().sync(descriptor)
            ended.append("synced")

    with pytest.raises(OSError, match="refused"):
        Syncs(RefusesFirst()).all(descriptors)
    assert ended == ["synced"] * 3


def test_while_the_helpers_are_at_work_for_others_the_caller_syncs_alone(descriptors: list[int]) -> None:
    let_go, at_work = threading.Event(), threading.Semaphore(0)
    here = threading.current_thread()
    synced: list[int] = []

    class KeepsHelpers(OperatingSystem):
        def sync(self, descriptor: int) -> None:
            if threading.current_thread() is not here:
                at_work.release()
                assert let_go.wait(SECONDS)
            synced.append(descriptor)

    syncs = Syncs(KeepsHelpers())
    other = threading.Thread(target=syncs.all, args=([0, 1, 2, 3],))
    other.start()
    assert all(at_work.acquire(timeout=SECONDS) for _ in descriptors)

    syncs.all(descriptors)
    assert synced == descriptors
    let_go.set()
    other.join(SECONDS)
    assert sorted(synced[4:]) == [0, 1, 2, 3]


def test_a_helper_that_gets_free_meanwhile_leaves_alone_what_the_caller_syncs(
    descriptors: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = descriptors[:2]
    here, is_free, synced = threading.current_thread(), threading.Event(), list[int]()

    class OneHelper(OperatingSystem):
        def sync(self, descriptor: int) -> None:
            synced.append(descriptor)
            if descriptor == first:
                assert is_free.wait(SECONDS)
            elif threading.current_thread() is here:
                is_free.set()
                # What was meant for the helper that could not be had is taken by the other one.
                deadline = time.monotonic() + SECONDS
                while not waiting.empty() and time.monotonic() < deadline:
                    os.sched_yield()

    start, started, told = threading.Thread.start, list[threading.Thread](), Told()
    syncs = Syncs(OneHelper(), helpers=2)
    waiting = syncs._threads._work_queue  # pyright: ignore[reportPrivateUsage]

    def only_one(thread: threading.Thread) -> None:
        started.append(thread)
        if len(started) > 1:
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", only_one)
        syncs.begin([first, second], told)
    assert told.wait() is None
    syncs.close()
    assert synced == [first, second]


def test_nothing_to_sync_is_told_at_once() -> None:
    told = Told()
    Syncs(OperatingSystem()).begin([], told)
    assert told.failures == [None]


def test_what_comes_after_the_end_is_synced_too(descriptors: list[int]) -> None:
    others = threading.enumerate()
    files = Watched()
    syncs = Syncs(files)
    syncs.all(descriptors)
    assert set(threading.enumerate()) - set(others)
    syncs.close()
    assert not set(threading.enumerate()) - set(others)
    files.calls.clear()
    syncs.all(descriptors)
    assert sorted(path.name for _, path in files.calls) == [*"abcd"]


def test_a_sync_for_which_there_was_no_thread_is_not_done_again_when_there_is_one(
    descriptors: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Watched()
    syncs = Syncs(files)

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        syncs.all(descriptors)
        assert sorted(path.name for _, path in files.calls) == [*"abcd"], "one after the other"
        files.calls.clear()
        told = Told()
        syncs.begin(descriptors, told)
        assert told.failures == [None]
    syncs.all(descriptors[:2])  # whoever waits in the queue is met by its thread first
    syncs.close()
    assert sorted(path.name for _, path in files.calls) == ["a", "a", "b", "b", "c", "d"]
