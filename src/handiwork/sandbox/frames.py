"""Length-prefixed JSON over a Unix socket, the one wire between supervisor, interpreter and child.

No meaning is given to the messages here. Runs on both sides, so it imports the standard library only.
"""

import array
import json
import socket
import struct

LONGEST = 64 * 1024 * 1024
_HEADER = struct.Struct(">I")

Message = dict[str, object]


def encode(message: Message) -> bytes:
    body = json.dumps(message).encode()
    return _HEADER.pack(len(body)) + body


def send(channel: socket.socket, message: Message, descriptors: "list[int] | None" = None) -> None:
    """Send one message, with descriptors that the receiver gets as its own."""
    data = encode(message)
    if not descriptors:
        channel.sendall(data)
        return
    sent = socket.send_fds(channel, [data], descriptors)
    channel.sendall(data[sent:])


def receive(channel: socket.socket) -> "tuple[Message, list[int]] | None":
    """Wait for one message and its descriptors; None when the other side has gone."""
    reader = Reader()
    descriptors: list[int] = []
    while True:
        # The header alone first: a byte more could belong to the next message, with its descriptors.
        data, ancillary, _flags, _address = channel.recvmsg(reader.wanted, socket.CMSG_SPACE(4 * 16))
        descriptors += descriptors_in(ancillary)
        if not data:
            return None
        if (message := reader.feed(data)) is not None:
            return message, descriptors


def descriptors_in(ancillary: "list[tuple[int, int, bytes]]") -> "list[int]":
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


class Reader:
    """Puts one message together from pieces of any size up to `wanted`."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def wanted(self) -> int:
        """How many bytes may be fed next without reaching into another message."""
        if len(self._buffer) < _HEADER.size:
            return _HEADER.size - len(self._buffer)
        return self._length() - len(self._buffer)

    def feed(self, data: bytes) -> "Message | None":
        self._buffer += data
        if len(self._buffer) < _HEADER.size or len(self._buffer) < self._length():
            return None
        body = bytes(self._buffer[_HEADER.size :])
        self._buffer.clear()
        return json.loads(body)

    def _length(self) -> int:
        (length,) = _HEADER.unpack_from(self._buffer)
        if length > LONGEST:
            raise ValueError(f"a frame of {length} bytes")
        return _HEADER.size + length
