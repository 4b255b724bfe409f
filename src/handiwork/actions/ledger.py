"""Actions on artifacts: proposed by agents, approved by users, and done once with the version that was named.

What there is to be done is declared by the types. That a proposal holds no longer once the artifact was edited, and is
done only once however often it is approved, is seen to by the store, in the transaction that does it.
"""

import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Unpack

from handiwork.clock import Clock, utc_now
from handiwork.errors import (
    ActionDecided,
    ActionImpossible,
    ActionNotFound,
    ActionStale,
    ActionVoid,
    ApprovalNeeded,
    IdempotencyKeyReused,
    MarksMoved,
    UnknownType,
)
from handiwork.ids import ActionId, new_action_id
from handiwork.model import Acted, Action, Artifact, Principal, PrincipalKind, Reach, Scope
from handiwork.store.actions import Actions
from handiwork.store.records import Records
from handiwork.store.revisions import Marks
from handiwork.types.action_type import ActionType
from handiwork.types.registry import Registry
from handiwork.verbs import Acting, demand_acting

STALE_AFTER = timedelta(hours=24)
"""How long a proposal can be approved: what was agreed to days later is seldom what is still wanted."""
DECIDERS: frozenset[PrincipalKind] = frozenset({"user", "admin"})
"""Who does actions, and approves and rejects those of others. An admin acts for a user."""
ATTEMPTS = 20

