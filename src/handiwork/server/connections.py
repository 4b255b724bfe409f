"""HTTP connections as uvicorn reads them, with bounds on all that is no body. Bodies are bounded in `intake`.

Each connection takes a descriptor, and a process that has none left can neither read its store nor start a program.
So there are only as many as leave enough of them; those who come on top are told to come later, or cut off where even
they are too many.

uvicorn waits for the rest of a head for ever and keeps all of it, so that a few slow or endless ones would cost a
connection or the memory of the server; the trailers and extensions of a chunked body likewise. Who sends such is cut
off without an answer.

An answer that must not go on is cut off too, so that its client sees that the rest is missing. uvicorn takes an answer
without an end for a fault of the application, so it is told beforehand that nobody is there any more.
"""

import asyncio
import resource
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from handiwork.server import cutting
from handiwork.server.problems import refuse
from handiwork.server.refusals import TooManyConnections

LONGEST_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 20.0
MOST_DESCRIPTORS = 65_536
MOST_CONNECTIONS = 8192
# For the store, for programs that run or are ready, a dozen each, and for what each request opens.
KEPT_DESCRIPTORS = 512
# So many more are listened to as long as it takes to tell them.
MOST_TURNED_AWAY = 64


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose head or trailers are too long, or come too slowly after the first byte.

    For the first head the connection counts as its first byte.
    """

    longest_head_bytes = LONGEST_HEAD_BYTES
    head_seconds = HEAD_SECONDS
    most_connections = MOST_CONNECTIONS

    _head_bytes = 0
    _is_in_head = True
    _is_turned_away = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        beyond = len(self.connections) - self.most_connections
        if beyond > MOST_TURNED_AWAY:
            transport.abort()
            return
        if beyond > 0:
            self._is_turned_away, self.app = True, _turning_away(self.most_connections)
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
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is before:
            return
        self.cycle.scope["extensions"] = {cutting.EXTENSION: {"now": partial(_end_early, self.cycle)}}
        # The answer to HEAD has no body that would send its head along.
        if self.cycle.scope["method"] != "HEAD":
            self.cycle.transport = _HeadWithBody(self.transport, self.loop)

    def on_body(self, body: bytes) -> None:
        self._has_come_on()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_come_on()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        if self._is_turned_away:
            # The same answer as to a plain request, as far as it can be given before there is one.
            self.transport.write(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\r\n")
            self.transport.close()
            return
        super().handle_websocket_upgrade()

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


class _HeadWithBody(asyncio.Transport):
    """Sends the head of an answer together with what follows at once, so that most answers are one packet."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport, self._loop = transport, loop
        self._has_begun = False
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._has_begun:
            self._transport.write(self._head + data if self._head else data)
            self._head = b""
        else:
            self._has_begun, self._head = True, bytes(data)
            # Nobody knows when the rest of a stream will come.
            self._loop.call_soon(self._send)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _send(self) -> None:
        head, self._head = self._head, b""
        # Whoever asked may have gone since.
        if head and not self._transport.is_closing():
            self._transport.write(head)


def raise_descriptor_limit() -> None:
    """Let this process have as many descriptors as it may, up to `MOST_DESCRIPTORS`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def bounded_to(share: float) -> type[BoundedProtocol]:
    """Return the protocol for a server that may use this share of the connections that the process can have."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Where there are few, most of them are kept all the same.
    room = MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(soft - KEPT_DESCRIPTORS, soft // 4)
    room = min(room, MOST_CONNECTIONS)

    class Bounded(BoundedProtocol):
        most_connections = max(int(room * share), 1)

    return Bounded


def _end_early(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = True
    cycle.transport.close()


def _turning_away(limit: int) -> ASGIApp:
    async def turn_away(scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(TooManyConnections(limit), scope=scope, receive=receive, send=send)

    return turn_away
