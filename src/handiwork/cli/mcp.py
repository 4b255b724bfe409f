"""The command `mcp`: a session for a client of MCP, from a store or from a server. How it speaks is known to `mcp`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handiwork.cli.failures import DONE
from handiwork.cli.remarks import remarks
from handiwork.mcp.stdio import speak
from handiwork.mcp.visitors import Visitor

if TYPE_CHECKING:
    from handiwork.client.session import RemoteSession
    from handiwork.session import Session

SESSION = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for; `session` None is the one of the key, or else the usual one."""

    session: str | None = None
    data: str | None = None
    url: str | None = None
    key: str | None = None
    user: str | None = None


def speak_on_standard_streams(request: Request) -> int:
    """Answer a client on standard input and output until it goes, and return the exit code."""
    return asyncio.run(_speak(request))


async def _speak(request: Request) -> int:
    with remarks():
        async with _opened(request) as (session, may_approve):
            await speak(Visitor(session=session, toolbox=session.tools(), may_approve=may_approve))
    return DONE


@contextlib.asynccontextmanager
async def _opened(request: Request) -> "AsyncGenerator[tuple[Session | RemoteSession, bool]]":
    # Whichever it is, the other costs as much to import.
    if request.url is not None:
        from handiwork.client.engine import connect

        async with connect(request.url, key=request.key) as remote:
            name = request.session or remote.caller.session or SESSION
            yield remote.session(name, user=request.user), "action:execute" in remote.caller.permissions
        return
    from handiwork import wiring

    async with wiring.open(request.data) as engine:
        # Whoever starts this process on this machine has its store at hand anyway.
        yield engine.session(request.session or SESSION), True
