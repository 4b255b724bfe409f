"""A thousand WebSockets on one session of a real server: how late events arrive, what they cost, whether one is lost.

The clients share this machine with the server, so what is measured is both. An event is timed from when its write was
acknowledged; one that came before that was not late. How long the write itself took stands beside it. The processor
time is the server's for each message, whatever else runs on the machine. Nothing here is asserted, but a lost event is
printed as one.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import platform
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop

import handiwork

PING, TEXT = 9, 1
CONNECTED_TOGETHER = 50
PATH = "/api/v1/sessions/bench"
COLUMNS = ("p50 ms", "p99 ms", "max ms", "write ms", "CPU µs")
BODY = json.dumps({"type": "file", "name": "a.txt", "content": "x"}).encode()

Write = Callable[[], Awaitable[None]]


class Watcher(asyncio.Protocol):
    """As little of a WebSocket client as notes when which event came."""

    def __init__(self, port: int, after: int) -> None:
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.request = (
            f"GET {PATH}/ws?after={after} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: handiwork\r\n\r\n"
        ).encode()
        self.begun = asyncio.get_running_loop().create_future()
        self.came: list[tuple[float, bytes]] = []
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one, but is not derived from it.
        self.transport = cast("asyncio.Transport", transport)
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._rest += data
        if not self.begun.done():
            head, found, rest = self._rest.partition(b"\r\n\r\n")
            if not found:
                return
            assert b" 101 " in head, head
            self._rest = rest
            self.begun.set_result(None)
        while (frame := self._frame()) is not None:
            opcode, content = frame
            if opcode == TEXT:
                self.came.append((now, content))
            elif opcode == PING:
                self.transport.write(bytes([0x8A, 0x80 | len(content), 0, 0, 0, 0]) + content)

    def _frame(self) -> tuple[int, bytes] | None:
        if len(self._rest) < 4:
            return None
        length, begin = self._rest[1], 2
        if length == 126:
            length, begin = int.from_bytes(self._rest[2:4]), 4
        if len(self._rest) < begin + length:
            return None
        opcode, content = self._rest[0] & 15, self._rest[begin : begin + length]
        self._rest = self._rest[begin + length :]
        return opcode, content


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    port: int
    pid: int
    data: Path

    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 1e6

    def spent_seconds(self) -> float:
        """Processor time."""
        spent = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(slots=True, kw_only=True)
class Found:
    """What came of one way to write."""

    written_ms: list[float] = field(default_factory=list[float])
    late_ms: list[float] = field(default_factory=list[float])
    lost: int = 0
    spent_seconds: float = 0.0


@contextlib.asynccontextmanager
async def served(data: Path) -> AsyncGenerator[Server]:
    command = [sys.executable, "-m", "handiwork", "serve", "--json", "--port", "0", "--content-port", "0"]
    with subprocess.Popen([*command, "--data", str(data)], stdout=subprocess.PIPE, cwd=data) as running:
        assert running.stdout is not None
        told = json.loads(running.stdout.readline())
        try:
            yield Server(port=int(told["url"].rpartition(":")[2]), pid=running.pid, data=data)
        finally:
            running.terminate()


@contextlib.asynccontextmanager
async def writing_over_http(server: Server) -> AsyncGenerator[Write]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST {PATH}/artifacts HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"

    async def write() -> None:
        writer.write(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 201 " in answer[:20], answer
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))

    yield write
    writer.close()


@contextlib.asynccontextmanager
async def writing_beside(server: Server) -> AsyncGenerator[Write]:
    async with handiwork.open(server.data) as engine:
        session = engine.session("bench")

        async def write() -> None:
            await session.create("file", content="x", name="a.txt")

        yield write


async def watch(server: Server, count: int, after: int) -> list[Watcher]:
    gate = asyncio.Semaphore(CONNECTED_TOGETHER)

    async def connect() -> Watcher:
        async with gate:
            _, watcher = await asyncio.get_running_loop().create_connection(
                lambda: Watcher(server.port, after), "127.0.0.1", server.port
            )
            await watcher.begun
            return watcher

    return await asyncio.gather(*(connect() for _ in range(count)))


async def measure(
    server: Server, watchers: list[Watcher], write: Write, *, first: int, events: int, per_second: float
) -> Found:
    """Write at a steady rate and note how much later each watcher had each event."""
    found, written_at = Found(), dict[int, float]()
    for watcher in watchers:
        watcher.came.clear()
    start, spent = time.perf_counter(), server.spent_seconds()
    for number in range(events):
        await asyncio.sleep(max(0.0, start + number / per_second - time.perf_counter()))
        begun = time.perf_counter()
        await write()
        written_at[first + number] = time.perf_counter()
        found.written_ms.append((written_at[first + number] - begun) * 1000)
    deadline = time.perf_counter() + 30
    while time.perf_counter() < deadline and any(len(watcher.came) < events for watcher in watchers):
        await asyncio.sleep(0.05)
    found.spent_seconds = server.spent_seconds() - spent
    expected = list(range(first, first + events))
    for watcher in watchers:
        came = [(json.loads(content)["seq"], at) for at, content in watcher.came]
        found.lost += [seq for seq, _ in came] != expected and max(1, events - len(came))
        found.late_ms += [max(0.0, at - written_at[seq]) * 1000 for seq, at in came if seq in written_at]
    return found


def print_found(way: str, found: Found) -> None:
    late = statistics.quantiles(found.late_ms, n=100)
    stored = statistics.median(found.written_ms)
    spent = found.spent_seconds * 1e6 / len(found.late_ms)
    times = (late[49], late[98], max(found.late_ms), stored, spent)
    print(f"{way:26} {len(found.late_ms):9,} {found.lost:5}" + "".join(f"{each:9.1f}" for each in times))


async def main(count: int, events: int, per_second: float) -> None:
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    print(f"{count:,} watchers of one session, {events} events at {per_second:g} a second, each way")
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as server:
            async with writing_over_http(server) as write:
                for _ in range(20):
                    await write()
                before = server.resident_mb()
                began = time.perf_counter()
                watchers = await watch(server, count, 20)
                connected = time.perf_counter() - began
                idle = server.resident_mb()
                print(f"\n{'written':26} {'received':>9} {'lost':>5}" + "".join(f"{n:>9}" for n in COLUMNS))
                found = await measure(server, watchers, write, first=21, events=events, per_second=per_second)
                print_found("over HTTP at the server", found)
            async with writing_beside(server) as write:
                found = await measure(server, watchers, write, first=21 + events, events=events, per_second=per_second)
                print_found("by another process", found)
            after = server.resident_mb()
            print(
                f"\nserver's memory: {before:.0f} MB before, {idle:.0f} MB with all connected ({connected:.1f} s), "
                f"{after:.0f} MB at the end: +{(after - before) * 1000 / count:.0f} KB each"
            )
            for watcher in watchers:
                watcher.transport.abort()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--events", type=int, default=150)
    parser.add_argument("--per-second", type=float, default=5.0)
    told = parser.parse_args()
    uvloop.run(main(told.watchers, told.events, told.per_second))
