"""The server on the network: sockets, both origins, bounds on heads, and how it stops."""

import asyncio
import contextlib
import json
import logging
import signal
import socket
import struct
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from doors import API, Listening, listening_server
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection
from uvicorn.server import ServerState

from handiwork import wiring
from handiwork.model import Scope
from handiwork.server import connections
from handiwork.server.app import guarded
from handiwork.server.connections import BoundedProtocol
from handiwork.server.desk import Origins
from handiwork.server.serving import AddressUnusable, ServerEnded, answering, claim, claim_any
from handiwork.settings import Settings

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def run_elsewhere(server: Listening, code: str) -> httpx2.Response:
    return httpx2.post(f"{server.url}{API}/sessions/s/executions", json={"code": code}, timeout=30)


def until_running(server: Listening) -> None:
    deadline = time.monotonic() + 10
    while not httpx2.get(f"{server.url}/readyz").json()["running"]:
        assert time.monotonic() < deadline


async def how_runs_ended(data: Path) -> list[str]:
    origins = Origins(public="http://127.0.0.1", content="http://127.0.0.1")
    async with wiring.open_desk(data, settings=Settings(), origins=origins, is_open=True) as desk:
        told = await desk.engine.retention.log.after(Scope(user="local", session="s"), 0, limit=100)
        return [str(each.facts["status"]) for each in told.events if each.type == "execution-finished"]


def takes_nothing_new(server: Listening) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"{server.url}/healthz")
        except httpx2.TransportError:
            return True
    return False


@pytest.fixture
async def port(tmp_path: Path) -> AsyncGenerator[int]:
    """The port of a server in this process."""
    with claim("127.0.0.1", 0) as public, claim("127.0.0.1", 0) as content:
        origins = Origins(public=public.url, content=content.url)
        opened = wiring.open_desk(tmp_path, settings=Settings(), origins=origins, is_open=True)
        async with opened as desk, answering(desk, public=public, content=content):
            yield public.port


