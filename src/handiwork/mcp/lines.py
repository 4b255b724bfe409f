"""The way on which a client is told what it has not asked for, and whether it takes anything there.

Over standard streams that way is always there; over HTTP the client opens it, may leave it, and opens it anew. What is
told on it is not known here.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Generator


class Line:
    """One client's, which is open from the beginning or each time that the client opens it."""

    def __init__(self, *, is_open: bool = True) -> None:
        self._opened = asyncio.Event()
        self._taking = asyncio.Event()
        if is_open:
            self._taking.set()

    @contextlib.contextmanager
    def opened(self) -> Generator[None]:
        """Be open in this context."""
        self._taking.set()
        opened, self._opened = self._opened, asyncio.Event()
        next_opening = self._opened
        opened.set()
        try:
            yield
        finally:
            # Where it was opened anew before this opening has ended, it stays open.
            if self._opened is next_opening:
                self._taking.clear()

    async def hand_over(self, sending: Awaitable[None]) -> None:
        """Wait until the client has taken something; meanwhile it takes nothing else."""
        self._taking.clear()
        await sending
        self._taking.set()

    async def until_taking(self) -> None:
        """Return when it is open and the client takes what comes."""
        await self._taking.wait()

    async def until_opened_anew(self) -> None:
        """Return when it is opened the next time."""
        await self._opened.wait()
