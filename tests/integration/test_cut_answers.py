"""Answers that the server breaks off on purpose, over real connections: the client sees it, and the log has no fault.

When they are broken off is in `test_ended_meanwhile.py` and `test_mcp_pace.py`.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2
import pytest
from doors import API, bearer
from starlette.types import ASGIApp, Receive, Scope, Send
from test_ended_meanwhile import Room, it_is_deleted, its_time_comes, its_user_is_erased, room, the_key_is_revoked
from test_serving import bounded

from handiwork.server.outlets import Outlet

__all__ = ["room"]

# More than the buffers of a connection take.
SIZE = 10 * 1024 * 1024
WINDOW = 64 * 1024


@asynccontextmanager
async def answered(
    app: ASGIApp, path: str = "/", headers: dict[str, str] | None = None
) -> AsyncGenerator[asyncio.StreamReader]:
    """Ask, and take nothing of the answer yet."""
    async with bounded(app) as port, asyncio.timeout(15):
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        wire.setblocking(False)
        await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=wire, limit=WINDOW)
        head = {"host": "127.0.0.1:8765", **(headers or {})}
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        try:
            yield reader
        finally:
            writer.close()


def faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


async def nothing(_room: Room) -> None:
    return


@pytest.mark.parametrize("end", [nothing, its_time_comes, it_is_deleted, its_user_is_erased, the_key_is_revoked])
async def test_content_that_is_withdrawn_is_seen_to_be_incomplete_and_is_no_fault(
    room: Room, caplog: pytest.LogCaptureFixture, end: Callable[[Room], Awaitable[None]]
) -> None:
    session = room.desk.engine.session("s", user="ada", tenant="acme")
    large = await session.create("file", content=bytes(SIZE), name="b.bin", retention=timedelta(hours=2))
    room.artifact = large
    path = f"{API}/artifacts/{large.id}/content"
    async with answered(room.app, path, bearer(room.token) | {"connection": "close"}) as reader:
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"content-length: {SIZE}".encode() in head
        await end(room)
        body = await reader.read(-1)
    if end is nothing:
        assert len(body) == SIZE
    else:
        assert 0 < len(body) < SIZE
    assert faults(caplog) == []


async def test_a_client_of_http_is_told_that_the_rest_is_missing(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    session = room.desk.engine.session("s", user="ada", tenant="acme")
    room.artifact = await session.create("file", content=bytes(SIZE), name="b.bin")
    options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)]
    async with (
        bounded(room.app) as port,
        httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(socket_options=options)) as client,
    ):
        url = f"http://127.0.0.1:{port}{API}/artifacts/{room.artifact.id}/content"
        headers = bearer(room.token) | {"host": "127.0.0.1:8765"}
        async with client.stream("GET", url, headers=headers) as answer:
            assert answer.status_code == 200
            await it_is_deleted(room)
            with pytest.raises(httpx2.RemoteProtocolError):
                await answer.aread()
    assert faults(caplog) == []


async def test_an_answer_of_mcp_that_is_not_taken_ends_without_an_end(caplog: pytest.LogCaptureFixture) -> None:
    has_ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(taken: Send) -> None:
            await taken({"type": "http.response.start", "status": 200, "headers": []})
            await taken({"type": "http.response.body", "body": bytes(SIZE)})

        await Outlet(scope, send, stall_seconds=0.1).answer(answer)
        has_ended.set()

    async with answered(app) as reader:
        await has_ended.wait()
        body = await reader.read(-1)
    assert b"transfer-encoding: chunked" in body
    assert not body.endswith(b"0\r\n\r\n")
    assert len(body) < SIZE
    assert faults(caplog) == []


async def test_an_answer_without_an_end_that_nobody_meant_is_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})

    async with answered(app) as reader:
        assert not (await reader.read(-1)).endswith(b"0\r\n\r\n")
    assert faults(caplog) == ["ASGI callable returned without completing response."]
