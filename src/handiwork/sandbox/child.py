"""One jailed child as the supervisor sees it: awaited, given its order, watched, ended.

It judges nothing: what a verdict means is decided in `outcome`.
"""

import asyncio
import contextlib
import errno
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from handiwork.errors import SandboxBroken
from handiwork.model import Level
from handiwork.sandbox import keeper, walls
from handiwork.sandbox.cgroups import Group
from handiwork.sandbox.channel import Channel, Received, Tail, readable
from handiwork.sandbox.departure import Departure
from handiwork.sandbox.interpreter import WarmInterpreter
from handiwork.sandbox.sandbox import Piece
from handiwork.tasks import to_the_end

READY_SECONDS = 20.0
END_SECONDS = 5.0
ORDER_SECONDS = 5.0
_LOOKS, _LOOK_SECONDS = 20, 0.0003


# A machine that is short of something now is no machine without the wall.
_SHORTAGES = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_NOT_WALLS = ("set-up", "fork")
_LENT = 3  # by a child: its folder, its words, and whether it began


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the keeper measured, and the child's own words about a failure, which prove nothing."""

    wait_status: int
    began: bool
    cpu_seconds: float
    peak_bytes: int
    words: str


class ChildGone(Exception):
    """The child was there no more when it was to get its job, so that no line of it has run."""


