"""The supervisor's end of the wire to an interpreter or a child, on the event loop.

Frames are defined in `frames`; what they mean is for the callers. Also reads a job's output, with a bound.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from handiwork.sandbox import frames

TOLD_SECONDS = 0.1
TOLD_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message with its descriptors and the host's process id of its sender."""

    message: dict[str, Any]
    descriptors: tuple[int, ...]
    pid: int


class Channel:
    """One connected Unix socket. Closing it is how the other side learns that nobody waits any more."""

    def __init__(self, own: socket.socket) -> None:
        own.setblocking(False)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket = own
        self._ancillary = socket.CMSG_SPACE(16 * 4) + socket.CMSG_SPACE(12)

    async def receive(self) -> Received | None:
        """Wait for one message; None when the other side has gone."""
        reader = frames.Reader()
        descriptors: list[int] = []
        pid = 0
        while True:
            try:
                data, ancillary, _flags, _address = self._socket.recvmsg(reader.wanted, self._ancillary)
            except BlockingIOError:
                await readable(self._socket.fileno())
                continue
            except ConnectionResetError:
                return None
            descriptors += frames.descriptors_in(ancillary)
            pid = _sender(ancillary) or pid
            if not data:
                return None
            if (message := reader.feed(data)) is not None:
                return Received(message=message, descriptors=tuple(descriptors), pid=pid)

    async def send(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        data = frames.encode(message)
        sent = 0
        while descriptors and not sent:
            try:
                sent = socket.send_fds(self._socket, [data], descriptors)
            except BlockingIOError:
                await writable(self._socket.fileno())
        await asyncio.get_running_loop().sock_sendall(self._socket, data[sent:])

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


class Tail:
    """Reads a pipe to its end and keeps the first `limit` bytes; a flood is drained, not stored."""

    def __init__(self, descriptor: int, *, limit: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self._limit = descriptor, limit
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self.is_truncated = False
        self._listener: Callable[[int, str], None] | None = None
        self._told = 0
        self._telling: asyncio.TimerHandle | None = None
        self._loop.add_reader(descriptor, self._drain)

    def keep(self, limit: int) -> None:
        """Keep so many bytes from now on."""
        self._limit = limit

    def listen(self, listener: Callable[[int, str], None]) -> None:
        """Let `listener` have what comes, as offset and text, ten times a second at most and 8 KB at a time."""
        self._listener = listener

    async def ended(self) -> None:
        """Wait for the end."""
        await asyncio.wait([self._ended])

    async def text(self, *, within: float) -> str:
        """Wait at most `within` seconds for the end and return what was kept."""
        await asyncio.wait([self._ended], timeout=within)
        return bytes(self._kept).decode("utf-8", "replace")

    def close(self) -> None:
        self._listener = None
        if self._telling is not None:
            self._telling.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        if not self._ended.done():
            self._ended.set_result(None)

    def _drain(self) -> None:
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return
        if not data:
            try:
                self._tell(is_last=True)
            finally:
                self.close()
            return
        room = self._limit - len(self._kept)
        self._kept += data[:room]
        self.is_truncated = self.is_truncated or len(data) > room
        if self._listener is not None and self._telling is None:
            self._telling = self._loop.call_later(TOLD_SECONDS, self._tell)

    def _tell(self, *, is_last: bool = False) -> None:
        self._telling = None
        if self._listener is None:
            return
        end = len(self._kept) if is_last else _whole(self._kept, len(self._kept))
        begin = self._told
        if end - begin > TOLD_BYTES:
            # The newest, from the beginning of a line if there is one.
            begin = _whole(self._kept, end - TOLD_BYTES)
            begin = self._kept.find(b"\n", begin, end) + 1 or begin
        self._told = end
        if begin < end:
            self._listener(begin, bytes(self._kept[begin:end]).decode("utf-8", "replace"))


def _whole(text: bytearray, place: int) -> int:
    """Return the place, or that of the character before it which is not whole there; one has 4 bytes at most."""
    for back in range(1, min(4, place) + 1):
        lead = text[place - back]
        if lead & 0xC0 != 0x80:
            length = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return place - back if length > back else place
    return place


async def readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _notice, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


async def writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(descriptor, _notice, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _notice(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _sender(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid, _uid, _gid = struct.unpack("iII", data[:12])
            return pid
    return 0
