"""What every route has at hand: the engine, who may call, and what the origins are called from outside.

What a route does with it is its own affair, and how it gets it is in `callers`.
"""

import asyncio
from dataclasses import dataclass, field

from handiwork.access.authentication import Authenticator
from handiwork.access.keys import Keys
from handiwork.access.links import Links
from handiwork.access.policy import Caller, local_caller
from handiwork.access.tokens import Tokens
from handiwork.clock import Clock
from handiwork.engine import Engine
from handiwork.errors import NotAuthenticated
from handiwork.server.outlets import Reads

API = "/api/v1"
MCP = "/mcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """The two origins of a server without a slash at the end, and who else may speak to the first.

    `hosts` are further names under which it answers, `cors` further origins whose pages may call it, and `embedders`
    those whose pages may show its view pages in a frame.
    """

    public: str
    content: str
    hosts: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    embedders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One server's means.

    `is_open` is for a server that listens on loopback: as long as no key was ever made, whoever can reach it is its
    local user. `stopping` is set when the server begins to stop: streams end then. `mcp_session` is the session of
    clients of MCP that name none. `reads` are the answers with content that are being taken.
    """

    engine: Engine
    authenticator: Authenticator
    keys: Keys
    tokens: Tokens
    links: Links
    clock: Clock
    origins: Origins
    is_open: bool
    body_limit: int
    mcp_session: str | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    reads: Reads = field(default_factory=Reads)

    async def recognised(self, credentials: str | None) -> Caller:
        """Return who sends `credentials`, the value of an `Authorization` header or a bare key or token.

        Raises:
            NotAuthenticated: nobody who may use this server.
        """
        if credentials is not None:
            return await self.authenticator.authenticate(credentials)
        if self.is_open and not await self.keys.is_any():
            return local_caller()
        raise NotAuthenticated
