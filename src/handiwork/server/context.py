"""Routes on what agents and people are told of artifacts: the context of a turn, and references expanded.

What is revealed to whom is decided below.
"""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from handiwork.access.policy import Caller
from handiwork.context.revealing import LINK_SECONDS, Linking, Shown
from handiwork.context.turn import CONTEXT_TOKENS, LEAST_TOKENS, MOST_TOKENS
from handiwork.model import Artifact
from handiwork.server.answers import ContextAnswer, ExpandedAnswer, problems
from handiwork.server.artifacts import json_answer, linked
from handiwork.server.bodies import ExpandOrder, LinkOrder
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.desk import API, Desk
from handiwork.server.path_names import PathName
from handiwork.server.strict_bodies import StrictRoute
from handiwork.session import Session

router = APIRouter(tags=["context"], route_class=StrictRoute)


@router.post(
    f"{API}/sessions/{{session}}/expand",
    responses={200: {"model": ExpandedAnswer, "description": "The text"}, **problems(400, 404, 413, 415, 422)},
    **demands("artifact:read"),
)
async def expand(session: PathName, body: ExpandOrder, desk: TheDesk, caller: TheCaller) -> Response:
    """Put into a text what its references lead to, for who reads it.

    A user gets text inline, pictures and links that work for an hour; a model short references and never an address;
    another agent as much as `reveal` says. A reference that leads nowhere stays as it is written.
    """
    text = await session_of(desk, caller, session).expand(body.text, body.audience, reveal=body.reveal)
    return json_answer({"text": text})


@router.get(
    f"{API}/sessions/{{session}}/context",
    responses={200: {"model": ContextAnswer, "description": "The parts"}, **problems(404, 422)},
    **demands("artifact:read"),
)
async def context(
    session: PathName,
    desk: TheDesk,
    caller: TheCaller,
    budget: Annotated[int, Query(ge=LEAST_TOKENS, le=MOST_TOKENS, description="In tokens.")] = CONTEXT_TOKENS,
) -> Response:
    """What an agent is told at the beginning of its turn: the inventory of live artifacts, and what users did.

    As long as nothing happens, every answer is the same.
    """
    found = await session_of(desk, caller, session).context(budget=budget)
    parts = [{"kind": part.kind, "text": part.text} for part in found.parts]
    return json_answer({"parts": parts, "tokens": found.tokens})


def session_of(desk: Desk, caller: Caller, session: str) -> Session:
    """Return a session as the caller has it, whose addresses lead to this server."""
    return Session(
        engine=desk.engine, scope=caller.scope(session), principal=caller.principal, link=_linking(desk, caller)
    )


def _linking(desk: Desk, caller: Caller) -> Linking | None:
    if "link:create" not in caller.permissions:
        return None

    async def link(artifact: Artifact, shown: Shown, /) -> str:
        url, _link = await linked(desk, caller, artifact, LinkOrder(disposition=shown, expires_in=LINK_SECONDS))
        return url

    return link
