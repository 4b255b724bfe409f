"""Both origins on the network, in one process and one event loop: sockets, the web server, and how it stops.

What is answered is in `app` and `content_origin`; which addresses are wanted and who may come is the caller's.
"""

import asyncio
import contextlib
import errno
import gc
import ipaddress
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
import uvloop
from starlette.types import ASGIApp

from handiwork.errors import HandiworkError
from handiwork.server.app import guarded
from handiwork.server.connections import bounded_to
from handiwork.server.content_origin import content_application
from handiwork.server.desk import Desk
from handiwork.server.sockets import EventSockets

BACKLOG = 2048
# Longer than the keep-alive of common clients and shorter than that of common proxies would be a guess at best.
KEEP_ALIVE_SECONDS = 30
# What a client has to say on a WebSocket is nothing that anybody waits for.
LONGEST_MESSAGE_BYTES = 4096
STALLED_MILLISECONDS = 60_000
GRACE_SECONDS = 10.0
# For answers that are ready and connections that close.
FAREWELL_SECONDS = 2


class AddressUnusable(HandiworkError):
    """The server cannot listen at this address."""

    code = "address_unusable"

    def __init__(self, host: str, port: int, *, why: str, hint: str) -> None:
        super().__init__(f"Port {port} of `{host}` cannot be used: {why}.")
        self.host, self.port, self.why, self.hint = host, port, why, hint


