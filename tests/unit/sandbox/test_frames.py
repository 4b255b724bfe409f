import os
import socket
import struct
import threading
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.sandbox import frames

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(blacklist_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"])), inner),
    max_leaves=10,
)
MESSAGES = st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"])), JSON, max_size=4)


@pytest.fixture
def pair() -> Generator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5)
        there.settimeout(5)
        yield here, there


@given(messages=st.lists(MESSAGES, max_size=4), sizes=st.lists(st.integers(1, 50), min_size=1))
def test_messages_come_out_as_they_went_in_whatever_the_pieces(
    messages: list[frames.Message], sizes: list[int]
) -> None:
    stream = b"".join(map(frames.encode, messages))
    reader, found, turn = frames.Reader(), list[frames.Message](), 0
    while stream:
        size = min(sizes[turn % len(sizes)], reader.wanted)
        piece, stream, turn = stream[:size], stream[size:], turn + 1
        if (message := reader.feed(piece)) is not None:
            found.append(message)
    assert found == messages


def test_a_message_crosses_a_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    frames.send(here, {"a": [1, "é"]})
    frames.send(here, {})
    assert frames.receive(there) == ({"a": [1, "é"]}, [])
    assert frames.receive(there) == ({}, [])


def test_a_message_that_is_larger_than_the_buffer_of_a_socket_crosses_too(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    message: frames.Message = {"code": "x" * 3_000_000}
    read, write = os.pipe()
    sending = threading.Thread(target=frames.send, args=(here, message, [read]))
    sending.start()
    received = frames.receive(there)
    sending.join(5)
    assert received is not None
    assert received[0] == message
    for descriptor in (read, write, *received[1]):
        os.close(descriptor)


def test_a_descriptor_arrives_with_its_own_message(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    read, write = os.pipe()
    frames.send(here, {"first": 1})
    frames.send(here, {"second": 2}, [write])
    os.close(write)
    assert frames.receive(there) == ({"first": 1}, [])
    received = frames.receive(there)
    assert received is not None
    message, (descriptor,) = received
    assert message == {"second": 2}
    os.write(descriptor, b"through")
    os.close(descriptor)
    assert os.read(read, 10) == b"through"
    os.close(read)


def test_the_end_of_the_other_side_is_no_message(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    here.sendall(frames.encode({"a": 1})[:-2])
    here.close()
    assert frames.receive(there) is None


def test_a_frame_over_the_longest_is_refused_before_it_is_read(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    here.sendall(struct.pack(">I", frames.LONGEST + 1) + b"{}")
    with pytest.raises(ValueError, match="a frame of"):
        frames.receive(there)
