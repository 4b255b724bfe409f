"""Clients of MCP, of the official library, in both forms of the protocol. Nothing is asserted here."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2
from mcp import Client, MCPDeprecationWarning
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ResourceListChangedNotification, ResourceUpdatedNotification

Mode = Literal["legacy", "auto"]
MODES: tuple[Mode, ...] = ("legacy", "auto")
VERSIONS: dict[Mode, str] = {"legacy": "2025-11-25", "auto": "2026-07-28"}
# More than a test of a quiet machine needs.
PATIENCE_SECONDS = 15.0


@dataclass(slots=True)
class News:
    """What a client was told of changes, as it came: an address, or `list`."""

    told: list[str] = field(default_factory=list[str])
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, message: Any) -> None:
        match message:
            case ResourceListChangedNotification():
                self.add("list")
            case ResourceUpdatedNotification():
                self.add(message.params.uri)
            case _:
                pass

    def add(self, what: str) -> None:
        self.told.append(what)
        self.came.set()

    async def until(self, what: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while what not in self.told:
                self.came.clear()
                await self.came.wait()


@contextlib.asynccontextmanager
async def talking(server: Any, mode: Mode, news: News | None = None, asking: Any = None) -> AsyncGenerator[Client]:
    """Speak with a server: an object of it, a transport, or an address; `asking` answers for the user."""
    # Later forms tell it on a stream of its own.
    handler = (news if news is not None and mode == "legacy" else News()).take
    async with Client(
        server,
        mode=mode,
        message_handler=handler,
        read_timeout_seconds=PATIENCE_SECONDS,
        elicitation_callback=asking,
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def talking_over_http(url: str, mode: Mode, asking: Any = None, **headers: str) -> AsyncGenerator[Client]:
    sent: dict[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=PATIENCE_SECONDS) as http,
        talking(streamable_http_client(url, http_client=http), mode, asking=asking) as client,
    ):
        yield client


async def subscribe(client: Client, uri: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated]  # the way of the form before


@contextlib.asynccontextmanager
async def following(client: Client, *uris: str, news: News) -> AsyncGenerator[None]:
    """Be told what changes at these addresses and in the list, in the way of the client's form of the protocol."""
    if client.protocol_version != VERSIONS["auto"]:
        await client.list_resources()
        for uri in uris:
            await subscribe(client, uri)
        yield
        return
    async with client.listen(resources_list_changed=True, resource_subscriptions=list(uris)) as changes:

        async def pass_on() -> None:
            async for change in changes:
                news.add(getattr(change, "uri", "list"))

        passing = asyncio.create_task(pass_on())
        try:
            yield
        finally:
            passing.cancel()
            await asyncio.wait([passing])