_ID = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionList:
    """What can be done with an artifact in its state, and the newest of what was proposed and done with it."""

    possible: tuple[ActionType, ...]
    items: tuple[Action, ...]
    has_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked for, and by whom; `version` None is the newest."""

    reference: str
    name: str
    by: Principal
    params: object = None
    version: int | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The actions of one store."""

    records: Records
    actions: Actions
    types: Registry
    clock: Clock = utc_now
    new_id: Callable[[], ActionId] = new_action_id

    async def propose(
        self, reach: Scope | Reach, reference: str, name: str, *, by: Principal, **said: Unpack[Acting]
    ) -> Acted:
        """Ask for an action, which waits for a user; asking for the same again is the same proposal.

        Raises:
            ActionImpossible: the artifact has no such action, or not in its state.
            ActionVoid: it was asked for a version that is not the newest.
            ActionDecided, ActionStale: what was asked for with this key was rejected, or is too old to be approved.
            InvalidContent, InvalidName, InvalidLimit: the arguments, key or version cannot be.
            IdempotencyKeyReused: something else was asked for with this key.
            ArtifactNotFound, ArtifactExpired: there is none to be had.
        """
        demand_acting(name, **said)
        asked = _Asked(reference=reference, name=name, by=by, **said)
        artifact = (await self.records.get(reach, reference)).artifact
        action = await self._keyed(artifact, asked) or await self.actions.propose(self._asked_for(artifact, asked))
        if action.status != "finished":
            self._demand_waiting(action, artifact, reference)
        return Acted(action=action, artifact=artifact)

    async def act(
        self, reach: Scope | Reach, reference: str, name: str, *, by: Principal, **said: Unpack[Acting]
    ) -> Acted:
        """Do an action, or where `by` may only ask for it propose it. Raises what `propose` and `approve` do."""
        if by.kind not in DECIDERS:
            return await self.propose(reach, reference, name, by=by, **said)
        demand_acting(name, **said)
        asked = _Asked(reference=reference, name=name, by=by, **said)

        async def attempt() -> Acted:
            artifact = (await self.records.get(reach, reference)).artifact
            # What is done at once need not be approved in time.
            action = await self._keyed(artifact, asked) or replace(self._asked_for(artifact, asked), expires_at=None)
            return await self._done(action, artifact, reference, by=by)

        return await _tried(attempt)

    async def approve(self, reach: Scope | Reach, action_id: str, *, by: Principal) -> Acted:
        """Agree to a proposal, and do it; what was done by then is returned as it was done.

        Raises:
            ApprovalNeeded: an agent approves nothing.
            ActionNotFound: there is none within reach.
            ActionVoid, ActionStale: it is for a version that is not the newest, or too old.
            ActionDecided: it was rejected.
            ActionImpossible: the artifact is in another state by now, from which no such way leads.
            ArtifactExpired: there is nothing any more that could be acted on.
        """
        demand_decider(by)

        async def attempt() -> Acted:
            named = await self.get(reach, action_id)
            artifact = (await self.records.get(named.scope, named.artifact_id)).artifact
            # Looked at after the artifact: what others have done by then is done, and not impossible in its new state.
            action = await self.get(reach, action_id)
            return await self._done(action, artifact, artifact.handle, by=by)

        return await _tried(attempt)

    async def reject(self, reach: Scope | Reach, action_id: str, *, by: Principal) -> Acted:
        """Turn a proposal down. Raises `ApprovalNeeded`, `ActionNotFound`, `ActionDecided` and `ArtifactExpired`."""
        demand_decider(by)
        action = await self.get(reach, action_id)
        artifact = (await self.records.get(action.scope, action.artifact_id)).artifact
        return Acted(action=await self.actions.reject(action, by=by), artifact=artifact)

    async def get(self, reach: Scope | Reach, action_id: str) -> Action:
        """Return an action. Raises `ActionNotFound`."""
        demand_action_id(action_id)
        return await self.actions.get(reach, action_id)

    async def listing(self, reach: Scope | Reach, reference: str, *, limit: int) -> ActionList:
        """Return what can be done with an artifact, and what was proposed and done, the newest first."""
        artifact = (await self.records.get(reach, reference)).artifact
        found = await self.actions.listing(artifact, limit=limit + 1)
        return ActionList(possible=self._possible(artifact), items=tuple(found[:limit]), has_more=len(found) > limit)

    async def _done(self, action: Action, artifact: Artifact, reference: str, *, by: Principal) -> Acted:
        """Do what a user has agreed to, with the artifact as it was found just now."""
        if action.status == "finished":
            return Acted(action=action, artifact=artifact)
        self._demand_waiting(action, artifact, reference)
        kind = self._kind(artifact, reference, action.name)
        decided = replace(action, decided_by=by, outcome={"state": kind.leads_to})
        return await self.actions.finish(decided, artifact, Marks(state=kind.leads_to))

    def _asked_for(self, artifact: Artifact, asked: _Asked) -> Action:
        """Return the row for what is asked for, which can only be of the newest version."""
        now = self.clock()
        action = Action(
            id=self.new_id(),
            scope=artifact.scope,
            artifact_id=artifact.id,
            name=asked.name,
            version=artifact.version.number if asked.version is None else asked.version,
            sha256=artifact.version.sha256,
            status="proposed",
            principal=asked.by,
            proposed_at=now,
            expires_at=now + STALE_AFTER,
            params=self._kind(artifact, asked.reference, asked.name).checked(asked.params),
            idempotency_key=asked.idempotency_key,
        )
        _demand_head(action, artifact, asked.reference)
        return action

    async def _keyed(self, artifact: Artifact, asked: _Asked) -> Action | None:
        """Return what was asked for with this key before, which has to be the same."""
        key = asked.idempotency_key
        if key is None:
            return None
        known = await self.actions.keyed(artifact, key, by=asked.by.kind)
        if known is None:
            return None
        is_version = asked.version in (None, known.version)
        if not (known.name == asked.name and is_version and known.params == (asked.params or {})):
            raise IdempotencyKeyReused(key)
        return known

    def _demand_waiting(self, action: Action, artifact: Artifact, reference: str) -> None:
        """Refuse what can be approved no more."""
        if action.status != "proposed":
            raise ActionDecided(action.id, action_status=action.status)
        _demand_head(action, artifact, reference)
        if action.expires_at is not None and action.expires_at <= self.clock():
            raise ActionStale(action.id, expired_at=action.expires_at.isoformat(timespec="seconds"))

    def _kind(self, artifact: Artifact, reference: str, name: str) -> ActionType:
        possible = self._possible(artifact)
        for kind in possible:
            if kind.name == name:
                return kind
        names = [kind.name for kind in possible]
        raise ActionImpossible(reference, str(name), state=artifact.state, possible=names)

    def _possible(self, artifact: Artifact) -> tuple[ActionType, ...]:
        try:
            return self.types.named(artifact.type).actions_in(artifact.state)
        except UnknownType:
            # It was stored when there was such a type.
            return ()


def demand_action_id(action_id: str) -> None:
    """Raise `ActionNotFound` for what no action can be called."""
    if not _ID.fullmatch(action_id):
        raise ActionNotFound(action_id[:100])


def demand_decider(principal: Principal) -> None:
    """Raise `ApprovalNeeded` for who may only propose."""
    if principal.kind not in DECIDERS:
        raise ApprovalNeeded("decision", principal=principal.kind)


def names_of_actions(types: Registry) -> tuple[str, ...]:
    """Return what can be done with artifacts of any type, by name."""
    return tuple(dict.fromkeys(kind.name for type_ in types for kind in type_.actions))


def _demand_head(action: Action, artifact: Artifact, reference: str) -> None:
    head = artifact.version.number
    if action.version != head:
        raise ActionVoid(reference, action.name, version=action.version, head=head)


async def _tried(attempt: Callable[[], Awaitable[Acted]]) -> Acted:
    """Try it until nobody was faster."""
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(MarksMoved):
            return await attempt()
    return await attempt()
