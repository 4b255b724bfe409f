"""Several files and folders brought to the disk at once. What they are, and how they came about, is not known here.

One sync after the other waits for the disk each time, and those that come together are served together: a file with
its three folders takes hardly longer than one of them. Where the disk is so quick that to ask several threads takes
longer than to wait for it, one thread syncs one after the other; how quick it is, is told by the last time. Nothing is
left out for that and nothing is taken for granted of any file system: each of them is synced for itself, and all of
them have to succeed.
"""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

from handiwork.store.file_operations import FileOperations

HELPERS = 4
"""One each for a new file in known folders: for itself, and the folders of its version, its artifact, its session."""

QUICK_SECONDS = 0.002
"""What syncs a file and its folders in less is quick, be it all of them in one thread or the slowest of several."""

Ended = Callable[[BaseException | None], None]


class Syncs:
    """Syncs with the help of some threads."""

    def __init__(self, files: FileOperations, *, helpers: int = HELPERS, quick_seconds: float = QUICK_SECONDS) -> None:
        self._files, self._quick_seconds, self._is_quick = files, quick_seconds, False
        self._turn = threading.Lock()
        self._helpers = helpers
        self._threads = ThreadPoolExecutor(max(1, helpers), thread_name_prefix="handiwork-sync")

    def close(self) -> None:
        """Wait for the threads to end; what is to be synced later is synced without them."""
        self._threads.shutdown()

    def begin(self, descriptors: Sequence[int], ended: Ended) -> None:
        """Have all of them synced, and call `ended` when nobody makes use of them any more.

        It is told the failure of the first in their order that could not be synced. It is called in another thread, or
        in this one before this returns.
        """
        if not descriptors:
            ended(None)
            return
        took: list[float] = []
        parts = [descriptors] if self._is_quick else [[each] for each in descriptors]
        begun = [self._begun(partial(self._tried_in_turn, part, took)) for part in parts]
        left = itertools.count(len(begun) - 1, -1)

        def one_has_ended(_one: "Future[OSError | None]") -> None:
            if next(left) == 0:
                self._is_quick = max(took, default=self._quick_seconds) < self._quick_seconds
                ended(next(filter(None, (each.exception() or each.result() for each in begun)), None))

        for each in begun:
            each.add_done_callback(one_has_ended)

    def all(self, descriptors: Sequence[int]) -> None:
        """Return when all of them are on the disk; nobody makes use of them any more then, nor when it has failed.

        One caller at a time is helped; whoever comes meanwhile does it alone, one after the other. Where many wait for
        the disk, it serves them together anyhow, and more threads only take processor time from each other.

        Raises the `OSError` of the first in their order that could not be synced.
        """
        if self._turn.acquire(blocking=False):
            try:
                failure = self._first_failure(descriptors, helped=self._helpers)
            finally:
                self._turn.release()
        else:
            failure = self._first_failure(descriptors, helped=0)
        if failure is not None:
            try:
                raise failure
            finally:
                # It knows this frame by now: both would stay until they are collected, with all that is open.
                del failure

    def _first_failure(self, descriptors: Sequence[int], *, helped: int) -> OSError | None:
        mine = len(descriptors) - min(helped, len(descriptors) - 1)
        begun = [self._begun(partial(self._tried, descriptor)) for descriptor in descriptors[mine:]]
        try:
            outcomes = [self._tried(descriptor) for descriptor in descriptors[:mine]]
        finally:
            wait(begun)
        outcomes += [each.result() for each in begun]
        return next(filter(None, outcomes), None)

    def _begun(self, tried: "Callable[[], OSError | None]") -> "Future[OSError | None]":
        outcome: Future[OSError | None] = Future()

        def sync() -> None:
            if outcome.set_running_or_notify_cancel():
                try:
                    outcome.set_result(tried())
                except BaseException as failure:  # noqa: BLE001  # it is raised where it is waited for
                    outcome.set_exception(failure)

        if not self._helpers:
            sync()
            return outcome
        try:
            self._threads.submit(sync)
        except RuntimeError:
            # No thread is to be had, or they were told to end. It may stand in their queue yet, and a thread that comes
            # to it later must find it cancelled: the descriptor is another file's by then.
            if outcome.cancel():
                alone: Future[OSError | None] = Future()
                alone.set_result(tried())
                return alone
        return outcome

    def _tried_in_turn(self, descriptors: Sequence[int], took: list[float]) -> OSError | None:
        begin = time.perf_counter()
        failures = [self._tried(descriptor) for descriptor in descriptors]
        took.append(time.perf_counter() - begin)
        return next(filter(None, failures), None)

    def _tried(self, descriptor: int) -> OSError | None:
        try:
            self._files.sync(descriptor)
        except OSError as failure:
            # A new one, which knows no frame that it is kept in.
            return OSError(*failure.args)
        return None
