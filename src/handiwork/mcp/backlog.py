"""How much of what one client has asked is not answered yet, or answered and not taken.

A client that asks faster than it takes answers would fill the memory of this process with them, so where there is one
stream for all, no more is read until some is through. What is asked is not known here.
"""

import asyncio
import contextlib
from collections.abc import Generator

MOST_AT_A_TIME = 256


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
