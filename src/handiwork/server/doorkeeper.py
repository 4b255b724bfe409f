"""Who may come in at all, asked before the first byte of a body is read. What a caller may do is asked by the routes.

Without this, whoever has no key could fill the memory with bodies that nobody will ever look at.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from handiwork.errors import HandiworkError
from handiwork.server.desk import API, MCP, Desk
from handiwork.server.headers import has_body, header_values
from handiwork.server.problems import refuse


class Doorkeeper:
    """Refuses a request with a body whose sender is nobody; place it outside of what reads bodies."""

    def __init__(self, app: ASGIApp, *, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith((API, MCP)) and has_body(scope):
            credentials = [value.decode("latin-1") for value in header_values(scope, b"authorization")]
            try:
                await self._desk.recognised(credentials[0] if credentials else None)
            except HandiworkError as refused:
                await refuse(refused, scope=scope, receive=receive, send=send)
                return
        await self._app(scope, receive, send)
