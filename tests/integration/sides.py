"""The two sides from which the verbs of a session are to be had: an engine in this process, and a server over a socket.

Both have a clock that a test moves. Nothing is asserted here.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from doors import Hands

import handiwork
from handiwork import wiring
from handiwork.client.connection import Patience
from handiwork.client.engine import RemoteEngine
from handiwork.client.session import RemoteSession
from handiwork.engine import Engine
from handiwork.server.desk import Desk, Origins
from handiwork.server.serving import answering, claim
from handiwork.session import Session
from handiwork.settings import Settings
from loopback import listening

Where = Literal["here", "afar"]
SIDES: tuple[Where, ...] = ("here", "afar")
HASTE = Patience(first_pause_seconds=0.01, longest_pause_seconds=0.05, outage_seconds=10)

Verbs = Session | RemoteSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side; `inside` is the engine that does the work, and `clock` its hands."""

    where: Where
    engine: Engine | RemoteEngine
    inside: Engine
    clock: Hands
    data: Path

    def session(self, name: str = "s") -> Verbs:
        return self.engine.session(name)


@contextlib.asynccontextmanager
async def open_side(
    where: Where, data: Path, *, types: Iterable[object] = (), **artifacts: Any
) -> AsyncGenerator[Side]:
    data.mkdir(parents=True, exist_ok=True)
    values = {"ready_children": 0, "concurrency": 2, **artifacts}
    settings, clock = Settings.model_validate({"cache": data / "cache", "artifacts": values}), Hands()
    if where == "here":
        async with handiwork.open(data, settings=settings, types=types, clock=clock) as engine:
            yield Side(where=where, engine=engine, inside=engine, clock=clock, data=data)
        return
    server = serving(data, settings, types=types, clock=clock)
    async with server as (url, desk), handiwork.connect(url, patience=HASTE) as engine:
        yield Side(where=where, engine=engine, inside=desk.engine, clock=clock, data=data)


@contextlib.asynccontextmanager
async def serving(
    data: Path, settings: Settings, *, types: Iterable[object] = (), clock: Hands | None = None
) -> AsyncGenerator[tuple[str, Desk]]:
    """Answer on a free port of loopback, in this process; give the address and what the server has at hand."""
    with claim("127.0.0.1", 0) as public, claim("127.0.0.1", 0) as content:
        origins = Origins(public=public.url, content=content.url)
        hands = clock or Hands()
        opened = wiring.open_desk(data, settings=settings, origins=origins, is_open=True, types=types, clock=hands)
        async with opened as desk, answering(desk, public=public, content=content):
            yield public.url, desk


@dataclass(slots=True, kw_only=True)
class Cutter:
    """A proxy on loopback that breaks connections off after so many bytes of answers.

    `cuts` says it for each connection to come, None for one that is left alone; so are all that follow.
    """

    host: str
    port: int
    cuts: list[int | None]
    url: str = ""
    connections: int = 0
    taken: bytearray = field(default_factory=bytearray)
    """What clients have sent."""
    open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    async def drop(self) -> None:
        """Break off all connections, so that the next request has one of its own."""
        for writer in self.open:
            writer.transport.abort()
        while self.open:  # noqa: ASYNC110  # each is gone within a few rounds of the loop
            await asyncio.sleep(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        most = self.cuts.pop(0) if self.cuts else None
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_connection(self.host, self.port)
            ways = [
                asyncio.create_task(self._pass_on(reader, inner_writer)),
                asyncio.create_task(_pass_back(inner_reader, writer, most)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                inner_writer.transport.abort()
        self.open.discard(writer)
        writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.taken += data
            writer.write(data)
            await writer.drain()


async def _pass_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
    room = most
    while data := await reader.read(65536):
        writer.write(data if room is None else data[:room])
        await writer.drain()
        if room is not None and (room := room - len(data)) <= 0:
            return


@contextlib.asynccontextmanager
async def cutting(url: str, *cuts: int | None) -> AsyncGenerator[Cutter]:
    host, _, port = url.removeprefix("http://").partition(":")
    cutter = Cutter(host=host, port=int(port), cuts=[*cuts])
    async with listening(cutter.serve) as cutter.url:
        yield cutter
