"""Where hostile content is shown: a collector that hears what it tries, and a plain page as its control.

Nothing is asserted here; the browser is the fixtures'.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Error, Page

from loopback import listening

PATIENCE_SECONDS = 5.0
QUIET_SECONDS = 0.6

Show = Callable[[str, str, str], Awaitable[str]]
"""Stores content of a type under a title, and returns the address of its view page."""


@dataclass(slots=True)
class Collector(asyncio.DatagramProtocol):
    """Hears every connection and every datagram at one port of this machine."""

    address: str = ""
    heard: list[str] = field(default_factory=list[str])
    _first: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def aimed(self, content: str) -> str:
        return content.replace("AT", self.address).replace("PORT", str(self.port))

    async def hear(self, seconds: float) -> list[str]:
        """Wait for a first word, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), seconds)
        return self.heard

    def note(self, what: str) -> None:
        self.heard.append(what)
        self._first.set()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.note(f"{len(data)} bytes by UDP")

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.note("a connection")
        with contextlib.suppress(ValueError):
            self.note((await reader.readline()).decode("latin-1"))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\naccess-control-allow-origin: *\r\n\r\nok")
            await writer.drain()


@contextlib.asynccontextmanager
async def collecting() -> AsyncGenerator[Collector]:
    collector = Collector()
    async with listening(collector.answer) as collector.address:
        datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: collector, local_addr=("127.0.0.1", collector.port)
        )
        try:
            yield collector
        finally:
            datagrams.close()


@contextlib.asynccontextmanager
async def staged(content: str, media_type: str = "text/html", *, script: str = "") -> AsyncGenerator[str]:
    """Serve content with no header that would hold it in, a script at every address that ends so, and yield where."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        is_script = asked.split(b" ")[1].endswith(b".js")
        body = (script if is_script else content).encode()
        kind = "text/javascript" if is_script else media_type
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}; charset=utf-8\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async with listening(answer) as address:
        yield f"{address}/"


async def opened(tab: Page, address: str, press: str | None, *, in_frame: bool = False) -> None:
    """Open an address, and do what the user is lured to. It may lead the tab away while it is opened."""
    with contextlib.suppress(Error):
        await tab.goto(address, wait_until="domcontentloaded")
    if press is not None:
        await (tab.frame_locator("iframe") if in_frame else tab).locator(press).click(no_wait_after=True)
