"""How an answer that is made whole gets to its client: piece by piece, and no longer than the client takes any of it.

One who takes nothing would keep all of it in memory for ever, so it is given up after a while, and one client has only
few of the large ones at a time. What is answered is not known here.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import anyio
from starlette.types import Message, Scope, Send

from handiwork.model import KIB
from handiwork.server.cutting import cut_off
from handiwork.server.refusals import ReadsBusy

PIECE_BYTES = 64 * KIB
READS_AT_A_TIME = 4
# Less than a server that stops waits for its answers.
TURN_SECONDS = 8.0


class Outlet:
    """The way of one answer. One that is not taken is given up, and its connection cut off."""

    def __init__(self, scope: Scope, send: Send, *, stall_seconds: float) -> None:
        self._connection, self._send, self._stall_seconds = scope, send, stall_seconds
        self._scope = anyio.CancelScope()

    async def answer(self, make: Callable[[Send], Awaitable[None]]) -> None:
        """Let an answer be made and sent, as far as it is taken."""
        with self._scope:
            await make(self._take)
        if self._scope.cancelled_caught:
            cut_off(self._connection)

    async def _take(self, message: Message) -> None:
        body: bytes = message.get("body", b"")
        rest = memoryview(body)
        while len(rest) > PIECE_BYTES:
            await self._sent({**message, "body": bytes(rest[:PIECE_BYTES]), "more_body": True})
            rest = rest[PIECE_BYTES:]
        await self._sent(message if len(rest) == len(body) else {**message, "body": bytes(rest)})

    async def _sent(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._send(message)
        except TimeoutError:
            self._scope.cancel()
            await anyio.sleep_forever()


Client = tuple[str, str, str | None]
"""Tenant and user, and the key by which they have come: one key may serve many users."""


class Reads:
    """Whose turn it is to read: content comes in one message, so one client has only so much of it at a time."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[Client, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, client: Client) -> AsyncGenerator[None]:
        """Wait until few others of the same client are being answered, and be one of them in this context.

        Raises:
            ReadsBusy: they are not taken meanwhile.
        """
        turns = self._turns.get(client)
        if turns is None:
            turns = self._turns[client] = asyncio.Semaphore(READS_AT_A_TIME)
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turns.acquire()
        except TimeoutError as late:
            raise ReadsBusy(READS_AT_A_TIME, seconds=TURN_SECONDS) from late
        try:
            yield
        finally:
            turns.release()
