"""A process that has imported everything and forks a child for each order: a cycle costs no second of imports.

What a child does is told by the script that calls `serve`. Orders and answers are lines of JSON.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

Order = Mapping[str, Any]
DEADLINE_SECONDS = 20.0


def tell(**facts: object) -> None:
    """Say something in one write, which is whole in a pipe or not there, whoever is killed meanwhile."""
    os.write(1, json.dumps(facts).encode() + b"\n")


def serve(work: Callable[[Order], None]) -> None:
    """Do what is ordered until there are no more orders: a child for each order of a line, all in one process group."""
    # Not buffered: a child may read what comes after its order.
    orders = os.fdopen(os.dup(0), "rb", buffering=0)
    while line := orders.readline():
        children: list[int] = []
        for order in json.loads(line):
            child = os.fork()
            if not child:
                _be_child(work, order)
            children.append(child)
            os.setpgid(child, children[0])
        tell(group=children[0])
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        tell(ended=codes)


def _be_child(work: Callable[[Order], None], order: Order) -> None:
    code = 1
    try:
        work(order)
        code = 0
    except BaseException:  # noqa: BLE001  # the edge of the process: whatever it is, the test shall see it
        tell(failed=traceback.format_exc()[-3000:])
    finally:
        os._exit(code)


class ForkServer:
    """The test's end: a context, in which one group works at a time."""

    def __init__(self, script: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name(script))]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen[bytes](command, stdin=pipe, stdout=pipe, bufsize=0, env=environment)
        self._rest = b""
        self._group: int | None = None

    def __enter__(self) -> "ForkServer":
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # It has no more orders then, and leaves when its children are dead.
        self._process.stdin.close()
        self._process.stdout.read()
        self._process.stdout.close()
        self._process.wait(DEADLINE_SECONDS)

    def order(self, orders: Sequence[Order]) -> None:
        self.say(json.dumps(orders))

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def kill_at_work(
        self, orders: Sequence[Order], *, hear: Callable[[Mapping[str, Any]], None], within: Callable[[], float]
    ) -> None:
        """Let a group work, kill it so many seconds after all of it is ready, and hear all that it has said."""
        self.order(orders)
        ready, group, end = 0, 0, None
        while end is None or time.monotonic() < end:
            line = self.told() if end is None else self.told(within=max(0.0, end - time.monotonic()))
            if line is None:
                assert end is not None, "they are never ready"
                break
            hear(line)
            ready, group = ready + ("ready" in line), group + ("group" in line)
            if end is None and ready == len(orders) and group:
                end = time.monotonic() + within()
        self.kill()
        while (line := self.told()) is not None and "ended" not in line:
            hear(line)
        assert line is not None
        assert set(line["ended"]) == {-signal.SIGKILL}, "control: they were killed, and nobody ended before that"

    def kill(self) -> None:
        """Kill the whole group at once, if there is one."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        if self._group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, number)

    def told(self, *, within: float = DEADLINE_SECONDS) -> dict[str, Any] | None:
        """Return the next thing that was said, or None when nothing was in time."""
        assert self._process.stdout is not None
        end = time.monotonic() + within
        while b"\n" not in self._rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                return None
            read = self._process.stdout.read(65536)
            assert read, "the fork server is gone"
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        told = json.loads(line)
        assert "failed" not in told, told["failed"]
        if "group" in told:
            self._group = told["group"]
        if "ended" in told:
            self._group = None
        return told

    def told_of(self, what: str) -> Any:
        """Wait until `what` is said and return it; what is said before that is dropped."""
        while (told := self.told()) is not None:
            if what in told:
                return told[what]
        raise TimeoutError(f"`{what}` was never said")