class Child:
    """A job's processes. Made by `fork`, used for one order, always ended."""

    def __init__(self, channel: Channel, stdout: Tail, stderr: Tail, *, level: Level) -> None:
        self._channel = channel
        self.stdout, self.stderr = stdout, stderr
        self._level: Level = level
        self._keeper = -1  # a descriptor of the process, which unlike its number is never reused
        self.folder = -1
        self._report = self._began = -1
        self._has_begun = False
        self.pid = 0
        self.keeper_pid = 0
        self._departure: Departure | None = None
        self.walls: Mapping[str, bool] = {}
        self.has_ended = False
        """Whether no process is left that could run a line of the job."""
        self._resident_bytes = 0
        self.idle_cpu_seconds = 0.0
        """What it has used of a processor before it had a job."""

    @classmethod
    async def fork(cls, interpreter: WarmInterpreter, plan: dict[str, Any], *, stdout_bytes: int) -> "Child":
        """Have a child forked and wait until all its walls are proved to stand."""
        ours, theirs = socket.socketpair()
        channel = Channel(ours)  # asks for the senders' process ids before anything can be sent
        with contextlib.ExitStack() as opened:
            out, err = (_pipe(opened) for _ in range(2))
            opened.pop_all()
        try:
            asked = await interpreter.fork(plan, [theirs.fileno(), out[1], err[1]])
        except BaseException:
            ours.close()
            os.close(out[0])
            os.close(err[0])
            raise
        finally:
            theirs.close()
            os.close(out[1])
            os.close(err[1])
        tails = Tail(out[0], limit=stdout_bytes), Tail(err[0], limit=stdout_bytes)
        child = cls(channel, *tails, level=plan["level"])
        try:
            async with asyncio.timeout(READY_SECONDS):
                await child._become_ready()
        except TimeoutError as late:
            interpreter.leave(asked)
            await to_the_end(child.discard())
            raise SandboxBroken(f"a child was not ready within {READY_SECONDS:g} s") from late
        except BaseException:
            await to_the_end(child.discard())
            raise
        return child

    async def _become_ready(self) -> None:
        work = await self._expect("work")
        if len(work.descriptors) < _LENT:
            for descriptor in work.descriptors:
                os.close(descriptor)
            raise SandboxBroken("this process has no descriptor left for the folder of a child")
        self.folder, self._report, self._began = work.descriptors
        os.set_blocking(self._began, False)
        self.keeper_pid = (await self._expect("keeper")).pid
        try:
            self._keeper = os.pidfd_open(self.keeper_pid)
        except ProcessLookupError as gone:
            raise SandboxBroken("the keeper of a child died before the child was ready") from gone
        ready = await self._expect("ready")
        self.pid = ready.pid
        self._resident_bytes = int(ready.message["resident_bytes"])
        self.idle_cpu_seconds = float(ready.message["cpu_seconds"])
        self.walls = walls.prove(ready.pid, self._level, ready.message["walls"])
        try:
            self._departure = Departure(ready.pid)
        except (OSError, LookupError) as gone:
            raise SandboxBroken("a child died when it was ready") from gone

    async def _expect(self, what: str) -> Received:
        received = await self._channel.receive()
        if received is None:
            raise SandboxBroken(f"a child died before it was ready (`{what}` did not come)")
        if "failed" in received.message:
            wall, why = str(received.message["failed"]), str(received.message["why"])
            if wall in _NOT_WALLS or received.message["number"] in _SHORTAGES:
                raise SandboxBroken(why)
            raise walls.unavailable(self._level, wall, why)
        if "status" in received.message:
            raise SandboxBroken(f"a child died before it was ready (`{what}` did not come)")
        if what not in received.message:
            raise SandboxBroken(f"a child said {received.message} instead of `{what}`")
        return received

    def is_waiting(self) -> bool:
        """Tell whether it lives and has said nothing since it was ready."""
        poll = select.poll()
        for descriptor in (self._keeper, self._channel.descriptor):
            poll.register(descriptor, select.POLLIN)
        return not poll.poll(0)

    def listen(self, listener: Callable[[Piece], None]) -> None:
        """Let `listener` have what the job writes."""
        self.stdout.listen(lambda offset, text: listener(Piece(stream="stdout", offset=offset, text=text)))
        self.stderr.listen(lambda offset, text: listener(Piece(stream="stderr", offset=offset, text=text)))

    async def order(self, order: dict[str, Any], *, stdout_bytes: int) -> None:
        """Hand over the job; from here its own code runs. `stdout_bytes` are kept of each output.

        Raises `ChildGone` where there was nobody to take it.
        """
        self.stdout.keep(stdout_bytes)
        self.stderr.keep(stdout_bytes)
        try:
            async with asyncio.timeout(ORDER_SECONDS):
                await self._channel.send(order)
        except (ConnectionError, TimeoutError) as gone:
            raise ChildGone from gone

    async def verdict(self) -> Verdict | None:
        """Wait for the end of the job; None when the keeper itself was ended."""
        received = await self._channel.receive()
        if received is None:
            return None
        facts = received.message
        # At `full` it is told by a keeper that is alone by then.
        self.has_ended = self._level == "full"
        return Verdict(
            wait_status=int(facts["status"]),
            began=self._begins(),
            cpu_seconds=float(facts["cpu_seconds"]),
            # The greatest of its processes, less what the preloaded interpreter had before the job began.
            peak_bytes=max(0, int(facts["peak_bytes"]) - self._resident_bytes),
            words=keeper.words(self._report),
        )

    def was_killed_before_it_began(self, verdict: Verdict | None) -> bool:
        """Whether somebody ended it before the first line of the program, which neither it nor a limit does so.

        To be asked when all of it has ended.
        """
        if self._begins():
            return False
        return verdict is None or (
            os.WIFSIGNALED(verdict.wait_status) and os.WTERMSIG(verdict.wait_status) == signal.SIGKILL
        )

    def _begins(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            self._has_begun = self._has_begun or os.read(self._began, 1) == b"S"
        return self._has_begun

    async def departure(self, group: Group | None) -> Verdict:
        """Wait until the job has left successfully, and nobody of it is left; that may be seen before the verdict.

        Where it is not to be seen, this waits for ever.
        """
        seen = self._departure
        if group is not None and seen is not None and seen.can_be_seen and self._level == "full":
            # A program that leaves closes them last.
            await self.stdout.ended()
            await self.stderr.ended()
            for _ in range(_LOOKS):
                cpu_seconds = seen.cpu_seconds(group.tasks)
                if cpu_seconds is not None:
                    self.has_ended = True
                    return Verdict(wait_status=0, began=True, cpu_seconds=cpu_seconds, peak_bytes=0, words="")
                await asyncio.sleep(_LOOK_SECONDS)
        return await asyncio.get_running_loop().create_future()

    async def end(self) -> None:
        """End every process of the job and wait until they are gone. The folder stays open for the harvest."""
        self._channel.close()
        if self._keeper >= 0:
            if self.pid == self.keeper_pid:  # the kernel ends the whole namespace with its first process
                self._kill()
            await self._gone()
            os.close(self._keeper)
            self._keeper = -1
        self.has_ended = True

    async def discard(self) -> None:
        try:
            await self.end()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the folder and the output."""
        self.stdout.close()
        self.stderr.close()
        if self._departure is not None:
            self._departure.close()
        for descriptor in (self.folder, self._report, self._began):
            if descriptor >= 0:
                os.close(descriptor)
        self.folder = self._report = self._began = -1

    async def _gone(self) -> None:
        for _attempt in range(2):
            try:
                async with asyncio.timeout(END_SECONDS):
                    for process in self._processes():
                        await readable(process)
                    return
            except TimeoutError:
                self._kill()
        raise SandboxBroken(f"process {self.keeper_pid} does not end")

    def _kill(self) -> None:
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)

    def _processes(self) -> "list[int]":
        """The keeper, and the job, which may not have heard yet that the keeper is gone."""
        return [self._keeper, *([] if self._departure is None else [self._departure.process])]


def _pipe(opened: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        opened.callback(os.close, end)
    return ends