class ServerEnded(HandiworkError):
    """One of the two web servers did not begin, or ended without being told to."""

    code = "server_ended"
    hint = "The log says why, if the web server knew; start it again."

    def __init__(self, *, has_begun: bool) -> None:
        super().__init__("The web server ended by itself." if has_begun else "The web server did not begin to answer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An address that is ours and at which nobody is answered yet."""

    bound: socket.socket = field(repr=False)
    host: str

    @property
    def port(self) -> int:
        return self.bound.getsockname()[1]

    @property
    def name(self) -> str:
        """How the host is spelled in a `Host` header."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def url(self) -> str:
        """The address for whoever is on this machine."""
        return f"http://{'127.0.0.1' if self.is_wildcard else self.name}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it, by the address that it has and not by what it is called."""
        return self._address.is_loopback

    @property
    def is_wildcard(self) -> bool:
        """Whether it is every address of this machine."""
        return self._address.is_unspecified

    @property
    def _address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.ip_address(self.bound.getsockname()[0].partition("%")[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.bound.close()


def claim(host: str, port: int) -> Place:
    """Take an address; port 0 is any that is free.

    Raises:
        AddressUnusable: it is taken, or not an address of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as refused:
        why = "no address of this name is known"
        raise AddressUnusable(host, port, why=why, hint="Name an address of this machine.") from refused
    # Of the two addresses of `localhost` the one that every client tries.
    family, kind, protocol, _name, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # From here on nobody else can have it; who connects waits until the application is there.
        bound.listen(BACKLOG)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Whoever takes nothing is cut off by the kernel: closing a connection waits for the client without end.
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MILLISECONDS)
    except OSError as refused:
        bound.close()
        raise _unusable(host, port, refused) from refused
    bound.setblocking(False)
    return Place(bound=bound, host=host)


def claim_any(host: str, port: int) -> Place:
    """Take this port, or another one where it is taken."""
    try:
        return claim(host, port)
    except AddressUnusable:
        return claim(host, 0)


def run_quickly(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a program on the event loop that serves fastest."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


async def answer_until_told(
    desk: Desk, *, public: Place, content: Place, announce: Callable[[], Awaitable[None]]
) -> None:
    """Answer at both places until SIGINT or SIGTERM; a second one cuts the farewell short.

    `announce` begins when requests are answered; what it raises ends the server.

    Raises:
        ServerEnded: nobody is answered any more, at one of the places or at both.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    try:
        async with answering(desk, public=public, content=content) as server:

            def heed() -> None:
                if told.is_set():
                    server.hurry()
                told.set()

            for each in signals:
                loop.add_signal_handler(each, heed)
            # What is there by now stays, and need not be looked at again each time that the memory is searched.
            gc.collect()
            gc.freeze()
            await announce()
            await server.watch(told)
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


@contextlib.asynccontextmanager
async def answering(desk: Desk, *, public: Place, content: Place) -> AsyncGenerator["Answering"]:
    """Answer at both places within the context.

    At its end no new request is taken, streams are told, and runs in flight get `GRACE_SECONDS`; what they made is
    stored and told to those who wait for it.

    Raises:
        ServerEnded: the web servers did not begin, or one of them failed.
    """
    servers = (
        _Server(_config(guarded(desk), share=0.75)),
        _Server(_config(content_application(desk), share=0.25)),
    )
    tasks = tuple(
        asyncio.create_task(server.serve(sockets=[place.bound]))
        for server, place in zip(servers, (public, content), strict=True)
    )
    answering = Answering(desk=desk, servers=servers, tasks=tasks)
    try:
        await answering.begin()
        yield answering
    finally:
        await answering.end()
        await asyncio.wait(tasks)
        # Looked at, so that asyncio does not report it as forgotten when something else is raised.
        failures = [task.exception() for task in tasks]
    for failure in failures:
        if failure is not None:
            raise ServerEnded(has_begun=True) from failure


@dataclass(slots=True, kw_only=True, eq=False)
class Answering:
    """Two web servers at work."""

    desk: Desk
    servers: "tuple[_Server, _Server]"
    tasks: "tuple[asyncio.Task[None], ...]"
    _has_to_hurry: asyncio.Event = field(default_factory=asyncio.Event)

    async def begin(self) -> None:
        """Return when both answer. Raises: `ServerEnded`."""
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                while not all(server.started for server in self.servers):
                    self._require_life(has_begun=False)
                    await asyncio.sleep(0.001)  # Nothing announces it.
        except TimeoutError as late:
            raise ServerEnded(has_begun=False) from late

    async def watch(self, told: asyncio.Event) -> None:
        """Return when the end is told. Raises: `ServerEnded`, when it comes before."""
        telling = asyncio.create_task(told.wait())
        try:
            await asyncio.wait([telling, *self.tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            telling.cancel()
        if not told.is_set():
            self._require_life(has_begun=True)

    def _require_life(self, *, has_begun: bool) -> None:
        for task in self.tasks:
            if task.done():
                raise ServerEnded(has_begun=has_begun) from task.exception()

    def hurry(self) -> None:
        """Wait for nothing any more: runs are cancelled and connections cut."""
        self._has_to_hurry.set()
        for server in self.servers:
            server.force_exit = True

    async def end(self) -> None:
        """Take nothing new, and return when the runs have ended."""
        self.desk.stopping.set()
        for server in self.servers:
            server.should_exit = True
        runs = self.desk.engine.runs
        ending = asyncio.create_task(runs.close(within_seconds=GRACE_SECONDS))
        hurrying = asyncio.create_task(self._has_to_hurry.wait())
        await asyncio.wait([ending, hurrying], return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            await runs.close(within_seconds=0)
        hurrying.cancel()
        await ending


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it: they are for the process and not for one of its two origins."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _config(app: ASGIApp, *, share: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http=bounded_to(share),
        ws=EventSockets,
        ws_max_size=LONGEST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(GRACE_SECONDS) + FAREWELL_SECONDS,
        backlog=BACKLOG,
    )


def _unusable(host: str, port: int, refused: OSError) -> AddressUnusable:
    match refused.errno:
        case errno.EADDRINUSE:
            return AddressUnusable(
                host,
                port,
                why="another program has it",
                hint="Stop that one, or name another port (0 is any free one).",
            )
        case errno.EADDRNOTAVAIL:
            return AddressUnusable(
                host, port, why="it is no address of this machine", hint="Name one that it has, or `127.0.0.1`."
            )
        case errno.EACCES:
            return AddressUnusable(host, port, why="it takes more rights", hint="Name a port of 1024 or above.")
        case _:
            why = (refused.strerror or str(refused)).lower()
            return AddressUnusable(host, port, why=why, hint="Name another address or port.")
