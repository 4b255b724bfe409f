"""The usual requests, answered before the framework looks for their routes. How each is answered is in its module.

Storing and reading are what clients do most, and what the framework does before it calls a route takes longer than
either. Their routes are declared like all others, for the OpenAPI document and for whatever is not usual, and both ways
come to the same.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Message, Receive, Scope, Send

from handiwork.access.policy import Caller, Permission
from handiwork.server.callers import USER_HEADER
from handiwork.server.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortWay:
    """How the usual request to a route is answered.

    `answer` returns None for one that is not usual, before it has read anything of its body; when it has read all of
    it, it raises `Unusual`.
    """

    method: str
    path: str
    permission: Permission
    answer: Callable[[Request, Desk, Caller], Awaitable[Response | None]]


class Unusual(Exception):
    """Raised by an answer that has read the body, and leaves it to the application after all."""

    def __init__(self, body: bytes) -> None:
        super().__init__("it goes the usual way")
        self.body = body


class ShortWays:
    """Goes one of the ways, or to the application; who acts for somebody else always goes there."""

    def __init__(self, app: FastAPI, *, desk: Desk, ways: Iterable[ShortWay]) -> None:
        self._app, self._desk = app, desk
        self._ways: dict[str, list[tuple[re.Pattern[str], ShortWay]]] = {}
        for way in ways:
            self._ways.setdefault(way.method, []).append((compile_path(way.path)[0], way))
        # What has no handler is for `problems.Backstop`.
        handlers = {kind: handler for kind, handler in app.exception_handlers.items() if kind is not Exception}
        self._answering = ExceptionMiddleware(self._answer, handlers=handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for pattern, way in self._ways.get(scope["method"], ()):
                if (found := pattern.match(scope["path"])) is not None:
                    scope = {**scope, "app": self._app, "path_params": found.groupdict(), "short_way": way}
                    await self._answering(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, way = Request(scope, receive, send), scope["short_way"]
        assert isinstance(way, ShortWay)
        response = None
        if USER_HEADER not in request.headers:
            caller = await self._desk.recognised(request.headers.get("authorization"))
            caller.require(way.permission)
            try:
                response = await way.answer(request, self._desk, caller)
            except Unusual as unusual:
                receive = _again(unusual.body, receive)
        await (response or self._app)(scope, receive, send)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what tells a whole body once more, and then goes on."""
    told: Iterator[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_again() -> Message:
        return next(told, None) or await receive()

    return receive_again
