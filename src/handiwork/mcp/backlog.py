"""How much of what one client has asked is not answered yet, or answered and not taken.

A client that asks faster than it takes answers would fill the memory of this process with them, so where there is one
stream for all, no more is read until some is through. What stays for as long as the client wishes is counted apart and
refused, since nobody could wait for it. What is asked is not known here.
"""

import asyncio
import contextlib
from collections.abc import Generator

import mcp_types as mcp
from mcp import MCPError

MOST_AT_A_TIME = 256
MOST_STREAMS = 64


class Backlog:
    """Counts what goes on at a time."""

    def __init__(self, most: int = MOST_AT_A_TIME) -> None:
        self._most = most
        self._count = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    @contextlib.contextmanager
    def one_more(self) -> Generator[None]:
        """Count what is done in this context."""
        self._count += 1
        if self._count >= self._most:
            self._has_room.clear()
        try:
            yield
        finally:
            self._count -= 1
            if self._count < self._most:
                self._has_room.set()

    async def until_room(self) -> None:
        """Return when there is room for more."""
        await self._has_room.wait()


class OpenStreams:
    """Counts the streams that a client holds open, each of which is answered when it is closed."""

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._count = 0

    @contextlib.contextmanager
    def one_more(self) -> Generator[None]:
        """Count the stream that is open in this context. Raises: `MCPError`, when there are too many."""
        if self._count >= self._most:
            hint = "Close one of them, or open one that names all the addresses and close the others."
            raise MCPError(mcp.INVALID_REQUEST, f"At most {self._most} streams can be open at a time. {hint}")
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
