"""One HTTP exchange with an ASGI application, without a network. What it should answer is for the tests to say."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEADLINE_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Answer:
    status: int = 0
    raw_headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""
    is_complete: bool = False
    read: int = 0
    """How many messages of the request were received."""

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.raw_headers}

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


def http(
    method: str = "GET", path: str = "/", *, headers: Iterable[tuple[str, str]] = (), scheme: str = "http"
) -> Scope:
    raw = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": scheme,
        "headers": raw,
    }


def websocket(
    path: str = "/", *, headers: Iterable[tuple[str, str]] = (), scheme: str = "ws", knows_denial: bool = True
) -> Scope:
    extensions = {"websocket.http.response": {}} if knows_denial else {}
    extra = {"type": "websocket", "scheme": scheme, "subprotocols": [], "extensions": extensions}
    scope = {**http(path=path, headers=headers), **extra}
    del scope["method"]
    return scope


async def exchange(app: ASGIApp, scope: Scope, *body: bytes, disconnects: bool = False) -> Answer:
    """Send the body in these pieces and return the answer; `disconnects` leaves before the body is whole."""
    answer = Answer()
    parts = list(body) or [b""]

    async def receive() -> Message:
        if scope["type"] == "websocket":
            return {"type": "websocket.connect"}
        if not parts:
            return {"type": "http.disconnect"}
        answer.read += 1
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts) or disconnects}

    async with asyncio.timeout(DEADLINE_SECONDS):
        await app(scope, receive, collecting(answer))
    return answer


def collecting(answer: Answer) -> Send:
    async def send(message: Message) -> None:
        match message["type"]:
            case "http.response.start" | "websocket.http.response.start":
                assert answer.status == 0, "an answer began twice"
                answer.status, answer.raw_headers = message["status"], list(message["headers"])
            case "http.response.body" | "websocket.http.response.body":
                answer.body += message.get("body", b"")
                answer.is_complete = not message.get("more_body", False)
            case "websocket.accept":
                answer.status, answer.raw_headers = 101, list(message.get("headers", ()))
            case "websocket.close":
                answer.status = message["code"]
            case other:
                raise AssertionError(other)

    return send


async def body_of(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        yield message["body"]
        if not message["more_body"]:
            return


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept a WebSocket; answer a request with its own body, read to the end."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    body = b"".join([piece async for piece in body_of(receive)])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
