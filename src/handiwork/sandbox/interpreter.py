"""The warm interpreter as the supervisor sees it: started, asked for children, started again when it dies.

What a child does once it is there is in `child`.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from handiwork.errors import RuntimeMissing, SandboxBroken
from handiwork.sandbox.channel import Channel, readable
from handiwork.tasks import to_the_end

START_SECONDS = 60.0
RETIRE_SECONDS = 24 * 3600.0
ONE_THREAD = MappingProxyType({f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "NUMEXPR")})
_LAST_WORDS = 2_000


class WarmInterpreter:
    """One process that has imported the libraries and forks jailed children. Not shared between event loops."""

    def __init__(self, *, fonts: Sequence[Path], cache: Path, python: str = sys.executable) -> None:
        self._fonts, self._cache, self._python = fonts, cache, python
        self._process: subprocess.Popen[bytes] | None = None
        self._left: list[subprocess.Popen[bytes]] = []  # asked no more; the newest of them still has its jobs
        self._channel: Channel | None = None
        self._errors: IO[bytes] | None = None
        self._starting = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._is_ready = False
        self._began = time.monotonic()
        self.module_paths: tuple[str, ...] = ()
        self.library_folders: tuple[str, ...] = ()
        self.loaded: tuple[str, ...] = ()

    async def start(self) -> None:
        """Start it, or start it again when it has died. Raises `SandboxBroken` when it does not come up."""
        async with self._starting:
            if self._is_ready and self._process is not None and self._process.poll() is None:
                return
            await to_the_end(self._stop())
            self._left = [process for process in self._left if process.poll() is None]
            try:
                await self._launch()
            except BaseException:
                await to_the_end(self._stop())
                raise
            self._is_ready = True
            self._began = time.monotonic()

    async def fork(self, plan: dict[str, Any], descriptors: list[int]) -> int:
        """Ask for a child and return which process was asked.

        `descriptors` are the child's channel, standard output and standard error.
        """
        why: OSError | None = None
        for _attempt in range(2):
            await self.start()
            assert self._channel is not None
            assert self._process is not None
            asked = self._process
            try:
                async with self._asking:  # two requests must not be mixed on the wire, and none left half written
                    await to_the_end(self._channel.send(plan, descriptors))
            except OSError as gone:
                why = gone
                if self._process is asked:
                    self._is_ready = False  # one that dies has closed its channel before it can be seen to be dead
            else:
                return asked.pid
        raise SandboxBroken(f"the warm interpreter has died ({self._last_words() or why})") from why

    @property
    def age_seconds(self) -> float:
        """How long it has been up."""
        return time.monotonic() - self._began

    async def retire(self) -> None:
        """Fork no more, and return when the last of the children has ended; none of them is disturbed.

        Nobody may ask for a child any more. As jobs have a deadline, this has one too: `RETIRE_SECONDS`.
        """
        # Whoever starts it again meanwhile listens to its channel, and would not hear that it was closed.
        async with self._starting, self._asking:
            if self._channel is not None:
                self._channel.close()
            processes = [each for each in (*self._left, self._process) if each is not None and each.poll() is None]
            pidfds = [os.pidfd_open(each.pid) for each in processes]
        try:
            async with asyncio.timeout(RETIRE_SECONDS):
                for pidfd in pidfds:
                    await readable(pidfd)
        except TimeoutError:
            pass
        finally:
            for pidfd in pidfds:
                os.close(pidfd)
        await self.aclose()

    def leave(self, asked: int) -> None:
        """Ask that process no more, because it does not answer; who needs one starts another.

        It goes with the last of its jobs, which it may still keep; the one that was left before it is ended.
        """
        if self._process is None or self._process.pid != asked:
            return
        for older in self._left:
            older.kill()
        self._left.append(self._process)
        self._process = None
        self._is_ready = False  # with the next start its channel is closed

    async def aclose(self) -> None:
        async with self._starting:
            await self._stop()
            left, self._left = self._left, []
            for process in left:
                process.kill()
                await asyncio.to_thread(process.wait)

    async def _launch(self) -> None:
        # First, since whoever stops waiting here leaves nothing open.
        with contextlib.suppress(OSError):  # without it the fonts are looked up anew at each start
            await asyncio.to_thread(self._cache.mkdir, parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        script = Path(__file__).with_name("zygote.py")
        with theirs:
            command = [self._python, "-I", str(script), str(theirs.fileno()), *map(str, self._fonts)]
            launching = asyncio.ensure_future(asyncio.to_thread(self._launched, command, theirs.fileno()))
            try:
                await to_the_end(launching)
            finally:
                # Whoever stopped waiting: what was started is ours to stop.
                if not launching.cancelled() and launching.exception() is None:
                    self._process = launching.result()
        await self._hear(self._channel)

    def _launched(self, command: Sequence[str], channel: int) -> "subprocess.Popen[bytes]":
        # An empty environment: /proc/self/environ shows for ever what a process was started with.
        environment = {"LANG": "C.UTF-8", "TZ": "UTC", "MPLBACKEND": "Agg", "MPLCONFIGDIR": str(self._cache)}
        return subprocess.Popen(  # noqa: S603  # our own interpreter and our own script
            command,
            env=environment | ONE_THREAD,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            pass_fds=(channel,),
            start_new_session=True,
        )

    async def _hear(self, channel: Channel) -> None:
        hello = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                hello = await channel.receive()
        if hello is None:
            raise SandboxBroken(f"the warm interpreter did not start ({self._last_words() or 'no reason given'})")
        facts = hello.message
        if facts["threads"] != 1:
            raise SandboxBroken(f"a library started {facts['threads'] - 1} threads in the warm interpreter")
        self.loaded = tuple(facts["loaded"])
        if "numpy" not in self.loaded:
            raise RuntimeMissing(["numpy", "pandas", "matplotlib"])
        self.module_paths = tuple(facts["paths"])
        self.library_folders = tuple(facts["libraries"])

    async def _stop(self) -> None:
        self._is_ready = False
        if self._channel is not None:
            self._channel.close()  # the interpreter leaves when nobody can ask it any more
            self._channel = None
        if self._process is not None:
            process, self._process = self._process, None
            try:
                await asyncio.to_thread(process.wait, 5)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_WORDS))
        return self._errors.read().decode("utf-8", "replace").strip()
