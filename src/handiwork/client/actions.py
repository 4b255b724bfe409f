"""Actions on the artifacts of a server: asked for, decided, listed. Who may do what is known to the server alone.

Where the key of a connection may only propose, what it asks for waits for a user.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Unpack

from handiwork.actions.ledger import ActionList, demand_action_id, demand_decider
from handiwork.client import answers
from handiwork.client.answers import Told
from handiwork.client.contents import Body, object_of
from handiwork.client.place import Place, segment_of
from handiwork.ids import ActionId, ArtifactId
from handiwork.model import Acted, Action, Artifact, Principal, PrincipalKind, Scope
from handiwork.types.action_type import ActionType
from handiwork.verbs import Acting, demand_acting, demand_whole, page_size
from handiwork.versions.marking import demand_mover


async def acted_on(
    place: Place, reference: str, action: str, *, is_proposal: bool = False, **said: Unpack[Acting]
) -> Acted:
    """Ask for an action. Raises what `Session.act` does."""
    demand_acting(action, **said)
    key = said.get("idempotency_key")
    params = object_of(said.get("params"), "params")
    body = Body(
        value={"params": params, "version": said.get("version"), "propose": is_proposal},
        headers={} if key is None else {"idempotency-key": key},
    )
    call = place.call_on(reference, "POST", f"/actions/{segment_of(action)}", body=body)
    return await place.ask(call, _acted)


async def decided(place: Place, action_id: str, decision: Literal["approve", "reject"], *, by: Principal) -> Acted:
    """Approve or reject what was proposed. Raises what `Session.approve` and `reject` do."""
    demand_decider(by)
    demand_action_id(action_id)
    call = place.call("POST", f"/actions/{action_id}/{decision}", query={"session": place.scope.session})
    return await place.ask(call, _acted)


async def moved(
    place: Place, reference: str, *, by: Principal, state: str | None, facts: Mapping[str, object] | None
) -> Artifact:
    """Go on to a state, and note facts. Raises what `Session.step` does."""
    demand_whole(state=state)
    demand_mover(state, by=by.kind)
    body = Body(value={"state": state, "facts": object_of(facts, "facts")})
    return await place.artifact("PATCH", reference, "/state", body=body)


async def listed_actions(place: Place, reference: str, *, limit: int) -> ActionList:
    """Return the ledger of an artifact. See `Session.actions`."""
    call = place.call_on(reference, "GET", "/actions", query={"limit": page_size(limit)})
    return await place.ask(call, _listed)


def _acted(told: Told, scope: Scope) -> Acted:
    return Acted(action=_action(told["action"], scope), artifact=answers.artifact(told["artifact"], scope))


def _listed(told: Told, scope: Scope) -> ActionList:
    return ActionList(
        possible=tuple(ActionType(name=each["name"], schema=dict(each["schema"])) for each in told["possible"]),
        items=tuple(_action(each, scope) for each in told["items"]),
        has_more=bool(told["hasMore"]),
    )


def _action(told: Told, scope: Scope) -> Action:
    by = told["decidedBy"]
    return Action(
        id=ActionId(str(told["id"])),
        scope=scope,
        artifact_id=ArtifactId(str(told["artifactId"])),
        name=str(told["action"]),
        version=int(told["version"]),
        sha256=str(told["sha256"]),
        status=told["status"],
        principal=_principal(told["principal"]),
        proposed_at=datetime.fromisoformat(told["proposedAt"]),
        expires_at=_moment(told["expiresAt"]),
        params=dict(told["params"]),
        idempotency_key=told["idempotencyKey"],
        decided_by=None if by is None else _principal(by),
        started_at=_moment(told["startedAt"]),
        finished_at=_moment(told["finishedAt"]),
        outcome=None if told["outcome"] is None else dict(told["outcome"]),
    )


def _principal(kind: PrincipalKind) -> Principal:
    # Who it was a server does not tell.
    return Principal(kind=kind, id="")


def _moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
