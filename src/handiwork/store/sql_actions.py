"""The ledger of actions in a SQL database. What an action leaves on its artifact is written by `sql_revisions`."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, insert, select, update

from handiwork.clock import Clock, utc_now
from handiwork.errors import ActionDecided, ActionNotFound, ActionStale, ActionVoid, IdempotencyKeyReused, MarksMoved
from handiwork.events import Happening
from handiwork.ids import ArtifactId
from handiwork.model import Acted, Action, Artifact, Principal, PrincipalKind, Reach, Scope
from handiwork.store.clauses import within
from handiwork.store.database import Database
from handiwork.store.revisions import Marks
from handiwork.store.rows import action_of, action_row
from handiwork.store.sealing import PLAIN, Sealing
from handiwork.store.sql_events import record
from handiwork.store.sql_records import find
from handiwork.store.sql_revisions import mark
from handiwork.store.tables import action_keys, actions


class SqlActions:
    """Keeps `Actions`' promises on a database that is up to date; the caller closes it."""

    def __init__(self, database: Database, *, clock: Clock = utc_now, sealing: Sealing = PLAIN) -> None:
        self._database, self._clock, self._sealing = database, clock, sealing

    async def get(self, reach: Scope | Reach, action_id: str) -> Action:
        found = await self._database.read(lambda connection: self._by_id(connection, reach, action_id))
        if found is None:
            raise ActionNotFound(action_id)
        return found

    async def keyed(self, artifact: Artifact, idempotency_key: str, *, by: PrincipalKind) -> Action | None:
        its = (within(artifact.scope, actions), _has_key(artifact.id, idempotency_key, by))
        return await self._database.read(lambda connection: self._one(connection, *its))

    async def listing(self, artifact: Artifact, *, limit: int) -> Sequence[Action]:
        query = (
            select(actions)
            .where(within(artifact.scope, actions), actions.c.artifact_id == artifact.id)
            .order_by(actions.c.proposed_at.desc(), actions.c.id.desc())
            .limit(limit)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return tuple(action_of(row, self._sealing) for row in rows)

    async def propose(self, action: Action) -> Action:
        def write(connection: Connection) -> Action:
            now = self._clock()
            if (known := self._known(connection, action, now)) is not None:
                return known
            self._demand_head(connection, action, now)
            self._insert(connection, action)
            record(connection, action.scope, [_told(action, by=action.principal)], at=now)
            return action

        return await self._database.write(write)

    async def finish(self, action: Action, found: Artifact, marks: Marks) -> Acted:
        def write(connection: Connection) -> Acted:
            now, by = self._clock(), action.decided_by or action.principal
            known = self._by_id(connection, action.scope, action.id) or self._known(connection, action, now)
            if known is not None and known.status == "finished":
                return Acted(action=known, artifact=self._artifact(connection, action, now))
            _demand_open(known, now)
            self._demand_head(connection, action, now)
            done = replace(
                known or action,
                status="finished",
                decided_by=by,
                started_at=now,
                finished_at=now,
                outcome=action.outcome,
            )
            bound = replace(marks, by=by.kind, version=done.version, action_id=done.id)
            marked = mark(connection, found, bound, now, self._sealing)
            if known is None:
                self._insert(connection, done)
            else:
                self._update(connection, done)
            record(connection, done.scope, [_told(done, by=by, proposal=known)], at=now)
            return Acted(action=done, artifact=marked)

        return await self._database.write(write)

    async def reject(self, action: Action, *, by: Principal) -> Action:
        def write(connection: Connection) -> Action:
            now, known = self._clock(), self._by_id(connection, action.scope, action.id)
            if known is None:
                raise ActionNotFound(action.id)
            if known.status == "finished":
                raise ActionDecided(known.id, action_status=known.status)
            if known.status == "rejected":
                return known
            rejected = replace(known, status="rejected", decided_by=by, finished_at=now)
            self._update(connection, rejected)
            record(connection, rejected.scope, [_told(rejected, by=by, proposal=known)], at=now)
            return rejected

        return await self._database.write(write)

    def _known(self, connection: Connection, action: Action, now: datetime) -> Action | None:
        """Return what was asked for with the same key, or what is open and asks for the same."""
        its = (within(action.scope, actions), actions.c.artifact_id == action.artifact_id)
        if (key := action.idempotency_key) is not None:
            is_keyed = _has_key(action.artifact_id, key, action.principal.kind)
            if (keyed := self._one(connection, *its, is_keyed)) is not None:
                if _asked_hash(keyed) != _asked_hash(action):
                    raise IdempotencyKeyReused(key)
                return keyed
        is_same = actions.c.asked_sha256 == _asked_hash(action)
        is_open = (actions.c.status == "proposed", actions.c.expires_at > now)
        same = self._one(connection, *its, is_same, *is_open)
        if same is None or key is None:
            return same
        # Who asks with the key again has asked for this one, whatever becomes of it.
        _keep_key(connection, same, key, action.principal.kind)
        if same.idempotency_key is None:
            same = replace(same, idempotency_key=key)
            self._update(connection, same)
        return same

    def _demand_head(self, connection: Connection, action: Action, now: datetime) -> None:
        head = self._artifact(connection, action, now).version
        # Nothing but the very version that was named may be acted on.
        if (head.number, head.sha256) != (action.version, action.sha256):
            raise ActionVoid(action.artifact_id, action.name, version=action.version, head=head.number)

    def _artifact(self, connection: Connection, action: Action, now: datetime) -> Artifact:
        return find(connection, action.scope, action.artifact_id, None, now, self._sealing).artifact

    def _by_id(self, connection: Connection, reach: Scope | Reach, action_id: str) -> Action | None:
        return self._one(connection, within(reach, actions), actions.c.id == action_id)

    def _one(self, connection: Connection, *which: ColumnElement[bool]) -> Action | None:
        row = connection.execute(select(actions).where(*which).limit(1)).mappings().one_or_none()
        return None if row is None else action_of(row, self._sealing)

    def _insert(self, connection: Connection, action: Action) -> None:
        row = action_row(action, sealing=self._sealing)
        connection.execute(insert(actions).values(**row, asked_sha256=_asked_hash(action)))
        if (key := action.idempotency_key) is not None:
            _keep_key(connection, action, key, action.principal.kind)

    def _update(self, connection: Connection, action: Action) -> None:
        is_open = (actions.c.id == action.id, actions.c.status == "proposed")
        changed = update(actions).where(*is_open).values(**action_row(action, sealing=self._sealing))
        if not connection.execute(changed).rowcount:
            # Somebody was faster, where transactions see each other's changes.
            raise MarksMoved(action.artifact_id)


def _asked_hash(action: Action) -> str:
    """Return what stands for all that an approval is for: one version of an artifact, the action, its arguments."""
    asked = [action.artifact_id, action.version, action.sha256, action.name, action.params]
    return _hash(json.dumps(asked, sort_keys=True, separators=(",", ":")))


def _demand_open(action: Action | None, now: datetime) -> None:
    if action is None:
        return
    if action.status != "proposed":
        raise ActionDecided(action.id, action_status=action.status)
    if action.expires_at is not None and action.expires_at <= now:
        raise ActionStale(action.id, expired_at=action.expires_at.isoformat(timespec="seconds"))


def _has_key(artifact_id: ArtifactId, key: str, by: PrincipalKind) -> ColumnElement[bool]:
    its = (action_keys.c.artifact_id == artifact_id, action_keys.c.key_sha256 == _key_hash(key, by))
    return actions.c.id.in_(select(action_keys.c.action_id).where(*its))


def _keep_key(connection: Connection, action: Action, key: str, by: PrincipalKind) -> None:
    row = {"artifact_id": action.artifact_id, "key_sha256": _key_hash(key, by), "action_id": action.id}
    connection.execute(insert(action_keys).values(**row))


def _key_hash(key: str, by: PrincipalKind) -> str:
    """Return what a key is found by; what agents call theirs cannot stand in the way of users."""
    return _hash(f"{by} {key}")


def _told(action: Action, *, by: Principal, proposal: Action | None = None) -> Happening:
    facts: dict[str, str | int] = {
        "actionId": action.id,
        "action": action.name,
        "status": action.status,
        "version": action.version,
        "principal": by.kind,
    }
    if proposal is not None:
        facts["proposedBy"] = proposal.principal.kind
    return Happening(type="artifact-action", artifact_id=action.artifact_id, facts=facts)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
