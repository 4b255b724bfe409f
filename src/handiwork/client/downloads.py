"""Content on its way from a server: read on where the connection broke, and its hash checked at the end.

What breaks off and what was damaged are told apart: a server never lets damaged content come to its end.
"""

import hashlib
import re
from collections.abc import AsyncGenerator
from dataclasses import replace

import httpx2

from handiwork.client.connection import Call, Connection, Interrupted, Outage, will_pass
from handiwork.errors import ContentDamaged, HandiworkError, ServerUnreachable
from handiwork.tasks import in_thread

# Hashing this much takes about as long as asking a thread to.
HASHED_HERE_BYTES = 128 * 1024

_ETAG = re.compile(r'"([0-9a-f]{64})"')
_DIGITS = re.compile(r"[0-9]{1,18}")


class Download:
    """One content, read once from its beginning to its end."""

    def __init__(self, connection: Connection, call: Call, *, reference: str) -> None:
        self._connection, self._call, self._reference = connection, call, reference
        self._outage = Outage(connection)
        self._digest = hashlib.sha256()
        self._received = 0
        self._size: int | None = None
        self._sha256 = ""
        self._tried = 0

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the content.

        Raises:
            ContentDamaged: it is not what its hash says.
            ServerUnreachable: the server was away for too long.
        """
        while self._size is None or self._received < self._size:
            before = self._received
            try:
                async with self._connection.opened(self._call) as response:
                    self._begin(response)
                    async for chunk in response.aiter_raw():
                        await self._note(chunk)
                        yield chunk
                interrupted: Exception = Interrupted("it ended too early", was_sent=True)
            except Interrupted as failure:
                interrupted = failure
            except HandiworkError as refused:
                if self._size is None or not will_pass(refused):
                    raise
                interrupted = refused
            if self._size is None or self._received < self._size:
                if self._received > before:
                    self._outage.is_over()
                self._tried += 1
                if self._size is None and self._tried == self._connection.patience.tries:
                    raise ServerUnreachable(self._connection.url, str(interrupted)) from interrupted
                await self._outage.wait(interrupted)
                self._go_on()
        if self._digest.hexdigest() != self._sha256:
            raise ContentDamaged(self._reference)

    def _begin(self, response: httpx2.Response) -> None:
        etag, length = _ETAG.fullmatch(response.headers.get("etag", "")), response.headers.get("content-length", "")
        if etag is None or not _DIGITS.fullmatch(length):
            got = "an answer that does not say which it is"
            raise self._connection.unexpected(self._call, expected="content with its hash and size", got=got)
        if self._size is None:
            self._size, self._sha256 = int(length), etag[1]
            version = response.headers.get("x-version")
            # What follows has to be of the same version, whatever is made meanwhile.
            self._call = replace(self._call, query={**self._call.query, "version": version or self._version})
            return
        wanted = f"bytes {self._received}-{self._size - 1}/{self._size}"
        if etag[1] != self._sha256 or response.headers.get("content-range") != wanted:
            raise self._connection.unexpected(self._call, expected=f"`{wanted}` of the content", got="something else")

    @property
    def _version(self) -> str | int | None:
        return self._call.query.get("version")

    async def _note(self, chunk: bytes) -> None:
        self._received += len(chunk)
        assert self._size is not None, "it has begun"
        if self._received > self._size:
            raise self._connection.unexpected(self._call, expected=f"{self._size:,} bytes", got="more")
        if len(chunk) <= HASHED_HERE_BYTES:
            self._digest.update(chunk)
        else:
            await in_thread(self._digest.update, chunk)

    def _go_on(self) -> None:
        if self._received:
            part = {"range": f"bytes={self._received}-", "if-range": f'"{self._sha256}"'}
            self._call = replace(self._call, headers={**self._call.headers, **part})
