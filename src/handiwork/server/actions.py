"""Routes on what is done with artifacts: proposed, approved, rejected, listed. What may be done is the ledger's.

Who may do it without being asked is told by the permission of the caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query
from pydantic import ConfigDict, Field, StrictBool
from starlette.responses import Response

from handiwork.model import Acted
from handiwork.server.answers import ActionTypeAnswer, Answer, ArtifactAnswer, problems
from handiwork.server.artifacts import OfSession, json_answer, whole_shape
from handiwork.server.bodies import Body, Metadata, VersionNumber
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.desk import API, Desk
from handiwork.server.path_names import PathName
from handiwork.server.strict_bodies import StrictRoute
from handiwork.shapes import action_shape
from handiwork.verbs import MOST_ON_A_PAGE


class ActionOrder(Body):
    """The arguments of an action, and the version that it is for; `propose` waits for a user in any case."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 2, "params": {}}]})

    params: Annotated[Metadata | None, Field(description="What the schema of the action asks for.")] = None
    version: Annotated[VersionNumber | None, Field(description="Absent is the newest.")] = None
    propose: StrictBool = False


class ActionAnswer(Answer):
    """A row of the ledger: what was proposed, rejected or done with one version of an artifact."""

    id: str
    action: str
    status: Literal["proposed", "rejected", "finished"]
    artifact_id: str
    version: int
    sha256: str
    params: Mapping[str, Any]
    principal: Literal["user", "agent", "admin", "system"]
    decided_by: Literal["user", "agent", "admin", "system"] | None
    idempotency_key: str | None
    proposed_at: datetime
    expires_at: Annotated[
        datetime | None, Field(description="From then on it can be approved no more; null for what nobody proposed.")
    ]
    started_at: datetime | None
    finished_at: datetime | None
    outcome: Mapping[str, Any] | None


class ActedAnswer(Answer):
    """What asking for an action has come to; `result` is null as long as it waits for a user."""

    artifact: ArtifactAnswer
    action: ActionAnswer
    result: Mapping[str, Any] | None


class ActionsAnswer(Answer):
    """What can be done with an artifact in its state, and the newest of what was proposed and done."""

    items: Sequence[ActionAnswer]
    possible: Sequence[ActionTypeAnswer]
    has_more: bool


router = APIRouter(tags=["actions"], route_class=StrictRoute)

_DECIDED = {200: {"model": ActedAnswer, "description": "How the action stands now"}, **problems(404, 409, 410, 412)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of an action beside its name, in the body and the headers."""

    order: ActionOrder
    key: str | None


async def _said(
    body: ActionOrder | None = None,
    idempotency_key: Annotated[
        str | None, Header(description="What is asked again with the same key is not done again.", max_length=200)
    ] = None,
) -> Said:
    return Said(order=body or ActionOrder(), key=idempotency_key)


@router.get(
    f"{API}/artifacts/{{artifact}}/actions",
    responses={200: {"model": ActionsAnswer, "description": "The ledger of the artifact"}, **problems(404, 410, 422)},
    **demands("artifact:read"),
)
async def list_actions(
    artifact: PathName,
    desk: TheDesk,
    caller: TheCaller,
    limit: Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)] = 100,
    session: OfSession = None,
) -> Response:
    """What was proposed and done with an artifact, the newest first, and what can be done with it now."""
    found = await desk.engine.ledger.listing(caller.within(session=session), artifact, limit=limit)
    return json_answer(
        {
            "items": [action_shape(each) for each in found.items],
            "possible": [{"name": each.name, "schema": dict(each.schema)} for each in found.possible],
            "hasMore": found.has_more,
        }
    )


@router.post(
    f"{API}/artifacts/{{artifact}}/actions/{{action}}",
    responses={
        200: {"model": ActedAnswer, "description": "It is done"},
        202: {"model": ActedAnswer, "description": "It waits for the approval of a user"},
        **problems(404, 409, 410, 412, 422, 507),
    },
    **demands("artifact:write"),
)
async def act(
    artifact: PathName,
    action: PathName,
    desk: TheDesk,
    caller: TheCaller,
    said: Annotated[Said, Depends(_said)],
    session: OfSession = None,
) -> Response:
    """Do something with one version of an artifact; for a caller who may not execute actions it is proposed."""
    order, ledger = said.order, desk.engine.ledger
    may_act = "action:execute" in caller.permissions and not order.propose
    acted = await (ledger.act if may_act else ledger.propose)(
        caller.within(session=session),
        artifact,
        action,
        by=caller.principal,
        params=order.params,
        version=order.version,
        idempotency_key=said.key,
    )
    return await _answered(desk, acted)


@router.post(f"{API}/actions/{{action}}/approve", responses=_DECIDED, **demands("action:execute"))
async def approve(action: PathName, desk: TheDesk, caller: TheCaller, session: OfSession = None) -> Response:
    """Agree to what was proposed, and do it once, with the version that it names and no other."""
    acted = await desk.engine.ledger.approve(caller.within(session=session), action, by=caller.principal)
    return await _answered(desk, acted)


@router.post(f"{API}/actions/{{action}}/reject", responses=_DECIDED, **demands("action:execute"))
async def reject(action: PathName, desk: TheDesk, caller: TheCaller, session: OfSession = None) -> Response:
    """Turn down what was proposed."""
    acted = await desk.engine.ledger.reject(caller.within(session=session), action, by=caller.principal)
    return await _answered(desk, acted)


async def _answered(desk: Desk, acted: Acted) -> Response:
    answer = {
        "artifact": await whole_shape(desk, acted.artifact),
        "action": action_shape(acted.action),
        "result": None if acted.action.outcome is None else dict(acted.action.outcome),
    }
    return json_answer(answer, 202 if acted.action.status == "proposed" else 200)
