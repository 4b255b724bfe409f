"""Clients that speak with an application itself, without a network, and take of an answer what they want, and when.

What is right is asserted elsewhere.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from protocol_clients import PATIENCE_SECONDS
from starlette.types import ASGIApp, Message


@dataclass(slots=True, eq=False)
class Asked:
    """One request, and as much of its answer as was taken; nothing of a body is, unless `takes` is set."""

    takes: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    offered: asyncio.Event = field(default_factory=asyncio.Event)
    leaves: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    pieces: list[bytes] = field(default_factory=list[bytes])
    is_whole: bool = False
    task: "asyncio.Task[None] | None" = None

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self.begun.set()
            return
        self.offered.set()
        await self.takes.wait()
        self.pieces.append(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
        self.came.set()

    async def over(self) -> None:
        assert self.task is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait([self.task])

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was said, in either of the two forms of an answer."""
        lines = [line.removeprefix("data: ") for line in self.text.splitlines() if line.startswith("data: {")]
        return [json.loads(each) for each in lines or ([self.text] if self.text.startswith("{") else [])]

    @property
    def text(self) -> str:
        return b"".join(self.pieces).decode()

    @property
    def told(self) -> list[str]:
        """Which changes were told: addresses, and `list`."""
        changes = [each for each in self.messages if "changed" in each["method"] or "updated" in each["method"]]
        return [each.get("params", {}).get("uri", "list") for each in changes]

    async def until_told(self, *uris: str) -> None:
        await self._until(lambda: set(uris) <= set(self.told))

    async def until(self, words: str) -> None:
        await self._until(lambda: words in self.text)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_so():
                self.came.clear()
                await self.came.wait()


def taking(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    body: object = None,
    headers: dict[str, str] | None = None,
    takes: bool = True,
) -> Asked:
    """Send a request; `target` is a path with a query, or an address."""
    asked, content, place = Asked(), b"" if body is None else json.dumps(body).encode(), urlsplit(target)
    if takes:
        asked.takes.set()
    given = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> Message:
        if given:
            return given.pop()
        await asked.leaves.wait()
        return {"type": "http.disconnect"}

    sent = {"host": place.netloc or "127.0.0.1:8765", **(headers or {})}
    sent |= {"content-type": "application/json"} if content else {}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": place.path, "raw_path": place.path.encode(), "root_path": "", "query_string": place.query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8765), "state": {},
    }  # fmt: skip

    async def run() -> None:
        await app(scope, receive, asked.take)

    asked.task = asyncio.create_task(run())
    return asked


async def leave(*asked: Asked) -> None:
    """End what is still being answered."""
    tasks = [each.task for each in asked if each.task is not None]
    for each in asked:
        each.leaves.set()
        each.takes.set()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
