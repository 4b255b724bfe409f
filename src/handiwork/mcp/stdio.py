"""The protocol over the standard input and output of this process. What is answered is known to `protocol`.

Standard input is read in a thread that nobody waits for: a client that says nothing must not hold up the end of the
process, and what has been asked of a line that never ends is not kept. Nor is a line taken from a client that takes no
answers.
"""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from mcp.server.stdio import stdio_server
from mcp.shared._stream_protocols import WriteStream
from mcp.shared.message import SessionMessage

from handiwork.mcp.backlog import Backlog
from handiwork.mcp.protocol import notifications, server_for
from handiwork.mcp.visitors import Visitor
from handiwork.model import MIB

if TYPE_CHECKING:
    import anyio

LONGEST_LINE_BYTES = 32 * MIB
STANDARD_INPUT = 0


async def speak(visitor: Visitor) -> None:
    """Answer until the client closes standard input, or until SIGINT or SIGTERM."""
    server, loop = server_for(visitor), asyncio.get_running_loop()
    speaking = asyncio.current_task()
    assert speaking is not None  # It is called from one.
    signals = (signal.SIGINT, signal.SIGTERM)
    is_told = False

    def end() -> None:
        nonlocal is_told
        is_told = True
        speaking.cancel()

    for each in signals:
        loop.add_signal_handler(each, end)
    try:
        # All that is done with it is to iterate over it.
        lines = cast("anyio.AsyncFile[str]", _lines(visitor.backlog))
        async with stdio_server(stdin=lines) as (read, write):
            await server.run(
                read, _Output(write, visitor.backlog), server.create_initialization_options(notifications())
            )
    except asyncio.CancelledError:
        if not is_told:
            raise
        speaking.uncancel()
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


class _Output:
    """The stream of what is said, in which what waits to be taken counts."""

    def __init__(self, inner: WriteStream[SessionMessage], backlog: Backlog) -> None:
        self._inner, self._backlog = inner, backlog

    async def send(self, item: SessionMessage, /) -> None:
        with self._backlog.one_more():
            await self._inner.send(item)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(exc_type, exc_val, exc_tb)


async def _lines(backlog: Backlog) -> AsyncGenerator[str]:
    loop = asyncio.get_running_loop()
    found: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)

    def hand_over(line: bytes | None) -> None:
        asyncio.run_coroutine_threadsafe(found.put(line), loop).result()

    def read() -> None:
        # A file of its own: that of `sys.stdin` is locked while a thread reads, also when the process ends.
        source = os.fdopen(os.dup(STANDARD_INPUT), "rb")
        with contextlib.suppress(RuntimeError, asyncio.CancelledError):  # The loop has ended.
            for line in _bounded(source):
                hand_over(line)
            hand_over(None)

    threading.Thread(target=read, name="standard input", daemon=True).start()
    while (line := await found.get()) is not None:
        await backlog.until_room()
        yield line.decode("utf-8", "replace")


def _bounded(source: BinaryIO) -> Generator[bytes]:
    """Yield line by line; nothing of one that is too long."""
    while line := source.readline(LONGEST_LINE_BYTES):
        rest = line
        while not rest.endswith(b"\n") and len(rest) == LONGEST_LINE_BYTES:
            rest = source.readline(LONGEST_LINE_BYTES)
        yield line if rest is line else b"\n"
