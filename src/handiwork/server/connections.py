"""HTTP connections as uvicorn reads them, with bounds on all that is no body. Bodies are bounded in `intake`.

uvicorn waits for the rest of a head for ever and keeps all of it, so that a few slow or endless ones would cost a
connection or the memory of the server; the trailers and extensions of a chunked body likewise. Who sends such is cut
off without an answer.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 20.0


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose head or trailers are too long, or come too slowly after the first byte.

    For the first head the connection counts as its first byte.
    """

    longest_head_bytes = LONGEST_HEAD_BYTES
    head_seconds = HEAD_SECONDS

    _head_bytes = 0
    _is_in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.head_seconds, transport.close)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > self.longest_head_bytes:
            self.transport.close()
        elif self._head_bytes:
            self._set_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0
        self._set_deadline()

    def on_header(self, name: bytes, value: bytes) -> None:
        # A trailer would become a header of a request that is being answered already.
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._has_come_on()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_come_on()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_come_on()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def _has_come_on(self) -> None:
        self._head_bytes = 0
        self._forget_deadline()

    def _set_deadline(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self.transport.close)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