@contextlib.asynccontextmanager
async def bounded(app: Any) -> AsyncGenerator[int]:
    """The port at which an application is answered for within the bounds of connections alone."""
    config = uvicorn.Config(app, http=BoundedProtocol, lifespan="off", log_config=None)
    state = ServerState()
    loop = asyncio.get_running_loop()
    config.load()
    server = await loop.create_server(lambda: BoundedProtocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in [*state.tasks]:
            task.cancel()
        for connection in [*state.connections]:
            connection.transport.abort()
        # Those that were given up are closed on the next turn of the loop.
        for _ in range(2):
            await asyncio.sleep(0)


async def said(wire: Wire, *, within: float = 5.0) -> bytes:
    """What comes until the other side closes."""
    async with asyncio.timeout(within):
        try:
            return await wire[0].read()
        except ConnectionResetError:
            return b""
        finally:
            wire[1].close()


async def until_a_slow_head_is_cut_off(port: int) -> None:
    """The time that a head may take goes by, as another connection is made to feel."""
    wire = await asyncio.open_connection("127.0.0.1", port)
    wire[1].write(b"GET / HT")
    assert await said(wire) == b""


def test_a_port_that_is_taken_is_told_and_another_can_be_had() -> None:
    with claim("127.0.0.1", 0) as first:
        with pytest.raises(AddressUnusable, match=f"Port {first.port} of `127.0.0.1` cannot be used: another program"):
            claim("127.0.0.1", first.port)
        with claim_any("127.0.0.1", first.port) as second:
            assert second.port not in {0, first.port}


@pytest.mark.parametrize(
    ("host", "is_loopback", "is_wildcard"),
    [
        ("127.0.0.1", True, False),
        ("127.8.9.10", True, False),
        ("localhost", True, False),
        ("::1", True, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
    ],
)
def test_who_can_reach_an_address_is_told_by_what_it_is(host: str, is_loopback: bool, is_wildcard: bool) -> None:
    try:
        place = claim(host, 0)
    except AddressUnusable as missing:
        pytest.skip(str(missing))
    with place:
        assert (place.is_loopback, place.is_wildcard) == (is_loopback, is_wildcard)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a..b", "x" * 300])
def test_an_address_of_no_machine_or_of_another_is_refused(host: str) -> None:
    with pytest.raises(AddressUnusable) as refused:
        claim(host, 0)
    assert refused.value.hint


def test_the_address_of_ipv6_is_spelled_with_brackets() -> None:
    try:
        place = claim("::1", 0)
    except AddressUnusable as missing:
        pytest.skip(str(missing))
    with place:
        assert place.url == f"http://[::1]:{place.port}"


def test_both_origins_answer_and_say_nothing_of_what_they_run_on(tmp_path: Path) -> None:
    with listening_server(tmp_path) as server:
        page = httpx2.get(server.url)
        assert page.status_code == 200
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert f"ws://{server.url.removeprefix('http://')}" in page.headers["content-security-policy"]
        assert httpx2.get(server.url, headers={"if-none-match": page.headers["etag"]}).status_code == 304
        for answer in (page, httpx2.get(f"{server.content_url}/d/nothing"), httpx2.get(f"{server.url}/nothing")):
            assert "server" not in answer.headers
            assert "set-cookie" not in answer.headers
        assert httpx2.get(f"{server.content_url}{API}/sessions").status_code == 404
        rebound = httpx2.get(server.url, headers={"host": "evil.example"})
        assert (rebound.status_code, rebound.json()["code"]) == (421, "foreign_host")


def test_every_file_of_the_gallery_is_served_with_a_type_that_browsers_take(tmp_path: Path) -> None:
    folder = Path(wiring.__file__).parent / "server" / "gallery"
    types = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
    with listening_server(tmp_path) as server:
        for path in folder.iterdir():
            answer = httpx2.get(f"{server.url}/gallery/{path.name}")
            assert answer.status_code == 200, path
            assert answer.content == path.read_bytes()
            assert answer.headers["content-type"].partition(";")[0] == types[path.suffix]
            assert answer.headers["x-content-type-options"] == "nosniff"
        for name in ("", "nothing.js", "..%2fapp.py", "%2e%2e/app.py"):
            assert httpx2.get(f"{server.url}/gallery/{name}").status_code == 404


def test_a_run_in_flight_ends_and_is_answered_when_the_server_stops(tmp_path: Path) -> None:
    with listening_server(tmp_path) as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(run_elsewhere, server, "import time; time.sleep(1); open('a.txt', 'w').write('a')")
        until_running(server)
        server.process.send_signal(signal.SIGTERM)
        assert takes_nothing_new(server)
        told = answer.result(timeout=15).json()
        assert (told["status"], told["artifacts"][0]["name"]) == ("succeeded", "a.txt")
        assert server.process.wait(10) == 0


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_server_at_rest_stops_at_once(tmp_path: Path, sent: signal.Signals) -> None:
    with listening_server(tmp_path) as server, httpx2.Client() as client:
        assert client.get(server.url).status_code == 200
        began = time.monotonic()
        server.process.send_signal(sent)
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 5


def test_a_second_signal_ends_what_runs(tmp_path: Path) -> None:
    with listening_server(tmp_path) as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(run_elsewhere, server, "while True: pass")
        until_running(server)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert takes_nothing_new(server)  # Two signals at once would be one.
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(8) == 0
        assert time.monotonic() - began < 8
        # Whether the client is told in time is a matter of chance; that it waits no longer is not.
        answer.exception(5)
    assert asyncio.run(how_runs_ended(tmp_path)) == ["cancelled"]


async def test_garbage_is_a_bad_request_and_hurts_nobody_else(port: int) -> None:
    wire = await asyncio.open_connection("127.0.0.1", port)
    wire[1].write(b"\x16\x03\x01 nonsense\r\n\r\n")
    assert (await said(wire)).startswith(b"HTTP/1.1 400 ")
    wire = await asyncio.open_connection("127.0.0.1", port)
    wire[1].write(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
    assert b'{"ok":true}' in await said(wire)


@pytest.mark.parametrize(
    "part", [b"GET /" + b"a" * 4000, b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 600, b"X: " + b"y" * 4000]
)
async def test_a_head_without_end_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    monkeypatch.setattr(BoundedProtocol, "longest_head_bytes", 64 * 1024)
    wire = await asyncio.open_connection("127.0.0.1", port)
    sent = 0
    try:
        if part.startswith(b"X: "):
            wire[1].write(b"GET / HTTP/1.1\r\nX: ")
            part = b"y" * 4000
        wire[1].write(part)
        part = part.removeprefix(b"GET / HTTP/1.1\r\n").removeprefix(b"GET /")
        async with asyncio.timeout(10):
            while not wire[0].at_eof():
                wire[1].write(part)
                await wire[1].drain()
                sent += len(part)
                await asyncio.sleep(0)
    except ConnectionError:
        pass
    finally:
        wire[1].close()
    assert sent < 8 * 1024 * 1024


@pytest.mark.parametrize("beginning", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_a_head_that_comes_too_slowly_is_cut_off(
    port: int, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)
    wire = await asyncio.open_connection("127.0.0.1", port)
    wire[1].write(beginning)
    assert await said(wire) == b""


def chunked(port: int, end: bytes) -> bytes:
    head = f"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"2\r\n{}\r\n" + end


async def test_trailers_without_end_are_cut_off_and_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "longest_head_bytes", 4096)
    seen: list[list[tuple[bytes, bytes]]] = []

    async def patient(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body", False):
            pass
        seen.append(list(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with bounded(patient) as port:
        wire = await asyncio.open_connection("127.0.0.1", port)
        wire[1].write(chunked(port, b"0\r\nX-A: b\r\nConnection: close\r\n\r\n"))
        async with asyncio.timeout(5):
            assert (await wire[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        wire[1].close()
        assert [name for name, _ in seen[0]] == [b"host", b"transfer-encoding"]
        wire = await asyncio.open_connection("127.0.0.1", port)
        wire[1].write(chunked(port, b"0\r\n"))
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                while not wire[0].at_eof():
                    wire[1].write(b"X-A: b\r\n" * 100)
                    await wire[1].drain()
                    await asyncio.sleep(0)
        assert await said(wire) == b""


async def test_trailers_that_come_too_slowly_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)

    async def patient(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body", False):
            pass

    async with bounded(patient) as port:
        wire = await asyncio.open_connection("127.0.0.1", port)
        wire[1].write(chunked(port, b"0\r\n"))
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                while not wire[0].at_eof():
                    wire[1].write(b"x")
                    await wire[1].drain()
                    await asyncio.sleep(0.01)
        assert await said(wire) == b""


async def test_a_web_server_that_ends_by_itself_is_an_error(tmp_path: Path) -> None:
    with claim("127.0.0.1", 0) as public, claim("127.0.0.1", 0) as content:
        origins = Origins(public=public.url, content=content.url)
        opened = wiring.open_desk(tmp_path, settings=Settings(), origins=origins, is_open=True)
        async with opened as desk, answering(desk, public=public, content=content) as server:
            server.servers[1].should_exit = True
            with pytest.raises(ServerEnded, match="ended by itself"):
                async with asyncio.timeout(10):
                    await server.watch(asyncio.Event())


async def test_a_web_server_that_cannot_begin_is_an_error(tmp_path: Path) -> None:
    with claim("127.0.0.1", 0) as public, claim("127.0.0.1", 0) as content:
        origins = Origins(public=public.url, content=content.url)
        async with wiring.open_desk(tmp_path, settings=Settings(), origins=origins, is_open=True) as desk:
            content.bound.close()
            with pytest.raises(ServerEnded):
                async with answering(desk, public=public, content=content):
                    pass


async def test_a_head_within_the_bounds_is_answered_again_and_again(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.3)
    wire = await asyncio.open_connection("127.0.0.1", port)
    long = "X-A: " + "b" * 30_000
    for _ in range(3):
        wire[1].write(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{long}\r\n\r\n".encode())
        async with asyncio.timeout(5):
            assert (await wire[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert json.loads(await wire[0].readexactly(11)) == {"ok": True}
        await until_a_slow_head_is_cut_off(port)
    wire[1].close()


async def test_an_idle_connection_counts_as_no_slow_head(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.1)
    wire = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    for _ in range(2):
        wire[1].write(request)
        async with asyncio.timeout(5):
            assert (await wire[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            await wire[0].readexactly(11)
        await until_a_slow_head_is_cut_off(port)
    wire[1].close()


async def test_who_comes_when_all_connections_are_taken_is_told_to_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 8)
    monkeypatch.setattr(connections, "MOST_TURNED_AWAY", 2)
    with claim("127.0.0.1", 0) as public, claim("127.0.0.1", 0) as content:
        origins = Origins(public=public.url, content=content.url)
        opened = wiring.open_desk(tmp_path, settings=Settings(), origins=origins, is_open=True)
        async with opened as desk, answering(desk, public=public, content=content):
            head = f"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{public.port}\r\n".encode()
            upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            kept = [await asyncio.open_connection("127.0.0.1", public.port) for _ in range(6)]
            for wire in kept:
                wire[1].write(head + b"\r\n")
                assert (await wire[0].readline()).startswith(b"HTTP/1.1 200 ")
            plain, socket_, beyond = [await asyncio.open_connection("127.0.0.1", public.port) for _ in range(3)]
            assert await said(beyond) == b""
            plain[1].write(head + b"\r\n")
            answer = await said(plain)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in answer
            assert b'"code": "too_many_connections"' in answer
            socket_[1].write(head + upgrade + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
            assert (await said(socket_)).startswith(b"HTTP/1.1 503 ")
            kept.pop()[1].close()
            async with asyncio.timeout(5):
                while not (await first_line(public.port, head)).startswith(b"HTTP/1.1 200 "):
                    pass
            for wire in kept:
                wire[1].close()


async def first_line(port: int, head: bytes) -> bytes:
    wire = await asyncio.open_connection("127.0.0.1", port)
    wire[1].write(head + b"\r\n")
    try:
        return await wire[0].readline()
    except ConnectionResetError:
        return b""
    finally:
        wire[1].close()


class Halting:
    """An application that is halted at its n-th step, before or after something that it takes or sends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self.halts_at, self.steps = app, 0, 0
        self.reached, self.goes_on, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def begin(self, halts_at: int) -> None:
        self.halts_at, self.steps = halts_at, 0
        self.reached, self.goes_on, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        halts_at, ended = self.halts_at, self.ended

        async def step() -> None:
            self.steps += 1
            if self.steps == halts_at:
                self.reached.set()
                await self.goes_on.wait()

        async def received() -> Message:
            await step()
            message = await receive()
            await step()
            return message

        async def sent(message: Message) -> None:
            await step()
            await send(message)
            await step()

        try:
            await self._app(scope, received, sent)
        finally:
            ended.set()


@pytest.mark.parametrize("is_abrupt", [False, True])
async def test_whoever_leaves_before_the_answer_has_begun_is_no_fault_of_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_abrupt: bool
) -> None:
    origins = Origins(public="http://127.0.0.1", content="http://127.0.0.2")
    async with wiring.open_desk(tmp_path, settings=Settings(), origins=origins, is_open=True) as desk:
        app = Halting(guarded(desk))
        async with bounded(app) as port, httpx2.AsyncClient(headers={"host": "127.0.0.1"}) as client:
            who = {"name": "test", "version": "1"}
            params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": who}
            hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
            accepted = {"accept": "application/json, text/event-stream"}
            begun = await client.post(f"http://127.0.0.1:{port}/mcp?session=s", json=hello, headers=accepted)
            # The head of this one is sent before there is anything to say.
            head = ["Host: 127.0.0.1", "Accept: text/event-stream"]
            head += [f"Mcp-Session-Id: {begun.headers['mcp-session-id']}"]
            asked = "\r\n".join(["GET /mcp?session=s HTTP/1.1", *head, "", ""]).encode()

            async def leave_at(step: int) -> int:
                """Leave at a step, or when the answer has begun; return how many there were."""
                app.begin(step)
                loop, leaving = asyncio.get_running_loop(), socket.socket()
                leaving.setblocking(False)
                await loop.sock_connect(leaving, ("127.0.0.1", port))
                await loop.sock_sendall(leaving, asked)
                if step:
                    await app.reached.wait()
                else:
                    assert b" 200 " in (await loop.sock_recv(leaving, 4096))[:20]
                steps = app.steps
                if is_abrupt:
                    # The other side is told of it as an error.
                    leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                leaving.close()
                app.goes_on.set()
                await app.ended.wait()
                return steps

            async with asyncio.timeout(15):
                steps = await leave_at(0)
                assert steps >= 2
                for step in range(1, steps + 1):
                    await leave_at(step)
            app.begin(0)
            assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        desk.stopping.set()
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_the_socket_of_a_place_that_is_given_up_is_free_again() -> None:
    with claim("127.0.0.1", 0) as place:
        port = place.port
    with socket.create_server(("127.0.0.1", port)):
        pass
