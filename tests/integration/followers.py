"""Clients that follow a session over the network, byte by byte, and a real web server in this process for them.

They parse what comes and do nothing else, so that they can be cut off at any byte. Nothing is asserted here.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import uvicorn
from doors import CONTENT, PUBLIC, Hands
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from handiwork import wiring
from handiwork.server.app import application
from handiwork.server.desk import API, Desk, Origins
from handiwork.server.sockets import EventSockets
from handiwork.server.streams import LARGEST_MESSAGE_BYTES, Pace, Streams
from handiwork.settings import Settings

Told = dict[str, Any]
Wire = Literal["sse", "ws"]
WIRES: tuple[Wire, ...] = ("sse", "ws")

# More than a test of a quiet machine needs: servers of other tests run beside these.
PATIENCE_SECONDS = 15.0


class Sse:
    """The events in a stream of bytes that is an HTTP answer in chunks."""

    def __init__(self, url: str, session: str, after: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        place = urlsplit(url)
        told = [("Host", place.netloc), *([("Last-Event-ID", str(after))] if after else []), *headers]
        lines = [f"GET {API}/sessions/{session}/events HTTP/1.1", *(f"{name}: {value}" for name, value in told)]
        self.first = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.events: list[Told] = []
        self.outputs: list[Told] = []
        self.comments = 0
        self.names: list[str] = []
        self.body = b""
        self.is_over = False
        self._raw = b""
        self._text = b""

    @property
    def close_code(self) -> int | None:
        return None

    def take(self, data: bytes) -> bytes:
        """Take what has come; return what to send in answer."""
        self._raw += data
        if self.status is None:
            head, found, rest = self._raw.partition(b"\r\n\r\n")
            if not found:
                return b""
            first, *lines = head.decode("latin-1").split("\r\n")
            self.status, self._raw = int(first.split(" ")[1]), rest
            self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if "content-length" in self.headers:
            self.body, self.is_over = self._raw, len(self._raw) == int(self.headers["content-length"])
        else:
            self._take_chunks()
        return b""

    def _take_chunks(self) -> None:
        while True:
            size, found, rest = self._raw.partition(b"\r\n")
            if not found or len(rest) < (length := int(size, 16)) + 2:
                return
            self._text += rest[:length]
            self._raw = rest[length + 2 :]
            self.is_over = length == 0
            *whole, self._text = self._text.split(b"\n\n")
            for block in whole:
                self._take_block(block.decode())

    def _take_block(self, block: str) -> None:
        fields = dict(line.split(":", 1) for line in block.split("\n"))
        if "data" in fields:
            event = json.loads(fields["data"])
            self.names.append(fields["event"].strip())
            if "id" in fields:
                assert int(fields["id"]) == event["seq"]
                self.events.append(event)
            elif event.get("type") == "execution-output":
                self.outputs.append(event)
            else:
                self.body = fields["data"].encode()
        elif "" in fields:
            self.comments += 1


class Ws:
    """The events in a stream of bytes that is a WebSocket."""

    def __init__(
        self,
        url: str,
        session: str,
        after: int,
        headers: Sequence[tuple[str, str]] = (),
        subprotocols: Sequence[str] = ("handiwork",),
        query: str | None = None,
    ) -> None:
        asked = f"after={after}" if query is None else query
        uri = parse_uri(f"{url.replace('http', 'ws', 1)}{API}/sessions/{session}/ws?{asked}")
        self._protocol = ClientProtocol(uri, subprotocols=[*subprotocols] or None)  # pyright: ignore[reportArgumentType]  # their NewType of str
        request = self._protocol.connect()
        for name, value in headers:
            request.headers[name] = value
        self._protocol.send_request(request)
        self.first = b"".join(self._protocol.data_to_send())
        self.events: list[Told] = []
        self.outputs: list[Told] = []
        self.status: int | None = None

    @property
    def subprotocol(self) -> str | None:
        return self._protocol.subprotocol

    @property
    def close_code(self) -> int | None:
        return self._protocol.close_rcvd and self._protocol.close_rcvd.code

    @property
    def close_reason(self) -> str:
        return self._protocol.close_rcvd.reason if self._protocol.close_rcvd else ""

    @property
    def is_over(self) -> bool:
        return self._protocol.close_rcvd is not None or self._protocol.state is State.CLOSED

    def take(self, data: bytes) -> bytes:
        self._protocol.receive_data(data)
        for came in self._protocol.events_received():
            if isinstance(came, Response):
                self.status = came.status_code
            elif isinstance(came, Frame) and came.opcode is Opcode.TEXT:
                event = json.loads(bytes(came.data))
                (self.events if "seq" in event else self.outputs).append(event)
        return b"".join(self._protocol.data_to_send())

    def say(self, text: str) -> bytes:
        self._protocol.send_text(text.encode())
        return b"".join(self._protocol.data_to_send())


Following = Sse | Ws


def following(wire: Wire, url: str, session: str, *, after: int = 0) -> Following:
    return Sse(url, session, after) if wire == "sse" else Ws(url, session, after)


@dataclass(slots=True, kw_only=True)
class Client:
    """A connection over which somebody follows."""

    following: Following
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    taken: int = 0

    @classmethod
    async def connect(cls, url: str, following: Following, *, receive_buffer: int | None = None) -> Self:
        place = urlsplit(url)
        end = socket.socket()
        if receive_buffer is not None:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        end.setblocking(False)
        await asyncio.get_running_loop().sock_connect(end, (place.hostname, place.port))
        reader, writer = await asyncio.open_connection(sock=end, limit=2**12)
        writer.write(following.first)
        return cls(following=following, reader=reader, writer=writer)

    async def take(self, most: int = 2**16) -> bool:
        """Take some of what comes, and tell whether there may be more."""
        data = await self.reader.read(most)
        self.taken += len(data)
        if answer := self.following.take(data) if data else b"":
            self.writer.write(answer)
        return bool(data)

    async def take_all(self) -> None:
        """Take what comes until the stream ends, without a deadline: for a task that is ended from outside."""
        while await self.take():
            pass

    async def until(self, *, seq: int) -> list[Told]:
        """Take until the event of this number came; return all that came."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.following.events or self.following.events[-1]["seq"] < seq:
                assert await self.take(), "the stream has ended"
        return self.following.events

    async def until_output(self, text: str) -> list[Told]:
        """Take until a program has written this; return all pieces that came."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(text in piece["text"] for piece in self.following.outputs):
                assert await self.take(), "the stream has ended"
        return self.following.outputs

    async def until_over(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.following.is_over and await self.take():
                pass

    async def until_begun(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.following.status is None and await self.take():
                pass

    def cut(self) -> None:
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def client(url: str, following: Following, *, receive_buffer: int | None = None) -> AsyncGenerator[Client]:
    connected = await Client.connect(url, following, receive_buffer=receive_buffer)
    try:
        yield connected
    finally:
        connected.cut()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that listens in this process, and what is behind it."""

    url: str
    desk: Desk
    clock: Hands
    server: uvicorn.Server

    @property
    def followers(self) -> int:
        """How many follow any session."""
        channels = self.desk.engine.feed._channels  # pyright: ignore[reportPrivateUsage]  # nothing else shows a leak
        return sum(channel.followers for channel in channels.values())

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@contextlib.asynccontextmanager
async def serving(
    data: Path,
    *,
    pace: Pace | None = None,
    is_open: bool = True,
    send_buffer: int | None = None,
    close_seconds: float = 10.0,
) -> AsyncGenerator[Served]:
    """Serve the application without its guards on a port of loopback."""
    hands, origins = Hands(), Origins(public=PUBLIC, content=CONTENT)
    chosen = Settings(cache=data / "cache")
    async with wiring.open_desk(data, settings=chosen, origins=origins, is_open=is_open, clock=hands) as desk:
        app = application(desk)
        app.state.streams = Streams(pace=pace or Pace())
        config = uvicorn.Config(
            app,
            ws=_sockets(close_seconds),
            ws_max_size=LARGEST_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            if send_buffer is not None:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            server = _Server(config)
            running = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                yield Served(url=url, desk=desk, clock=hands, server=server)
            finally:
                desk.stopping.set()
                server.should_exit = True
                await running


def _sockets(close_seconds: float) -> type[EventSockets]:
    class Sockets(EventSockets):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.close_timeout = close_seconds

    return Sockets


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
