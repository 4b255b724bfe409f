"""The route `/mcp`: the Model Context Protocol over streamable HTTP, for the caller and in the session of each request.

What is asked and answered is known to `mcp_exchange`, which is loaded when somebody asks: it takes as much memory as
half of the rest, and most servers never need it.
"""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.datastructures import State
from starlette.responses import Response

from handiwork.access.policy import Caller
from handiwork.errors import InvalidName
from handiwork.server.callers import TheCaller, TheDesk
from handiwork.server.desk import MCP, Desk
from handiwork.server.streams import TheStreams
from handiwork.tasks import in_thread

if TYPE_CHECKING:
    from handiwork.server.mcp_conversations import Conversations

SESSION_HEADER = "x-handiwork-session"

router = APIRouter()


@router.api_route(MCP, methods=["GET", "POST", "DELETE"], include_in_schema=False, response_model=None)
async def mcp(request: Request, desk: TheDesk, caller: TheCaller, streams: TheStreams) -> Response:
    caller.require("artifact:read")
    scope = caller.scope(_session(request, desk, caller))
    conversations = await _conversations(request.app.state)
    from handiwork.server.mcp_exchange import Exchange

    return Exchange(desk, streams, conversations, caller=caller, place=scope)


def _session(request: Request, desk: Desk, caller: Caller) -> str:
    named = request.headers.get(SESSION_HEADER) or request.query_params.get("session")
    session = named or caller.session or desk.mcp_session
    if session is None:
        expected = "its name: add `?session=NAME` to the address, or send it as `X-Handiwork-Session`"
        raise InvalidName("session", "", expected=expected)
    return session


async def _conversations(state: State) -> "Conversations":
    """Return what the application holds, made by the first request."""
    if state.conversations is None:
        made = await in_thread(_opened)
        # Another one may have come first, and hold none yet.
        if state.conversations is None:
            state.conversations = made
    return state.conversations


def _opened() -> "Conversations":
    from handiwork.server.mcp_exchange import Conversations

    return Conversations()
